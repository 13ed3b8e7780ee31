"""The parts of a reply: each is one message of the channel, sent once, whatever happens in between."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

import structlog

from clients.channel import Account, NewFile, NewMessage
from clients.cloudfront import signed_url
from clients.errors import (
    ClientError,
    FileRefused,
    FileTooLarge,
    KindRefused,
    LateReplyAllowed,
    LeaseLost,
    MessageRefused,
    NotFetched,
    OutcomeUnknown,
    RateLimited,
    RejectedError,
    ServiceDown,
    TakenOver,
    Unauthorized,
    Unavailable,
    Untraceable,
    UploadGone,
)
from clients.helpdesk import Attachment, Comment
from clients.media import proper_url
from clients.text.line import one_line
from clients.text.plain import is_visible
from tasks.connections import Connection
from tasks.inbox.job import UNTRACED, Step, sent_ids
from tasks.inbox.personal import Personal
from tasks.outbound import receipts
from tasks.outbound.content import (
    OurLines,
    our_lines,
    split_quotation,
    text_of,
    without_our_lines,
    words_of,
)
from tasks.work import Work

log = structlog.get_logger(__name__)

ECHO_POLL = 1.0
"""How often the echo of a part is looked for, in seconds."""
LOOK_SPREAD = 10.0
"""Over how long those are spread that may not look for what was sent yet, in seconds."""
PLAIN = "application/octet-stream"
"""The type of a file that is sent as no more than a file."""
MOST_PARTS = 50
"""How many messages one comment may become."""
APART, LINK = "apart", "link"
"""The ways of files that are not taken as they are: one by one, and as a link, whose address follows."""
LONGEST_NAME = 200
"""How many characters of a file's name stand before its link."""


@dataclass(frozen=True, slots=True)
class Outgoing(Work):
    """A reply at the head of its queue, and all that is needed to send it."""

    ticket_id: str
    comment: Comment
    connection: Connection
    account: Account


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a reply: a text, or files.

    `number` is its place, the first file's, among the texts and files of the reply; `reply_to` is the id of
    the message that it answers. `link_to` is the name of a file whose link the text is.
    """

    reply: Outgoing
    number: int
    text: str = ""
    files: tuple[Attachment, ...] = ()
    reply_to: str = ""
    link_to: str = ""

    @property
    def echo_metadata(self) -> str:
        """Return what comes back with its echo."""
        return self.reply.channel.echo_metadata(self.reply.comment.id, self.number)

    @property
    def sending(self) -> Step:
        """Return the step that says when the part was about to be sent."""
        return Step.sending(self.number)

    @property
    def sent(self) -> Step:
        """Return the step that says as which message the part was sent."""
        return Step.sent(self.number)

    @property
    def upload(self) -> Step:
        """Return the step that says how the channel calls the part's file."""
        return Step.upload(self.number)

    @property
    def is_under_way(self) -> bool:
        """Return whether the part was sent, or may have been."""
        steps = self.reply.lease.steps
        return self.sent in steps or self.sending in steps

    def send(self) -> None:
        """Send the part, unless it was sent, and save its message id. Raises `ClientError`."""
        lease = self.reply.lease
        if not lease.step(self.sent):
            message_id = _sent_before(self) or _send(self)
            lease.complete_step(self.sent, message_id)

    def apart(self) -> "list[Part]":
        """Have its files sent one by one from now on."""
        self.reply.lease.save_step(Step.way(self.number), APART)
        return [
            Part(self.reply, number, files=(file,)) for number, file in enumerate(self.files, self.number)
        ]

    def as_link(self) -> "Part":
        """Have a link to its file sent from now on. Raises `FileRefused` for a file without an address."""
        address = _public_address(self.reply, self.files[0])
        self.reply.lease.save_step(Step.way(self.number), f"{LINK} {address}")
        return _link(self.reply, self.number, self.files[0], address)


def parts_of(reply: Outgoing) -> list[Part]:
    """Return the parts of a reply, its text first. Raises `RejectedError` if there are none, or too many."""
    texts, reply_to = _texts(reply)
    parts = [Part(reply, n, text, reply_to="" if n else reply_to) for n, text in enumerate(texts)]
    parts += _file_parts(reply, first=len(texts))
    if not parts:
        raise RejectedError("nothing_to_send")
    if len(parts) > MOST_PARTS:
        raise RejectedError("too_many_messages", count=len(parts), most=MOST_PARTS)
    return parts


def do_not_answer(reply: Outgoing) -> None:
    """Have the quotation of a reply sent as text from now on: the channel does not take the answer."""
    reply.lease.save_step(Step.reply_to(), "")


def _texts(reply: Outgoing) -> tuple[list[str], str]:
    """Return what a reply says, in parts; and the message that it answers, which it then does not quote."""
    text = text_of(reply.comment, reply.service.settings.helpdesk.base_url)
    quotation, rest = split_quotation(text)
    channel, reply_to = reply.channel, ""
    ours = our_lines(channel.labels, channel.internal_labels, reply.connection.language)
    if is_visible(quotation) and is_visible(rest):
        reply_to = _quoted(reply, quotation, ours)
    said = without_our_lines(rest if reply_to else text, ours)
    if not is_visible(said) and not reply.comment.attachments:
        said = text  # whoever writes nothing else wants just that to be sent
    return [*filter(is_visible, channel.split_text(said))], reply_to


def _quoted(reply: Outgoing, quotation: str, ours: OurLines) -> str:
    """Return the id of the message that a reply quotes; once and for all, as its parts depend on it."""
    known = reply.lease.step(Step.reply_to())
    if known is not None:
        return known
    remotes, asked = reply.service.remotes, f"{reply.account.remote} quoted"
    found = None
    if not remotes.is_resting(asked):
        try:
            words = words_of(quotation, ours)
            found = reply.account.find_quoted(reply.conversation.person_id, quotation, words)
        except LeaseLost:
            raise
        except ClientError as error:
            remotes.rest(asked)
            log.info("quoted_message_not_found", remote=reply.account.remote, reason=str(error))
    return reply.lease.save_step(Step.reply_to(), found or "")


def _file_parts(reply: Outgoing, first: int) -> Iterator[Part]:
    """Yield the parts with files: several of one kind that follow each other are one where possible."""

    def kind_of(numbered: tuple[int, Attachment]) -> str:
        return reply.channel.kind_of_file(numbered[1].content_type, numbered[1].size)

    for kind, group in groupby(enumerate(reply.comment.attachments, first), kind_of):
        files, most = list(group), reply.channel.most_files(kind)
        for start in range(0, len(files), most):
            yield from _together(reply, files[start : start + most])


def _together(reply: Outgoing, numbered: list[tuple[int, Attachment]]) -> Iterator[Part]:
    first, way = numbered[0][0], reply.lease.step(Step.way(numbered[0][0]))
    if len(numbered) > 1 and way is None:
        yield Part(reply, first, files=tuple(file for _, file in numbered))
        return
    for number, file in numbered:
        way, _, address = (reply.lease.step(Step.way(number)) or "").partition(" ")
        yield _link(reply, number, file, address) if way == LINK else Part(reply, number, files=(file,))


def _link(reply: Outgoing, number: int, file: Attachment, address: str) -> Part:
    name = one_line(file.filename)[:LONGEST_NAME] or address.rpartition("/")[2]
    return Part(reply, number, f"{name}\n{address}", link_to=name)


def _sent_before(part: Part) -> str | None:
    """Return the message id of a part that was sent although nobody saved it.

    A channel may have no idempotency key. The echo shows it, which may take a while: until then this raises
    `OutcomeUnknown`. Where none comes, as the account is not subscribed to echoes or our endpoint was down,
    the channel is asked for what was sent. Where that shows nothing, only a person has it sent once more.
    """
    reply = part.reply
    if not reply.lease.step(part.sending):
        return None
    if echo := reply.service.inbox.part_echo(reply.conversation, part.echo_metadata):
        reply.lease.save_step(Step.sent_at(), str(echo.time))
        return echo.message_id
    if reply.lease.step(part.sending) == UNTRACED:
        return None
    age = reply.lease.age(part.sending)
    if age < reply.service.settings.worker.echo_wait:
        raise OutcomeUnknown("send_unconfirmed", retry_after=ECHO_POLL)
    return _find_sent(part, timedelta(seconds=age))


def _find_sent(part: Part, age: timedelta) -> str | None:
    """Look for a part among what the account sent since we began to send it, `age` ago.

    The channel says how old its messages are by its own clock, so no two clocks are compared.
    """
    reply = part.reply
    known = {*sent_ids(reply.lease.steps), *receipts.our_ids(reply.service.inbox, reply.conversation)}
    text = None if part.files else part.text
    try:
        found = reply.account.find_sent(reply.conversation.person_id, text, age, known)
    except RateLimited as error:
        # Channels let an account look only so often. Who waits for his turn must not hold up the account's
        # sending, nor come back in step with all the others that wait.
        wait = (error.retry_after or ECHO_POLL) + random.uniform(0, LOOK_SPREAD)  # noqa: S311 - only jitter
        raise OutcomeUnknown("send_unconfirmed", retry_after=wait) from error
    except Untraceable:
        raise
    except RejectedError as error:
        log.warning("sent_messages_not_read", queue=reply.lease.queue, reason=str(error))
        return None
    if found is None:
        return None
    _note_time(reply, found.age)
    return found.message_id


def _send(part: Part) -> str:
    by_address = part.reply.service.settings.attachments.delivery != "upload"
    if len(part.files) == 1:
        return _send_file(part, part.files[0], by_address=by_address)
    files = []
    for number, file in enumerate(part.files, part.number):
        kind = part.reply.channel.kind_of_file(file.content_type, file.size)
        files.append(_new_file(part.reply, Step.upload(number), file, kind, by_address=by_address))
    return _call(part, files)


def _send_file(part: Part, file: Attachment, *, by_address: bool) -> str:
    """Send a file; if it is refused as it is sent, once more in the way that may be accepted."""
    reply, channel = part.reply, part.reply.channel
    uploaded_as = (reply.lease.step(part.upload) or "").partition(" ")[0]
    kind = uploaded_as or channel.kind_of_file(file.content_type, file.size)
    try:
        return _send_as(part, file, kind, by_address=by_address)
    except KindRefused:
        plain = channel.kind_of_file(PLAIN, file.size)
        if kind == plain:
            raise
        return _send_as(part, file, plain, by_address=by_address)
    except NotFetched:
        if not by_address:
            raise
        return _send_as(part, file, kind, by_address=False)
    except UploadGone:
        return _send_as(part, file, kind, by_address=by_address)


def _send_as(part: Part, file: Attachment, kind: str, *, by_address: bool) -> str:
    new_file = _new_file(part.reply, part.upload, file, kind, by_address=by_address)
    try:
        return _call(part, [new_file])
    except FileRefused:
        part.reply.lease.undo_step(part.upload)
        raise


def _new_file(reply: Outgoing, upload: Step, file: Attachment, kind: str, *, by_address: bool) -> NewFile:
    """Return a file as the channel gets it. Raises `FileRefused`, before it is moved if possible."""
    most = _max_bytes(reply)
    if file.size > most:
        raise FileTooLarge("file_too_large", limit_bytes=most)
    if by_address:
        return NewFile(kind, url=_address(reply, file))
    return NewFile(kind, uploaded=_uploaded(reply, upload, kind, file))


def _max_bytes(reply: Outgoing) -> int:
    return min(reply.service.settings.attachments.max_bytes, reply.channel.max_file_bytes)


def _address(reply: Outgoing, file: Attachment) -> str:
    """Return the address at which the channel fetches a file; the helpdesk may give one below its own."""
    return _signed(reply, file, reply.service.settings.attachments.cloudfront.expires_in)


def _public_address(reply: Outgoing, file: Attachment) -> str:
    """Return the address at which the person fetches a file. Raises `FileRefused` if there is none."""
    address = _signed(reply, file, reply.service.settings.attachments.cloudfront.link_expires_in)
    if not file.url.strip() or not address.startswith(("http://", "https://")):
        raise FileRefused("bad_address")
    return address


def _signed(reply: Outgoing, file: Attachment, expires_in: int) -> str:
    settings = reply.service.settings
    url, key = str(proper_url(file.url, settings.helpdesk.base_url)), settings.attachments.cloudfront
    if settings.attachments.delivery == "cloudfront":
        return signed_url(url, key.key_pair_id, key.private_key_file, expires_in)
    return url


def _uploaded(reply: Outgoing, upload: Step, kind: str, file: Attachment) -> str:
    """Move a file from the helpdesk to the channel, unless it is there; the step also says as what.

    One that cannot be moved for ever does not cost the others.
    """
    if known := reply.lease.step(upload):
        return known.partition(" ")[2]
    reply.lease.need_helpdesk()
    try:
        with reply.service.helpdesk.open_attachment(file, _max_bytes(reply)) as content:
            uploaded = reply.account.upload(kind, content)
    except FileRefused:
        raise
    except RejectedError as error:
        raise FileRefused(error.notice.code, **error.notice.values) from error
    except Unavailable as error:
        if not _is_final(reply, error):
            raise
        raise FileRefused(error.notice.code, **error.notice.values) from error
    reply.lease.complete_step(upload, f"{kind} {uploaded}")
    return uploaded


def _is_final(reply: Outgoing, error: Unavailable) -> bool:
    """Return whether a file is left out, as its last try failed though its remote is up."""
    if isinstance(error, ServiceDown) or not reply.is_last_try:
        return False
    return not error.remote or reply.service.is_up(error.remote)


def _call(part: Part, files: list[NewFile], *, is_taken_over: bool = False) -> str:
    """Send with a record around the call; once more, as a late reply or once it is ours, where allowed."""
    reply, lease = part.reply, part.reply.lease
    message = NewMessage(
        part.echo_metadata,
        part.text,
        files,
        part.reply_to,
        is_automated=reply.comment.is_automated,
        is_late=Step.late() in lease.steps,
        is_taken_over=is_taken_over,
        wrote_at=_wrote_at(reply),
    )
    lease.save_time(part.sending, reply.channel.rate_of(has_file=bool(files)))
    began = time.monotonic()
    try:
        message_id = reply.account.send(reply.conversation.person_id, message)
    except Unavailable as error:
        if not error.maybe_done:
            lease.undo_step(part.sending)
        raise
    except LateReplyAllowed as error:
        lease.undo_step(part.sending)
        if part.reply_to:  # a late reply answers no certain message, so it has to quote
            do_not_answer(reply)
        lease.save_step(Step.late(), "")
        if part.reply_to:
            raise MessageRefused(error.notice.code, **error.notice.values) from None
        return _call(part, files, is_taken_over=is_taken_over)
    except TakenOver:
        lease.undo_step(part.sending)
        return _call(part, files, is_taken_over=True)
    except (RejectedError, Unauthorized, RateLimited):
        lease.undo_step(part.sending)
        raise
    _note_time(reply, timedelta(seconds=time.monotonic() - began))
    reply.service.clocks.measure(reply.channel.name, reply.account.now())
    reply.service.remotes.slow_down(reply.account.remote, reply.account.usage())
    return message_id


def _wrote_at(reply: Outgoing) -> datetime | None:
    """Return when the person wrote last, if it was not too long ago to be kept."""
    known = reply.lease.cached(Personal.WROTE_AT)
    return datetime.fromtimestamp(int(known) / 1000, UTC) if known else None


def _note_time(reply: Outgoing, age: timedelta) -> None:
    """Save when a part was sent, by the channel's clock: its receipts go by that."""
    if now := reply.account.now():
        reply.lease.save_step(Step.sent_at(), str(int((now - age).timestamp() * 1000)))
