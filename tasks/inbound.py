"""Messenger to helpdesk: what a person wrote becomes a ticket, or a comment on their open one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import cast

import msgspec
from structlog.contextvars import bind_contextvars

from clients import events
from clients.errors import (
    Away,
    ClientError,
    FileRefused,
    NotConnected,
    NotFound,
    RejectedError,
    RetryableError,
    Stale,
    TicketClosed,
    Unavailable,
    Undecided,
)
from clients.helpdesk import (
    SOURCE,
    SYSTEM,
    Attachment,
    Author,
    Config,
    Naming,
    NewComment,
    NewTicket,
    Requester,
)
from clients.media import File
from clients.messenger import Profile
from clients.text import image, link, one_line, preview, to_markdown
from connector import logs
from connector.settings import Connection
from tasks import receipts
from tasks.accept import outbound_thread, thread_of
from tasks.lease import Lease
from tasks.notes import tell_once
from tasks.profiles import display_name, profile_of
from tasks.services import Services, is_up

log = logs.get(__name__)

LINK = "link"
"""The name under which the open ticket of a sender is cached."""
LINK_FOR = 24 * 3600
"""How long the open ticket of a sender is remembered, in seconds; the helpdesk's 409 corrects it before."""
UNNAMED = "unnamed"
"""The name under which it is cached that a sender's ticket was opened while nobody could read their name."""
UNNAMED_FOR = 7 * 24 * 3600
"""For how long such a ticket is given the name once that can be read, in seconds."""
CONNECTED_WITHIN = 7 * 24 * 3600
"""How long what a page's customers write waits for the page to be connected, in seconds."""
FETCH_ATTEMPTS = 6
"""How often a message waits for a file that Meta's media host does not hand out: about half a minute."""
FILE_WAIT = 60.0
"""How long a host of files may have a message wait between two tries, in seconds, whatever it asks for."""
LONGEST_TITLE = 255
UNTOLD_FOR = 7 * 24 * 3600
"""How long it is remembered, in seconds, what the agents of a sender's next ticket have to be told."""
MOST_CONTEXT = 20
"""How many messages are told that another app sent before there was a ticket."""
ECHO_KNOWN_WITHIN = 10.0
"""How much longer than `worker.echo_wait` an echo waits for the reply that it may be of, in seconds."""
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
NAMELESS = "nameless"
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
ACTIVE_TYPES = frozenset(
    {"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml"}
)
_FETCHED = frozenset({"image", "video", "audio", "file", "sticker"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event at the head of its thread, and all that is needed to put it on a ticket."""

    service: Services
    lease: Lease
    event: events.Event
    thread: events.Thread
    connection: Connection
    profile: Profile
    left_out: Mapping[int, str] = field(default_factory=dict)
    """Attachments, by number, whose files are not brought along, and why."""
    variant: str = ""
    """Tells this way to show the event from the one that was refused."""

    @property
    def is_last_try(self) -> bool:
        """Tell whether the event is given up if the helpdesk fails once more."""
        return self.lease.attempts + 1 >= self.service.settings.worker.attempts

    @property
    def was_tried(self) -> bool:
        """Tell whether all tries but the last are over, and none of them worked."""
        return self.lease.attempts > 0 and self.is_last_try

    def nameless(self) -> "Arrival":
        """Return the same event without names: some helpdesks fail for a character in one of them."""
        connection = self.connection.model_copy(update={"page_name": ""})
        return replace(self, profile=Profile(), connection=connection, variant=NAMELESS)

    def without(self, numbers: Sequence[int], reason: str) -> "Arrival":
        """Return the same event without the files of some attachments."""
        variant = ":".join(filter(None, (self.variant, "without", *map(str, numbers))))
        return replace(self, left_out=dict.fromkeys(numbers, reason), variant=variant)

    @property
    def sender_name(self) -> str:
        """Return the name to show."""
        return display_name(self.profile, self.thread.psid)

    @property
    def external_id(self) -> str:
        """Return the id under which the helpdesk can find what was created."""
        return events.external_id(self.lease.event.body)

    def key(self, *suffixes: str) -> str:
        """Return the idempotency key of a create; the suffixes tell several creates apart."""
        return ":".join(filter(None, ("facebook", self.thread.page_id, self.external_id, *suffixes)))


def relay(service: Services, lease: Lease) -> None:
    """Put the event at the head on its sender's ticket. Raises `ClientError`."""
    if not thread_of(lease.thread).psid:
        kind = events.kind_of(lease.event.body)
        raise RejectedError(f"it names no person, so no ticket can show it; Messenger calls it “{kind}”")
    arrival = _arrival(service, lease)
    if _is_our_own(arrival):
        return
    if _opens_no_ticket(arrival.event) and not any(True for _ in _open_tickets(arrival)):
        _keep(arrival)
        return
    if arrival.was_tried:
        _put(arrival.nameless())
        return
    try:
        _put(arrival)
    except RejectedError:
        log.info("refused_with_names", thread=lease.thread, id=lease.event.id)
        _put(arrival.nameless())
    else:
        _mend_name(arrival)


def tell(service: Services, lease: Lease, reason: str) -> None:
    """Tell the agents of the sender's open ticket, or of the next, that an event could not be shown on it."""
    if not thread_of(lease.thread).psid:
        return
    arrival = _arrival(service, lease)
    for ticket_id in _open_tickets(arrival):
        try:
            tell_once(service, lease, ticket_id, f"dead:{lease.event.id}", _given_up(lease.event.id, reason))
        except (TicketClosed, NotFound):
            continue
        return
    now = int(service.inbox.now() * 1000)
    service.inbox.note(_untold(arrival.thread), f"{lease.event.id} {reason}", now, UNTOLD_FOR)


def _given_up(id_: int, reason: str) -> str:
    return (
        f"A Messenger message could not be added to this ticket: {reason}. Nothing is lost: "
        f"an administrator finds it with “connector dead show {id_}” and can try it again."
    )


def _untold(thread: events.Thread) -> str:
    """Name what the agents of a sender were not told yet, as the sender had no open ticket."""
    return f"untold:{thread.page_id}:{thread.psid}"


def _is_our_own(arrival: Arrival) -> bool:
    """Tell whether an echo without our mark is of a reply of ours all the same.

    Raises `Undecided` while a part is under way of whose mid nobody knows yet.
    """
    event, service, lease = arrival.event, arrival.service, arrival.lease
    if not isinstance(event, events.Echo):
        return False
    steps = service.inbox.steps(outbound_thread(arrival.thread))
    if event.mid in receipts.mids_of(steps) | receipts.our_mids(service, arrival.thread):
        return True
    wait = service.settings.worker.echo_wait + ECHO_KNOWN_WITHIN
    if (
        receipts.is_under_way(steps)
        and event.app_id not in events.PAGE_INBOX_APP_IDS
        and service.inbox.now() < lease.event.accepted / 1000 + wait
    ):
        raise Undecided("it is not known yet whether it is the echo of a reply that is being sent")
    return False


def _put(arrival: Arrival) -> None:
    """Put an event on the ticket with its files; a file that is refused only there is named instead.

    Which one it is the helpdesk does not say: each is left out in its turn, then all of them.
    """
    refusal = FileRefused("")
    for left_out in _ways(arrival.event):
        way = arrival.without(left_out, str(refusal)) if left_out else arrival
        try:
            with ExitStack() as files:
                put_on_ticket(way, compose(way, files))
        except FileRefused as error:
            refusal = error
        else:
            return
    raise refusal


def _ways(event: events.Event) -> Iterator[Sequence[int]]:
    """Yield which files are left out, by number, as long as one of the others is refused."""
    yield ()
    attachments = event.attachments if isinstance(event, events.Message | events.Echo) else ()
    numbers = [number for number, one in enumerate(attachments) if one.kind in _FETCHED]
    if len(numbers) > 1:
        yield from ([number] for number in numbers)
    if numbers:
        yield numbers


def _arrival(service: Services, lease: Lease) -> Arrival:
    thread = thread_of(lease.thread)
    if not service.settings.connection(thread.page_id) and lease.waited() < CONNECTED_WITHIN:
        raise NotConnected(thread.page_id)
    connection = service.connection(thread.page_id)
    profile = profile_of(service, lease, connection, thread.psid)
    bind_contextvars(mid=events.external_id(lease.event.body))
    return Arrival(service, lease, events.parse(lease.event.body), thread, connection, profile)


def compose(arrival: Arrival, files: ExitStack) -> NewComment:
    """Write the comment that shows an event. Its open files are closed by `files`."""
    match arrival.event:
        case events.Message() as message:
            customer = Author("customer", arrival.sender_name, arrival.thread.psid)
            return _message(arrival, message, customer, files)
        case events.Echo() as echo:
            return _message(arrival, echo, Author("agent", _echo_author(echo, arrival.connection)), files)
        case events.Other() as other:
            body = to_markdown(other.summary)
            return NewComment(body, arrival.external_id, SYSTEM, other.time, internal=True)
        case events.Receipt():
            raise RejectedError("a receipt says nothing that belongs on the ticket")


def _message(
    arrival: Arrival, message: events.Message | events.Echo, author: Author, files: ExitStack
) -> NewComment:
    shown = [show(arrival, number, one, files) for number, one in enumerate(message.attachments)]
    paragraphs = [to_markdown(message.text), *(markdown for markdown, _ in shown)]
    return NewComment(
        body="\n\n".join(filter(str.strip, paragraphs)) or "(The message is empty.)",
        external_id=arrival.external_id,
        author=author,
        created_at=message.time,
        attachment_ids=[file.id for _, file in shown if isinstance(file, Attachment)],
        files=[file for _, file in shown if isinstance(file, File)],
        config={"source": SOURCE},
    )


def _echo_author(echo: events.Echo, connection: Connection) -> str:
    page = connection.page_name or "The page"
    return f"{page} (Meta inbox)" if echo.from_page_inbox else f"{page} (app {one_line(echo.app_id)})"


def show(
    arrival: Arrival, number: int, attachment: events.Attachment, files: ExitStack
) -> tuple[str, Attachment | File | None]:
    """Return the markdown that shows an attachment, and its file, in the helpdesk or on its way there."""
    if attachment.kind not in _FETCHED:
        return _described(attachment), None
    try:
        file = _uploaded(arrival, number, attachment, files)
    except (RejectedError, Unavailable) as error:
        if isinstance(error, Unavailable) and not _is_final(arrival, error):
            if not error.side and error.retry_after:
                error.retry_after = min(error.retry_after, FILE_WAIT)
            raise
        return _missing(attachment, str(error)), None
    if isinstance(file, File):
        return f"({to_markdown(_named(file))})", file
    return (image if _type(file) in PICTURES else link)(_named(file), file.url), file


def _is_final(arrival: Arrival, error: Unavailable) -> bool:
    """Tell whether a file is left out, so that the rest of its message goes on without it."""
    if not error.side:
        return arrival.lease.attempts + 1 >= min(FETCH_ATTEMPTS, arrival.service.settings.worker.attempts)
    return arrival.is_last_try and not isinstance(error, Away) and is_up(arrival.service.helpdesk.ping)


def _named(file: Attachment | File) -> str:
    """Name a file; one that a browser would run, such as SVG, with its type."""
    return f"{file.filename} ({_type(file)})" if _type(file) in ACTIVE_TYPES else file.filename


def _type(file: Attachment | File) -> str:
    return file.content_type.partition(";")[0].strip().lower()


def _uploaded(
    arrival: Arrival, number: int, attachment: events.Attachment, files: ExitStack
) -> Attachment | File:
    """Move a file from Meta's media host to the helpdesk, once, or keep it open for its comment."""
    if reason := arrival.left_out.get(number):
        raise FileRefused(reason)
    step = f"upload:{number}"
    if done := _uploaded_before(arrival.lease.step(step)):
        return done
    with ExitStack() as opened:
        file = opened.enter_context(arrival.service.media.fetch(attachment.url, attachment.kind))
        uploaded = arrival.service.helpdesk.upload(file, arrival.key(step))
        if uploaded is None and arrival.was_tried:
            raise FileRefused("the helpdesk took no message with it")
        if uploaded is None:
            files.push(opened.pop_all())
            return file
    arrival.lease.achieve(step, msgspec.json.encode(uploaded).decode())
    return uploaded


def _uploaded_before(recorded: str | None) -> Attachment | None:
    """Read what was recorded of an upload; of another shape it counts as absent, and the key is the same."""
    try:
        return msgspec.json.decode(recorded or "", type=Attachment)
    except msgspec.MsgspecError:
        return None


def _missing(attachment: events.Attachment, reason: str) -> str:
    article = "an" if attachment.kind[0] in "aeiou" else "a"
    address = f" {link('Its address at Meta', attachment.url)}" if attachment.url else ""
    return (
        f"({article.capitalize()} {attachment.kind} came that is not here: {to_markdown(reason)}.{address})"
    )


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


def put_on_ticket(arrival: Arrival, comment: NewComment) -> None:
    """Add a comment to the sender's open ticket, or open one with it; once, whatever happened before."""
    if _is_there(arrival):
        return
    helpdesk, lease, suffix = arrival.service.helpdesk, arrival.lease, ""
    for ticket_id in _open_tickets(arrival):
        lease.record("call", f"comment:{ticket_id}")
        try:
            helpdesk.add_comment(ticket_id, comment, arrival.key(arrival.variant, suffix))
        except (TicketClosed, NotFound):
            lease.forget(LINK)
            suffix = f"after:{ticket_id}"
            continue
        _remember(arrival, ticket_id)
        return
    if _opens_no_ticket(arrival.event):
        _keep(arrival)
        return
    lease.record("call", "ticket")
    _note_whether_named(arrival)
    key = arrival.key(arrival.variant, suffix)
    _opened(arrival, helpdesk.create_ticket(_ticket(arrival, comment), key).id)


def _is_there(arrival: Arrival) -> bool:
    """Look whether a call whose outcome is not known has worked."""
    what, _, ticket_id = (arrival.lease.step("call") or "").partition(":")
    helpdesk = arrival.service.helpdesk
    if what == "comment":
        return _has_comment(arrival, ticket_id)
    if what == "ticket" and (ticket := helpdesk.ticket_by_external_id(arrival.external_id)):
        _opened(arrival, ticket.id)
        return True
    return False


def _has_comment(arrival: Arrival, ticket_id: str) -> bool:
    try:
        return arrival.service.helpdesk.comment_by_external_id(ticket_id, arrival.external_id) is not None
    except NotFound:  # the ticket is gone
        return False


def _open_tickets(arrival: Arrival) -> Iterator[str]:
    """Yield the ticket that was used last, then the one that the helpdesk finds."""
    known = (arrival.lease.cached(LINK) or b"").decode()
    if known:
        yield known
    found = arrival.service.helpdesk.find_open_ticket(arrival.thread.page_id, arrival.thread.psid)
    if found is None:
        return
    if found.id == known:
        # It took no comment, and still it is found open: a passing disagreement must not open a second one.
        raise Unavailable("the helpdesk does not agree with itself whether the ticket is open")
    yield found.id


def _opened(arrival: Arrival, ticket_id: str) -> None:
    """Remember a new ticket, and tell its agents what came, or was given up, before there was one."""
    _remember(arrival, ticket_id)
    _tell_context(arrival, ticket_id)
    service, key = arrival.service, arrival.service.inbox.key(_untold(arrival.thread))
    for member in cast("list[bytes]", service.inbox.store.zrange(key, 0, -1)):
        id_, _, reason = member.decode().partition(" ")
        if service.inbox.letter(int(id_)):
            _tell_of_earlier(arrival, ticket_id, f"dead:{id_}", _given_up(int(id_), reason))
        service.inbox.store.zrem(key, member)


def _opens_no_ticket(event: events.Event) -> bool:
    """Tell whether an event is worth no ticket of its own; what another app sends may be a broadcast."""
    if isinstance(event, events.Echo):
        return not event.from_page_inbox
    return isinstance(event, events.Other) and event.kind in OPENS_NO_TICKET


def _keep(arrival: Arrival) -> None:
    """Keep what another app sent until the person writes; other events say nothing without a ticket."""
    log.info("no_open_ticket", thread=arrival.lease.thread, id=arrival.lease.event.id)
    if not isinstance(echo := arrival.event, events.Echo):
        return
    shown = [one.title or one.kind for one in echo.attachments]
    said = " ".join(filter(None, (one_line(echo.text), *(f"({one_line(one)})" for one in shown))))
    line = f"{echo.time:%Y-%m-%d %H:%M} UTC, {_echo_author(echo, arrival.connection)}: {said}"
    at = int(echo.time.timestamp() * 1000)
    arrival.service.inbox.note(_context(arrival.thread), f"{echo.mid} {line}", at, UNTOLD_FOR)


def _context(thread: events.Thread) -> str:
    """Name what other apps sent while the person had no open ticket."""
    return f"context:{thread.page_id}:{thread.psid}"


def _tell_context(arrival: Arrival, ticket_id: str) -> None:
    store, key = arrival.service.inbox.store, arrival.service.inbox.key(_context(arrival.thread))
    if kept := cast("list[bytes]", store.zrange(key, 0, -1)):
        lines = [member.decode().partition(" ")[2] for member in kept[-MOST_CONTEXT:]]
        note = "Before that, other apps of the page sent this in Messenger:\n\n" + "\n\n".join(lines)
        _tell_of_earlier(arrival, ticket_id, f"context:{arrival.external_id}", note)
        store.zrem(key, *kept)


def _tell_of_earlier(arrival: Arrival, ticket_id: str, external_id: str, note: str) -> None:
    """Tell what is of an earlier time. That it cannot be told is no reason to give up the event."""
    try:
        tell_once(arrival.service, arrival.lease, ticket_id, external_id, note)
    except ClientError as error:
        if isinstance(error, RetryableError) and not (isinstance(error, Unavailable) and arrival.is_last_try):
            raise
        log.warning("agent_not_told", thread=arrival.lease.thread, note=external_id, reason=str(error))


def _remember(arrival: Arrival, ticket_id: str) -> None:
    """Keep where the sender's messages go; the next one will probably go there, too."""
    arrival.lease.cache(LINK, ticket_id.encode(), LINK_FOR)
    arrival.lease.foresee("call", f"comment:{ticket_id}")
    bind_contextvars(ticket=ticket_id)


def _note_whether_named(arrival: Arrival) -> None:
    """Note, before a ticket is opened, whether that is done for want of a name that may be read later."""
    if not arrival.profile.name and not arrival.variant.startswith(NAMELESS):
        arrival.lease.cache(UNNAMED, b"1", UNNAMED_FOR)
    elif arrival.lease.cached(UNNAMED):
        arrival.lease.forget(UNNAMED)


def _mend_name(arrival: Arrival) -> None:
    """Put the sender's name on their ticket if it could not be read before. No message fails for it."""
    ticket_id = (arrival.lease.cached(LINK) or b"").decode()
    if not arrival.lease.cached(UNNAMED) or not arrival.profile.name or not ticket_id:
        return
    unknown = replace(arrival, profile=Profile())
    naming = Naming(_title(unknown), _title(arrival), _requester(arrival), _config(arrival))
    try:
        if not arrival.service.helpdesk.name_requester(ticket_id, naming):
            note = f"The sender of this ticket is {arrival.profile.name}; Facebook did not tell it before."
            tell_once(arrival.service, arrival.lease, ticket_id, f"named:{arrival.external_id}", note)
    except Stale:
        raise
    except ClientError as error:
        log.warning("name_not_mended", thread=arrival.lease.thread, ticket=ticket_id, reason=str(error))
        return
    arrival.lease.forget(UNNAMED)


def _ticket(arrival: Arrival, comment: NewComment) -> NewTicket:
    return NewTicket(
        desk_id=arrival.connection.desk_id,
        category_id=arrival.connection.category_id,
        title=_title(arrival),
        body=_first_body(comment),
        external_id=comment.external_id,
        requester=_requester(arrival),
        attachment_ids=comment.attachment_ids,
        files=comment.files,
        created_at=comment.created_at,
        config=_config(arrival),
    )


def _title(arrival: Arrival) -> str:
    return f"Messenger: {arrival.sender_name}"[:LONGEST_TITLE]


def _requester(arrival: Arrival) -> Requester:
    return Requester(arrival.sender_name, arrival.thread.psid, arrival.profile.picture)


def _config(arrival: Arrival) -> Config:
    profile, connection = arrival.profile, arrival.connection
    ids = {"source": SOURCE, "page_id": connection.page_id, "sender_id": arrival.thread.psid}
    known = {
        "page_name": connection.page_name,
        "sender_name": profile.name,
        "sender_first_name": profile.first_name,
        "sender_last_name": profile.last_name,
        "sender_profile_pic": profile.picture,
    }
    return ids | {name: value for name, value in known.items() if value}


def _first_body(comment: NewComment) -> str:
    """Name the author where it is not the customer: a ticket's body has no author of its own."""
    if comment.author.type != "agent":
        return comment.body
    return f"{to_markdown(comment.author.name)}:\n\n{comment.body}"
