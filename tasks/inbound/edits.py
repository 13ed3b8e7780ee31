"""A message that its sender edited: its comment gets the new text, and keeps the earlier one below."""

import msgspec
import structlog

from clients.channel import Edit
from clients.errors import RejectedError, ServiceDown, Unavailable
from clients.helpdesk import Comment
from clients.notices import notice
from clients.text.markdown import to_markdown
from clients.text.plain import to_plain_text
from tasks.inbound.arrival import Arrival
from tasks.inbound.lines import lines_of
from tasks.inbox.job import Step
from tasks.inbox.personal import Personal
from tasks.inbox.queues import HELPDESK

log = structlog.get_logger(__name__)


def edit_comment(arrival: Arrival, edit: Edit) -> bool:
    """Change the comment of a message that was edited, if it is on an open ticket and the helpdesk can.

    False is one that has to be told in a comment of its own, as is an edit that is older than one before it.
    """
    if is_superseded(arrival, edit):
        return False
    try:
        return _edited(arrival, edit)
    except RejectedError as error:
        log.warning("comment_not_edited", queue=arrival.lease.queue, reason=str(error))
    except Unavailable as error:
        if isinstance(error, ServiceDown) or not arrival.is_last_try or not arrival.service.is_up(HELPDESK):
            raise
        log.warning("comment_not_edited", queue=arrival.lease.queue, reason=str(error))
    return False


def is_superseded(arrival: Arrival, edit: Edit) -> bool:
    """Return whether a newer edit of the message came already."""
    if (early := _early(arrival, edit.message_id)) and early.time > edit.time:
        return True
    newest = dict(arrival.service.inbox.noted(Personal.EDITED, arrival.conversation)).get(edit.message_id)
    return newest is not None and newest > _time(edit)


def with_early_edit(arrival: Arrival, message_id: str, body: str) -> str:
    """Return the body of a message's comment, edited if an edit of the message came before it."""
    early = _early(arrival, message_id)
    return _body(arrival, early, body) if early else body


def _early(arrival: Arrival, message_id: str) -> Edit | None:
    """Return the edit of a message that came before it; one that another version wrote counts as absent."""
    try:
        edit = msgspec.json.decode(arrival.lease.cached(Personal.EARLY_EDIT) or b"", type=Edit)
    except msgspec.MsgspecError:
        return None
    return edit if edit.message_id == message_id else None


def _edited(arrival: Arrival, edit: Edit) -> bool:
    """Change the comment, once: what was made of which body is saved before."""
    helpdesk, lease = arrival.service.helpdesk, arrival.lease
    ticket = helpdesk.find_open_ticket(arrival.conversation)
    comment = helpdesk.find_comment(ticket.id, edit.message_id) if ticket else None
    if comment is None:
        lease.cache(Personal.EARLY_EDIT, msgspec.json.encode(edit))
        return False
    lease.note(Personal.EDITED, edit.message_id, _time(edit))
    body = _body(arrival, edit, _markdown(comment))
    # A call before this one worked; helpdesks may tidy the white space of what they store.
    if (lease.step(Step.edited()) or "").split() == comment.body.split():
        return True
    lease.save_step(Step.edited(), body)
    return helpdesk.edit_comment(comment.id, body)


def _markdown(comment: Comment) -> str:
    if comment.body_format == "markdown":
        return comment.body
    return to_markdown(to_plain_text(comment.body, comment.body_format))


def _body(arrival: Arrival, edit: Edit, before: str) -> str:
    """Write the new text, and the earlier one as a quotation."""
    what = arrival.say(notice("edited_at", time=f"{edit.time:%Y-%m-%d %H:%M} UTC"))
    text = to_markdown(edit.text) if edit.text.strip() else f"({arrival.say(notice('empty_message'))})"
    earlier = "\n".join(f"> {line}" if line.strip() else ">" for line in before.split("\n"))
    more = lines_of(arrival, edit.lines)
    return "\n\n".join(filter(None, (text, more, f"({to_markdown(what)})", earlier)))


def _time(edit: Edit) -> int:
    return int(edit.time.timestamp() * 1000)
