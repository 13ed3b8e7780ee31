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


def _reason(code: int, subcode: int | None, language: str) -> str:
    return say(notice(lookup(code, subcode or 0)[1], owner=notice("app", app_id="999")), language)


@pytest.mark.parametrize(("code", "subcode", "language", "words"), ALL)
def test_an_error_has_an_outcome_that_the_agent_can_read(
    world: World, code: int, subcode: int | None, language: str, words: str
) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, language=language)], worker={"attempts": 1})
    ticket = world.desk.open()
    world.reply()
    world.meta.fail("send", *(Refusal(code, subcode or 0) for _ in range(3)))
    world.work(OUT)

    kind, notes = TABLE[code, subcode], [comment.body for comment in ticket.comments]
    reference = f"{code}/{subcode})" if subcode else f" {code})"
    if issubclass(kind, RejectedError):
        assert len(notes) == 1
        assert notes[0].startswith(words)
        assert f"{_reason(code, subcode, language)} (" in notes[0]
        assert reference in notes[0]
    elif issubclass(kind, Unauthorized):
        assert len(notes) == 1
        assert f"{_reason(code, subcode, language)} (" in notes[0]
        assert world.waiting(OUT)
    elif issubclass(kind, RateLimited):
        assert notes == []
        assert world.waiting(OUT)
    else:
        assert issubclass(kind, Unavailable)
        assert len(world.meta.sent) <= 1


@pytest.mark.parametrize(("code", "subcode"), TABLE)
def test_an_error_is_put_into_each_language(code: int, subcode: int | None) -> None:
    english, polish = _reason(code, subcode, "en"), _reason(code, subcode, "pl")

    assert polish != english
    assert " " in english
