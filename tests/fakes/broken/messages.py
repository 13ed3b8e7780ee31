"""Adapters, or helpdesks, that break what is promised of a customer's comments and files."""

import contextlib
import dataclasses
from io import BytesIO
from typing import Any

from clients.errors import RejectedError, Unavailable
from clients.helpdesk import Attachment, Delivery, NewComment, NewTicket, Ticket
from clients.helpdesks.rest import RestHelpdesk
from clients.media import File
from tests.fakes.broken.registry import red


@red("a comment is found by its external id", "a comment that is added twice is one")
class ForgetsComments(RestHelpdesk):
    def comment_by_external_id(self, ticket_id: str, external_id: str) -> str | None:
        return None


@red("an edited message is edited in its comment")
class OnlyClaimsToEdit(RestHelpdesk):
    def edit_comment(self, comment_id: str, body: str) -> bool:
        return True


@red("comments stand in their order")
class Reorders(RestHelpdesk):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.held: list[tuple[str, NewComment, str]] = []

    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        self.held.append((ticket_id, comment, key))
        if len(self.held) == 1:
            return "0"
        ids = [super(Reorders, self).add_comment(*one) for one in reversed(self.held)]
        self.held.clear()
        return ids[0]


@red("internal comments stay internal")
class ShowsInternalComments(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        return super().add_comment(ticket_id, dataclasses.replace(comment, internal=False), key)


@red("texts are shown as they were typed")
class Unescapes(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        body = comment.body.replace("\\", "")
        return super().add_comment(ticket_id, dataclasses.replace(comment, body=body), key)


@red("a text of 60,000 characters is shown whole")
class CutsTexts(RestHelpdesk):
    def create_ticket(self, ticket: NewTicket, key: str) -> Ticket:
        return super().create_ticket(dataclasses.replace(ticket, body=ticket.body[:50_000]), key)


@red("a customer's files are there, byte for byte", "a file that is refused is named, and the text is there")
@red("a customer's empty file does not hold up its message")
class SwallowsFiles(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        body = comment.body.partition("\n\n")[0]
        return super().add_comment(ticket_id, dataclasses.replace(comment, body=body, attachment_ids=[]), key)


@red("a customer's empty file does not hold up its message")
class FailsForEmptyFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        if not file.size:
            raise Unavailable("the helpdesk answered 500")
        return super().upload(file, key)


@red("a customer's text files keep their encoding")
class Recodes(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        text = BytesIO(file.stream.read().decode(errors="replace").encode())
        return super().upload(dataclasses.replace(file, stream=text), key)


@red("a customer's files are there, byte for byte", "what is stored ahead is there, byte for byte")
@red("a customer's text files keep their encoding")
class ChangesFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        text = BytesIO(file.stream.read().replace(b"\r\n", b"\n"))
        return super().upload(dataclasses.replace(file, stream=text), key)


@red("what is stored ahead is there, byte for byte")
class RenamesFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        return super().upload(dataclasses.replace(file, filename="file"), key)


@red("a file that is refused is named, and the text is there")
class StumblesOverFiles(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        raise RejectedError("415")


@red("a file that is too large is refused")
class FetchesAnything(RestHelpdesk):
    def open_attachment(
        self, attachment: Attachment, max_bytes: int
    ) -> contextlib._GeneratorContextManager[File]:
        return super().open_attachment(attachment, 2**30)


@red("what became of a reply is taken")
class ShowsNoDelivery(RestHelpdesk):
    def show_delivery(self, comment_id: str, delivery: Delivery) -> None:
        raise RejectedError("no")


@red("a closed ticket takes an internal comment")
class ClosesForAll(RestHelpdesk):
    def add_comment(self, ticket_id: str, comment: NewComment, key: str) -> str:
        if self.get_ticket(ticket_id).closed:
            raise RejectedError("422")
        return super().add_comment(ticket_id, comment, key)


@red("what is stored ahead is there, byte for byte")
class NamesHalfAnAddress(RestHelpdesk):
    def upload(self, file: File, key: str) -> Attachment:
        stored = super().upload(file, key)
        return dataclasses.replace(stored, url=f"files/{stored.id}")
