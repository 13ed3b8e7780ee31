"""The comment that shows an event."""

from collections.abc import Sequence
from contextlib import ExitStack

from clients import channel
from clients.channel import Echo, Event, Message, OtherEvent, Receipt
from clients.errors import (
    RejectedError,
)
from clients.helpdesk import (
    Attachment,
    Author,
    NewComment,
)
from clients.media import File
from clients.notices import notice
from clients.text.markdown import preview, to_markdown
from tasks.inbound.arrival import Arrival
from tasks.inbound.files import show
from tasks.notes import system


def opens_no_ticket(event: Event) -> bool:
    """Return whether an event is worth no ticket of its own; what another app sends may be a broadcast."""
    if isinstance(event, Echo):
        return not event.is_by_agent
    return isinstance(event, OtherEvent) and not event.opens_ticket


def compose(arrival: Arrival, files: ExitStack) -> NewComment:
    """Write the comment that shows an event. Its open files are closed by `files`."""
    match arrival.event:
        case Message() as message:
            customer = Author("customer", arrival.sender_name, arrival.conversation.person_id)
            return _message(arrival, message, customer, files)
        case Echo() as echo:
            return _message(arrival, echo, Author("agent", echo_author(echo, arrival)), files)
        case OtherEvent() as other:
            body = to_markdown(arrival.say(other.summary))
            return NewComment(
                body, arrival.external_id, system(arrival.channel), other.time, internal=other.internal
            )
        case Receipt():
            raise RejectedError("receipt_on_ticket")


def _message(arrival: Arrival, message: Message | Echo, author: Author, files: ExitStack) -> NewComment:
    shown = [_shown(arrival, number, one, files) for number, one in enumerate(message.attachments)]
    paragraphs = [to_markdown(message.text), *(markdown for markdown, _ in shown)]
    return NewComment(
        body="\n\n".join(filter(str.strip, paragraphs)) or f"({arrival.say(notice('empty_message'))})",
        external_id=arrival.external_id,
        author=author,
        created_at=message.time,
        language=arrival.connection.language,
        attachment_ids=[file.id for _, file in shown if isinstance(file, Attachment)],
        files=[file for _, file in shown if isinstance(file, File)],
        channel=arrival.conversation.channel,
    )


def _shown(
    arrival: Arrival, number: int, attachment: channel.Attachment, files: ExitStack
) -> tuple[str, Attachment | File | None]:
    if attachment.is_file:
        return show(arrival, number, attachment, files)
    return _described(arrival, attachment), None


def first_body(comment: NewComment) -> str:
    """Name the author where it is not the customer: a ticket's body has no author of its own."""
    if comment.author.type != "agent":
        return comment.body
    return f"{to_markdown(comment.author.name)}:\n\n{comment.body}"


def echo_author(echo: Echo, arrival: Arrival) -> str:
    """Name who wrote for the account."""
    page = arrival.connection.name or arrival.say(notice("the_page"))
    return arrival.say(notice(echo.author.code, page=page, **echo.author.values))


def _described(arrival: Arrival, attachment: channel.Attachment) -> str:
    match attachment.kind:
        case "location":
            place = attachment.title or arrival.say(notice("location"))
            shown = preview(place, attachment.url) if attachment.url else to_markdown(place)
            return f"📍 {shown} {attachment.detail}".strip()
        case "template" if attachment.lines:
            return _template(arrival, attachment.lines)
        case "link":
            return preview(attachment.title or attachment.url, attachment.url)
    words = arrival.say(notice("unknown_attachment", channel=arrival.channel.title, kind=attachment.kind))
    return f"({to_markdown(f'{words} {attachment.title or attachment.detail}'.strip())})"


def _template(arrival: Arrival, lines: Sequence[channel.Line]) -> str:
    """Show a template: its words as paragraphs, its buttons as a list."""
    shown = ""
    for line in lines:
        text = line.text if isinstance(line.text, str) else f"({arrival.say(line.text)})"
        markdown = preview(text, line.url) if line.url else to_markdown(text)
        between = "\n" if line.is_button and shown.rpartition("\n")[2].startswith("- ") else "\n\n"
        shown += between + ("- " * line.is_button) + markdown
    return shown.strip()
