"""The comment that shows an event."""

from collections.abc import Sequence
from contextlib import ExitStack

from clients.channels.meta import events
from clients.errors import (
    RejectedError,
)
from clients.helpdesk import (
    SYSTEM,
    Attachment,
    Author,
    NewComment,
)
from clients.media import File
from clients.text.line import one_line
from clients.text.markdown import preview, to_markdown
from connector.settings import Connection
from tasks.inbound.arrival import Arrival
from tasks.inbound.files import FETCHED, show

OPENS_NO_TICKET = frozenset(
    {
        "reaction",
        events.DELETED,
        "pass_thread_control",
        "take_thread_control",
        "request_thread_control",
        "app_roles",
    }
)
"""Kinds of events that are worth a comment on an open ticket, and not a ticket of their own."""


def opens_no_ticket(event: events.Event) -> bool:
    """Tell whether an event is worth no ticket of its own; what another app sends may be a broadcast."""
    if isinstance(event, events.Echo):
        return not event.from_page_inbox
    return isinstance(event, events.UnknownEvent) and event.kind in OPENS_NO_TICKET


def compose(arrival: Arrival, files: ExitStack) -> NewComment:
    """Write the comment that shows an event. Its open files are closed by `files`."""
    match arrival.event:
        case events.Message() as message:
            customer = Author("customer", arrival.sender_name, arrival.conversation.person_id)
            return _message(arrival, message, customer, files)
        case events.Echo() as echo:
            return _message(arrival, echo, Author("agent", echo_author(echo, arrival.connection)), files)
        case events.UnknownEvent() as other:
            body = to_markdown(other.summary)
            return NewComment(body, arrival.external_id, SYSTEM, other.time, internal=True)
        case events.Receipt():
            raise RejectedError("a receipt says nothing that belongs on the ticket")


def _message(
    arrival: Arrival, message: events.Message | events.Echo, author: Author, files: ExitStack
) -> NewComment:
    shown = [_shown(arrival, number, one, files) for number, one in enumerate(message.attachments)]
    paragraphs = [to_markdown(message.text), *(markdown for markdown, _ in shown)]
    return NewComment(
        body="\n\n".join(filter(str.strip, paragraphs)) or "(The message is empty.)",
        external_id=arrival.external_id,
        author=author,
        created_at=message.time,
        attachment_ids=[file.id for _, file in shown if isinstance(file, Attachment)],
        files=[file for _, file in shown if isinstance(file, File)],
        channel=arrival.conversation.channel,
    )


def _shown(
    arrival: Arrival, number: int, attachment: events.Attachment, files: ExitStack
) -> tuple[str, Attachment | File | None]:
    if attachment.kind in FETCHED:
        return show(arrival, number, attachment, files)
    return _described(attachment), None


def first_body(comment: NewComment) -> str:
    """Name the author where it is not the customer: a ticket's body has no author of its own."""
    if comment.author.type != "agent":
        return comment.body
    return f"{to_markdown(comment.author.name)}:\n\n{comment.body}"


def echo_author(echo: events.Echo, connection: Connection) -> str:
    """Name who wrote for the page."""
    page = connection.page_name or "The page"
    return f"{page} (Meta inbox)" if echo.from_page_inbox else f"{page} (app {one_line(echo.app_id)})"


def _described(attachment: events.Attachment) -> str:
    match attachment.kind:
        case "location":
            place = attachment.title or "Location"
            shown = preview(place, attachment.url) if attachment.url else to_markdown(place)
            return f"📍 {shown} {attachment.detail}".strip()
        case "template" if attachment.lines:
            return _template(attachment.lines)
        case "link":
            return preview(attachment.title or attachment.url, attachment.url)
    detail = attachment.title or attachment.detail
    words = f"Messenger sent an attachment of the kind “{attachment.kind}”{': ' + detail if detail else ''}."
    return f"({to_markdown(words)})"


def _template(lines: Sequence[events.Line]) -> str:
    """Show a template: its words as paragraphs, its buttons as a list."""
    shown = ""
    for line in lines:
        markdown = preview(line.text, line.url) if line.url else to_markdown(line.text)
        between = "\n" if line.is_button and shown.rpartition("\n")[2].startswith("- ") else "\n\n"
        shown += between + ("- " * line.is_button) + markdown
    return shown.strip()
