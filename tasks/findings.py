"""What is wrong with each connection, and with the helpdesk, by their last checks: kept in the store.

So the log says when something began and when it is over, each once, whichever worker looks.
"""

from collections.abc import Iterable

import msgspec
import structlog

from clients.findings import Finding, Level
from clients.notices import Notice
from tasks.inbox.inbox import Inbox
from tasks.words import say

log = structlog.get_logger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """A finding as the store keeps it; `since` is in seconds since 1970.

    It is confirmed once a second check has found it.
    """

    what: Notice
    since: float
    is_confirmed: bool = False

    @property
    def finding(self) -> Finding:
        """Return the finding."""
        return Finding(self.what.code, self.what.values)

    @property
    def stops_messages(self) -> bool:
        """Return whether it stops messages, and is not just what often passes by itself."""
        meaning = self.finding.meaning
        return meaning.level == Level.STOPS_MESSAGES and (self.is_confirmed or not meaning.may_pass)

    @property
    def is_reported(self) -> bool:
        """Return whether agents are told of it on a ticket."""
        return self.stops_messages or self.finding.meaning.is_reported


_decode, _encode = msgspec.json.Decoder(list[Kept]).decode, msgspec.json.Encoder().encode


def note(inbox: Inbox, name: str, found: Iterable[Finding]) -> list[Kept]:
    """Keep what is wrong with a remote; log what began and what is over, and return the latter.

    Raises `redis.RedisError`.
    """
    found = list(found)
    known = {one.what.code: one for one in kept(inbox.findings_of(name))}
    now = inbox.now()
    wrong = {
        one.code: Kept(one.what, known[one.code].since, True) if one.code in known else Kept(one.what, now)
        for one in found
        if one.is_wrong and not one.meaning.is_momentary
    }
    if any(one.meaning.hides_others for one in found):
        wrong = known | wrong  # nobody knows whether the others are over
    if wrong != known:
        inbox.note_findings(name, _encode(list(wrong.values())) if wrong else b"")
    for code in wrong.keys() - known.keys():
        new = wrong[code].finding
        write = log.error if new.level == Level.STOPS_MESSAGES else log.warning
        write("finding_began", remote=name, finding=str(new.what), hint=say(new.remedy) if new.remedy else "")
    over = [one for code, one in known.items() if code not in wrong]
    for one in over:
        log.info("finding_over", remote=name, code=one.what.code, after_seconds=round(now - one.since))
    return over


def kept(stored: bytes | None) -> list[Kept]:
    """Read what the store keeps of a remote."""
    try:
        return _decode(stored) if stored else []
    except msgspec.MsgspecError:  # of another version
        return []
