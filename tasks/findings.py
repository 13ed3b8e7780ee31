"""What is wrong with each connection, and with the helpdesk, by their last checks: kept in the store.

So the log says when something began and when it is over, each once, whichever worker looks.
"""

from collections.abc import Iterable, Sequence

import msgspec
import structlog

from clients.findings import Finding, Level
from clients.notices import Notice
from tasks.inbox.inbox import Inbox
from tasks.words import say

log = structlog.get_logger(__name__)


class KeptFinding(msgspec.Struct, frozen=True):
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


class Checked(msgspec.Struct, frozen=True):
    """When a remote was checked last, and since when nothing was wrong (seconds since 1970).

    `lasts` says until when what works will do.
    """

    at: float
    well_since: float | None = None
    lasts: Sequence[Notice] = ()


_HIDDEN = {"desk_unknown": ("desk_missing", "category_missing")}
"""What a check cannot have found, by what it found instead: it could not look."""
_decode, _encode = msgspec.json.Decoder(list[KeptFinding]).decode, msgspec.json.Encoder().encode
_decode_checked = msgspec.json.Decoder(Checked).decode


def note(inbox: Inbox, name: str, found: Iterable[Finding]) -> list[KeptFinding]:
    """Keep what is wrong with a remote; log what began and what is over, and return the latter.

    Raises `redis.RedisError`.
    """
    found = list(found)
    known = {one.what.code: one for one in kept(inbox.findings_of(name))}
    now = inbox.now()
    wrong = {
        one.code: KeptFinding(one.what, known[one.code].since, True)
        if one.code in known
        else KeptFinding(one.what, now)
        for one in found
        if one.is_wrong and not one.meaning.is_momentary
    }
    # Nobody knows whether what could not be looked at is over.
    hides_all = any(one.meaning.hides_others for one in found)
    hidden = {code for one in found for code in _HIDDEN.get(one.code, ())}
    wrong = {code: one for code, one in known.items() if hides_all or code in hidden} | wrong
    checked = b""
    if not any(one.meaning.hides_others and one.meaning.is_momentary for one in found):  # else nobody looked
        stored = inbox.checked([name])[0]
        checked = _encode(_checked(stored, found, now, was_wrong=bool(known), is_wrong=bool(wrong)))
    inbox.note_findings(name, _encode(list(wrong.values())) if wrong else b"", checked)
    for code in wrong.keys() - known.keys():
        new = wrong[code].finding
        write = log.error if new.level == Level.STOPS_MESSAGES else log.warning
        write("finding_began", remote=name, finding=str(new.what), hint=say(new.remedy) if new.remedy else "")
    over = [one for code, one in known.items() if code not in wrong]
    for one in over:
        log.info("finding_over", remote=name, code=one.what.code, after_seconds=round(now - one.since))
    return over


def _checked(
    stored: bytes | None, found: Sequence[Finding], now: float, *, was_wrong: bool, is_wrong: bool
) -> Checked:
    """Return what is to be kept about a check, by what is of the one before."""
    before = last_check(stored) or Checked(now)
    well_since = None if is_wrong else now if was_wrong else before.well_since or now
    lasts: Sequence[Notice] = [one.what for one in found if one.meaning.says_how_long]
    if any(one.meaning.hides_others for one in found):
        lasts = before.lasts
    return Checked(now, well_since, lasts)


def last_check(stored: bytes | None) -> Checked | None:
    """Read what the store keeps about the last check of a remote."""
    try:
        return _decode_checked(stored) if stored else None
    except msgspec.MsgspecError:  # of another version
        return None


def kept(stored: bytes | None) -> list[KeptFinding]:
    """Read what the store keeps of a remote."""
    try:
        return _decode(stored) if stored else []
    except msgspec.MsgspecError:  # of another version
        return []
