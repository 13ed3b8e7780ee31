"""What agents read is in the language of their page's connection; what operators read is the code."""

import json

import pytest
from structlog.testing import capture_logs

from clients.errors import FileRefused
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import IN, OUT
from tests.fakes.failures import too_long
from tests.fakes.meta import Refusal
from tests.fakes.world import World


@pytest.fixture
def polish(world: World) -> World:
    """Give a world whose agents speak Polish."""
    world.configure(connections=[connection(PAGE_A, SECRET_A, language="pl")])
    return world


def test_a_reply_that_is_refused_is_told_in_polish(polish: World) -> None:
    ticket = polish.desk.open()
    polish.reply()
    polish.meta.fail("send", Refusal(10, 2018278))
    with capture_logs() as logs:
        polish.work(OUT)

    reason = (
        "Facebook nie pozwala już odpowiedzieć, bo od ostatniej wiadomości klienta minęło zbyt wiele czasu; "
        "poczekaj, aż klient napisze ponownie, lub skontaktuj się z nim inaczej (błąd Facebooka 10/2018278)"
    )
    (note,) = ticket.comments
    assert note.body == (
        f"Twoja odpowiedź nie dotarła do klienta: {reason}. Po usunięciu przyczyny administrator może wysłać "
        "brakującą część poleceniem „connector dead retry 1”."
    )
    assert polish.desk.deliveries["981"].error == reason
    told = "window_closed reference=(facebook_error error=10/2018278)"
    assert [line["reason"] for line in logs if line["event"] == "dead_letter"] == [told]
    (letter,) = polish.inbox.dead_letters.all()
    assert json.loads(letter.reason)["code"] == "window_closed"


def test_a_reply_that_waits_is_told_in_polish(polish: World) -> None:
    ticket = polish.desk.open()
    polish.reply()
    polish.meta.fail("send", Refusal(190))
    polish.work(OUT)

    (note,) = ticket.comments
    assert note.body == (
        "Twoja odpowiedź nie została jeszcze wysłana: Facebook odrzucił token dostępu strony; administrator "
        "musi go odnowić (błąd Facebooka 190). Zostanie wysłana automatycznie, gdy tylko problem zostanie "
        "rozwiązany."
    )


def test_a_message_that_cannot_be_added_is_told_in_polish(polish: World) -> None:
    ticket = polish.desk.open()
    polish.receive()
    polish.desk.fail("add_comment", *too_long())
    polish.work(IN)

    (note,) = ticket.comments
    assert note.body.startswith("Nie udało się dodać wiadomości klienta do tego zgłoszenia: it is too long. ")
    assert "„connector dead show 1”" in note.body


def test_a_file_that_is_missing_is_told_in_polish(polish: World) -> None:
    image = {"type": "image", "payload": {"url": "https://cdn.fbsbx.com/photo.jpg"}}
    polish.receive(attachments=[image])
    polish.media.fail("fetch", FileRefused("file_too_large", limit_bytes=1_572_864))
    polish.work(IN)

    (ticket,) = polish.desk.tickets.values()
    assert ticket.new
    assert (
        "(Klient wysłał zdjęcie, ale nie udało się pobrać pliku: rozmiar przekracza 1,5 MB. "
        "[Link do oryginału](https://cdn.fbsbx.com/photo.jpg))"
    ) in ticket.new.body


def test_a_person_without_a_name_and_an_event_are_told_in_polish(polish: World) -> None:
    polish.meta.profile = {}
    polish.receive_item({"timestamp": 1795383000000, "postback": {"title": "Start", "mid": "m_1"}})
    polish.work(IN)

    (ticket,) = polish.desk.tickets.values()
    assert ticket.new
    assert ticket.new.title.startswith("Messenger: Użytkownik Messengera ")
    assert ticket.new.body == "Klient kliknął przycisk „Start”."


def test_the_language_of_a_page_that_is_unknown_is_that_of_the_first_connection(polish: World) -> None:
    assert polish.service.language(PAGE_A) == "pl"
    assert polish.service.language("0") == "pl"
    polish.configure(connections=[])
    assert polish.service.language(PAGE_A) == "en"


def test_of_a_page_listed_twice_the_language_of_the_active_connection_counts(world: World) -> None:
    former = connection(PAGE_A, SECRET_A, language="en", active=False)
    world.configure(connections=[former, connection(PAGE_A, SECRET_A, language="pl")])
    assert world.service.language(PAGE_A) == "pl"


def test_a_new_ticket_says_the_language_of_its_page(polish: World) -> None:
    polish.receive()
    polish.work(IN)

    (ticket,) = polish.desk.tickets.values()
    assert ticket.new
    assert ticket.new.language == "pl"
