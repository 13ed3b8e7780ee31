"""A file of a customer's moves from the channel to the helpdesk."""

from collections.abc import Mapping
from contextlib import ExitStack

import msgspec
import structlog

from clients import channel
from clients.errors import (
    ClientError,
    FileRefused,
    RejectedError,
    ServiceDown,
    Unavailable,
)
from clients.helpdesk import (
    Attachment,
)
from clients.media import File
from clients.notices import notice
from clients.text.markdown import image, link, to_markdown
from tasks.inbound.arrival import Arrival
from tasks.inbox.job import Step
from tasks.inbox.queues import HELPDESK

log = structlog.get_logger(__name__)

FETCH_ATTEMPTS = 6
"""How often a message waits for a file that the channel's host does not deliver: about half a minute."""
FILE_WAIT = 60.0
"""How long a message waits for a host of files between two tries at most, in seconds, whatever it asks."""
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
ACTIVE_TYPES = frozenset(
    {"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml"}
)


class FileLeftOut(FileRefused):
    """The helpdesk takes no message with this file."""


def show(
    arrival: Arrival, number: int, attachment: channel.MessageAttachment, files: ExitStack
) -> tuple[str, Attachment | File | None]:
    """Return the markdown that shows a file, and the file, in the helpdesk or on its way there.

    Instead of one that cannot be moved, the markdown says so.
    """
    try:
        file = _uploaded(arrival, number, attachment, files)
    except (RejectedError, Unavailable) as error:
        if isinstance(error, Unavailable) and not _is_final(arrival, error):
            if not error.remote and error.retry_after:
                error.retry_after = min(error.retry_after, FILE_WAIT)
            raise
        return _missing(arrival, attachment, error), None
    return markdown_of(file), file


def markdown_of(file: Attachment | File) -> str:
    """Return the markdown that shows a file, or names one that comes with its comment."""
    if isinstance(file, File):
        return f"({to_markdown(_named(file))})"
    return (image if _type(file) in PICTURES else link)(_named(file), file.url)


def pictures_in(event: channel.Event, first: int = 0) -> dict[str, int]:
    """Return the pictures that an event's lines lead to, numbered behind its attachments."""
    if isinstance(event, channel.Receipt):
        return {}
    attachments = event.attachments if isinstance(event, channel.Message | channel.Echo) else ()
    lines = [line for one in attachments for line in one.lines] + [*event.lines]
    urls = dict.fromkeys(line.url for line in lines if line.is_picture)
    return {url: number for number, url in enumerate(urls, first + len(attachments))}


def moved(arrival: Arrival, pictures: Mapping[str, int], files: ExitStack) -> dict[str, Attachment | File]:
    """Move pictures that lines lead to; of those that cannot be moved at once the lines keep their links."""
    shown = dict[str, Attachment | File]()
    for url, number in pictures.items():
        try:
            shown[url] = _uploaded(arrival, number, channel.MessageAttachment("image", url), files)
        except RejectedError as error:
            log.info("picture_not_moved", queue=arrival.lease.queue, reason=str(error))
        except Unavailable as error:
            if error.remote and not _is_final(arrival, error):
                raise
            log.info("picture_not_moved", queue=arrival.lease.queue, reason=str(error))
            break  # the next one would take as long to fail
    return shown


def _is_final(arrival: Arrival, error: Unavailable) -> bool:
    """Return whether a file is left out, so that the rest of its message goes on without it."""
    if not error.remote:
        return arrival.is_last_try or arrival.lease.attempts + 1 >= FETCH_ATTEMPTS
    return arrival.is_last_try and not isinstance(error, ServiceDown) and arrival.service.is_up(HELPDESK)


def _named(file: Attachment | File) -> str:
    """Name a file; one that a browser would run, such as SVG, with its type."""
    return f"{file.filename} ({_type(file)})" if _type(file) in ACTIVE_TYPES else file.filename


def _type(file: Attachment | File) -> str:
    return file.content_type.partition(";")[0].strip().lower()


def _uploaded(
    arrival: Arrival, number: int, attachment: channel.MessageAttachment, files: ExitStack
) -> Attachment | File:
    """Move a file from the channel to the helpdesk, once, or keep it open for its comment."""
    if reason := arrival.left_out.get(number):
        raise FileLeftOut(reason.code, **reason.values)
    step = Step.upload(number)
    if done := _uploaded_before(arrival.lease.step(step)):
        return done
    with ExitStack() as opened:
        file = opened.enter_context(arrival.account.fetch(attachment))
        uploaded = arrival.service.helpdesk.upload(file, arrival.key(step))
        if uploaded is None and arrival.was_tried:
            raise FileLeftOut("refused_with_file")
        if uploaded is None:
            files.push(opened.pop_all())
            return file
    arrival.lease.complete_step(step, msgspec.json.encode(uploaded).decode())
    return uploaded


def _uploaded_before(recorded: str | None) -> Attachment | None:
    """Read what was recorded of an upload; of another shape it counts as absent, and the key is the same."""
    try:
        return msgspec.json.decode(recorded or "", type=Attachment)
    except msgspec.MsgspecError:
        return None


def _missing(arrival: Arrival, attachment: channel.MessageAttachment, error: ClientError) -> str:
    who = "page" if isinstance(arrival.event, channel.Echo) else "customer"
    is_downloaded = error.remote or isinstance(error, FileLeftOut)
    code = f"{who}_file_not_{'added' if is_downloaded else 'downloaded'}"
    words = arrival.say(notice(code, kind=notice(f"sent_{attachment.kind}"), reason=error.notice))
    address = link(arrival.say(notice("original_link")), attachment.url) if attachment.url else ""
    return f"({to_markdown(words)} {address}".rstrip() + ")"
