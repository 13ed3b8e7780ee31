"""What a check finds: a code and values, and a table of what each code means and how it is put right."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from clients.notices import Notice, Value, add_sentences


class Level(StrEnum):
    """How bad it is. `UNKNOWN` is what cannot be told, and is no fault."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    STOPS_MESSAGES = "stops_messages"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code is: its sentence, what it means for messages, what to do, all in English.

    One that `can_be_fixed` is fixed when somebody asks for it, or unasked if `is_fixed_unasked`; one that
    `is_set_up` also when the account is connected by a login, which itself is what one that `needs_login` is
    fixed by. Behind one that `hides_others` the checks that follow could not be made. One that `may_pass`
    often passes by itself: nobody is told of it on a ticket before a second check has found it. While one
    `stops_webhooks` none may come, or none is taken: what is said meanwhile is fetched once it is over. One
    that `is_momentary` says something of this check alone, and is not kept. One that `is_reported` agents are
    told of on a ticket, though it does not stop messages. One that `says_how_long` is no fault, and is shown
    all the time. One that `is_for_operator` nobody can put right but who runs the connector. For them all
    remedies are written, but of what `is_for_page`: an administrator of the page sees to that at the channel.
    """

    level: Level
    what: str
    means: str = ""
    remedy: str = ""
    can_be_fixed: bool = False
    is_fixed_unasked: bool = False
    is_set_up: bool = False
    hides_others: bool = False
    may_pass: bool = False
    needs_login: bool = False
    stops_webhooks: bool = False
    is_momentary: bool = False
    is_reported: bool = False
    says_how_long: bool = False
    is_for_operator: bool = False
    is_for_page: bool = False


_meanings: dict[str, Meaning] = {}
_OF_NOBODY = Meaning(Level.WARNING, "")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. No value holds a token, a secret, or what anybody wrote."""

    code: str
    values: dict[str, Value]

    @property
    def meaning(self) -> Meaning:
        """Return what its code is; a code of another version's counts as a warning."""
        return _meanings.get(self.code, _OF_NOBODY)

    @property
    def level(self) -> Level:
        """Return how bad it is."""
        return self.meaning.level

    @property
    def is_wrong(self) -> bool:
        """Return whether somebody should do something about it."""
        return self.level in {Level.WARNING, Level.STOPS_MESSAGES}

    @property
    def what(self) -> Notice:
        """Return what it is."""
        return Notice(self.code, self.values)

    @property
    def means(self) -> Notice | None:
        """Return what it means for messages, if that has to be said."""
        return self._part("means", self.meaning.means)

    @property
    def remedy(self) -> Notice | None:
        """Return what to do about it."""
        return self._part("remedy", self.meaning.remedy)

    def _part(self, name: str, sentence: str) -> Notice | None:
        """Return another sentence; the reference stands behind the first one already."""
        values = {key: value for key, value in self.values.items() if key != "reference"}
        return Notice(f"{self.code}.{name}", values) if sentence else None


def finding(code: str, **values: Value) -> Finding:
    """Return a finding."""
    return Finding(code, values)


def add_meanings(meanings: Mapping[str, Meaning]) -> None:
    """Register what each code means. Raises `ValueError` for a code that is taken."""
    for code, meaning in meanings.items():
        parts = {code: meaning.what, f"{code}.means": meaning.means, f"{code}.remedy": meaning.remedy}
        add_sentences({name: sentence for name, sentence in parts.items() if sentence})
        _meanings[code] = meaning
