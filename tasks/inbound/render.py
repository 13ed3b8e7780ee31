"""The comment that shows an event."""

from collections.abc import Sequence
from contextlib import ExitStack

from clients import channel
from clients.channel import Echo, Edit, Message, OtherEvent, Receipt
from clients.errors import RejectedError
from clients.helpdesk import Attachment, Author, NewComment
from clients.media import File
from clients.notices import Notice, notice
from clients.text.markdown import to_markdown
from tasks.inbound.arrival import Arrival
from tasks.inbound.control import answers_now
from tasks.inbound.edits import is_superseded, with_early_edit
from tasks.inbound.files import moved, pictures_in, show
from tasks.inbound.lines import Pictures, lines_of
from tasks.inbound.quotes import quoted
from tasks.notes import system


def compose(arrival: Arrival, files: ExitStack) -> NewComment:
    """Write the comment that shows an event. Its open files are closed by `files`."""
    match arrival.event:
        case Message() as message:
            customer = Author("customer", arrival.sender_name, arrival.conversation.person_id)
            return compose_message(arrival, message, customer, files)
        case Echo() as echo:
            author = Author("agent", echo_author(echo, arrival))
            return compose_message(arrival, echo, author, files)
        case Edit() as edit:
            code = "message_edited_before" if is_superseded(arrival, edit) else "message_edited"
            told = notice(code, message=quoted(arrival, edit.message_id))
            return _told(arrival, edit, told, [to_markdown(edit.text)], files)
        case OtherEvent() as other:
            about = {"message": quoted(arrival, other.about)} if other.about is not None else {}
            told = notice(other.summary.code, **other.summary.values, **about)
            return _told(arrival, other, told, [to_markdown(answers_now(arrival, other))], files)
        case Receipt():
            raise RejectedError("receipt_on_ticket")


def _told(
    arrival: Arrival, event: Edit | OtherEvent, what: Notice, more: Sequence[str], files: ExitStack
) -> NewComment:
    """Write what happened as the connector's own words."""
    pictures = moved(arrival, pictures_in(event), files)
    return NewComment(
        body=_paragraphs(to_markdown(arrival.say(what)), *more, lines_of(arrival, event.lines, pictures)),
        external_id=arrival.external_id,
        author=system(arrival.channel),
        created_at=event.time,
        internal=event.internal,
        attachment_ids=[file.id for file in pictures.values() if isinstance(file, Attachment)],
        files=[file for file in pictures.values() if isinstance(file, File)],
    )


def compose_message(
    arrival: Arrival, message: Message | Echo, author: Author, files: ExitStack, first: int = 0
) -> NewComment:
    """Write what somebody said. Its attachments are numbered from `first` on, among those of the job."""
    pictures = moved(arrival, pictures_in(message, first), files)
    shown = [
        _shown(arrival, number, one, pictures, files) for number, one in enumerate(message.attachments, first)
    ]
    brought = [*(file for _, file in shown), *pictures.values()]
    body = _paragraphs(
        f"> {to_markdown(arrival.say(notice('written_before_connected')))}" if message.is_history else "",
        _in_reply_to(arrival, message.reply_to),
        to_markdown(message.text),
        *(markdown for markdown, _ in shown),
        lines_of(arrival, message.lines, pictures),
    )
    body = body or f"({arrival.say(notice('empty_message'))})"
    return NewComment(
        body=with_early_edit(arrival, message.message_id, body),
        external_id=arrival.external_id,
        author=author,
        created_at=message.time,
        language=arrival.connection.language,
        attachment_ids=[file.id for file in brought if isinstance(file, Attachment)],
        files=[file for file in brought if isinstance(file, File)],
        channel=arrival.conversation.channel,
        is_history=message.is_history,
    )


def _paragraphs(*paragraphs: str) -> str:
    return "\n\n".join(filter(str.strip, paragraphs))


def _in_reply_to(arrival: Arrival, message_id: str) -> str:
    """Quote what a message answers, as a line that `quotes` knows for the connector's own."""
    if not message_id:
        return ""
    words = arrival.say(notice("in_reply_to", message=quoted(arrival, message_id)))
    return f"> {to_markdown(words)}"


def _shown(
    arrival: Arrival,
    number: int,
    attachment: channel.MessageAttachment,
    pictures: Pictures,
    files: ExitStack,
) -> tuple[str, Attachment | File | None]:
    if attachment.is_file:
        markdown, file = show(arrival, number, attachment, files)
        return _paragraphs(markdown, lines_of(arrival, attachment.lines, pictures)), file
    return lines_of(arrival, attachment.lines, pictures), None


def first_body(comment: NewComment) -> str:
    """Name the author where it is not the customer: a ticket's body has no author of its own."""
    if comment.author.type != "agent":
        return comment.body
    return f"{to_markdown(comment.author.name)}:\n\n{comment.body}"


def echo_author(echo: Echo, arrival: Arrival) -> str:
    """Name who wrote for the account."""
    page = arrival.connection.name or arrival.say(notice("the_page"))
    return arrival.say(notice(echo.author.code, page=page, **echo.author.values))
