"""Every error of Meta's table, in both languages: the reply is sent, or waits, or the note says why not."""

import pytest

from clients.channels.meta.errors import lookup
from clients.errors import RateLimited, RejectedError, Unauthorized, Unavailable
from clients.notices import notice, say
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import OUT
from tests.fakes.meta import Refusal
from tests.fakes.meta_errors import TABLE
from tests.fakes.world import World

LANGUAGES = {"en": "Your reply was not delivered", "pl": "Twoja odpowiedź nie dotarła do klienta"}
ALL = [(code, subcode, language, words) for code, subcode in TABLE for language, words in LANGUAGES.items()]


OF_A_MESSAGE: dict[tuple[int, int | None], str] = {(2, None): "facebook_fault_or_blocked"}
"""What an error means of a message where it means something else of any other call."""


def _reason(code: int, subcode: int | None, language: str) -> str:
    ours = OF_A_MESSAGE.get((code, subcode)) or lookup(code, subcode or 0)[1]
    return say(notice(ours, owner=notice("app", app_id="999")), language)


@pytest.mark.parametrize(("code", "subcode", "language", "words"), ALL)
def test_an_error_has_an_outcome_that_the_agent_can_read(
    world: World, code: int, subcode: int | None, language: str, words: str
) -> None:
    page = connection(PAGE_A, SECRET_A, language=language)
    world.configure(connections=[page], worker={"attempts": 2, "echo_wait": 0})
    ticket = world.desk.open()
    world.reply()
    world.meta.fail("send", *(Refusal(code, subcode or 0) for _ in range(4)))
    for _ in range(2):
        world.resume(OUT)

    kind, notes = TABLE[code, subcode], [comment.body for comment in ticket.comments]
    reference = f"{code}/{subcode})" if subcode else f" {code})"
    if issubclass(kind, RejectedError | Unavailable):  # one is final at once, the other with its last try
        assert len(notes) == 1
        assert notes[0].startswith(words)
        assert f"{_reason(code, subcode, language)} (" in notes[0]
        assert reference in notes[0]
        assert world.meta.sent == []
        assert world.waiting(OUT) == 0
    elif issubclass(kind, Unauthorized):
        assert len(notes) == 1
        assert f"{_reason(code, subcode, language)} (" in notes[0]
        assert world.waiting(OUT)
    else:
        assert issubclass(kind, RateLimited)
        assert notes == []
        assert world.waiting(OUT)


@pytest.mark.parametrize(("code", "subcode"), TABLE)
def test_an_error_is_put_into_each_language(code: int, subcode: int | None) -> None:
    english, polish = _reason(code, subcode, "en"), _reason(code, subcode, "pl")

    assert polish != english
    assert " " in english
