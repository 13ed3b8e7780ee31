"""A reply that quotes a message answers it, where Meta takes that."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from clients.notices import notice
from tasks.words import say
from tests.conftest import PAGE_A, SECRET_A, connection
from tests.fakes.conversation import IN, INVOICE, OUT, PAGE
from tests.fakes.crashes import every_crash
from tests.fakes.meta import OUTSIDE_WINDOW, Refusal
from tests.fakes.world import World

REPLY = "> Where is\n> my parcel?\n\nOn its way."


def test_a_reply_that_quotes_a_message_answers_it(world: World) -> None:
    world.meta.said = {"m_9": "Hello", "m_8": "Where is my parcel?"}
    world.reply(REPLY)
    world.work(OUT)

    assert world.meta.texts() == ["On its way."]
    assert world.meta.sent[0]["reply_to"] == {"mid": "m_8"}


def test_only_the_first_part_answers(world: World) -> None:
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.reply(REPLY + " " + "a" * 2000)
    world.work(OUT)

    assert [one["reply_to"] for one in world.meta.sent] == [{"mid": "m_8"}, None]


def test_words_that_nobody_wrote_are_sent_as_a_quotation(world: World) -> None:
    world.meta.said = {"m_8": "Where is it?"}
    world.reply(REPLY)
    world.work(OUT)

    assert world.meta.texts() == [REPLY]
    assert world.meta.sent[0]["reply_to"] is None


def test_a_message_of_more_than_a_day_ago_is_only_quoted(world: World) -> None:
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.meta.said_at -= timedelta(hours=25)
    world.reply(REPLY)
    world.work(OUT)

    assert world.meta.texts() == [REPLY]


def test_an_answer_that_meta_does_not_take_is_sent_with_its_quotation(world: World) -> None:
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.reply(REPLY)
    world.meta.fail("send", Refusal(100))
    world.work(OUT)

    assert world.meta.texts() == [REPLY]
    assert world.reasons() == []


@pytest.mark.parametrize("failure", [Refusal(613), Refusal(10), httpx.ReadTimeout("slow")])
def test_a_reply_does_not_wait_for_what_it_quotes(world: World, failure: Exception) -> None:
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.reply(REPLY)
    world.meta.fail("conversations", failure)
    world.work(OUT)

    assert world.meta.texts() == [REPLY]
    assert not world.paused(PAGE)


def test_a_late_reply_answers_no_message_and_so_quotes_it(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, human_agent=True)])
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.reply(REPLY)
    world.meta.fail("send", Refusal(*OUTSIDE_WINDOW))
    world.work(OUT)

    assert [(one["tag"], one["reply_to"]) for one in world.meta.sent] == [("HUMAN_AGENT", None)]
    assert world.meta.texts() == [REPLY]
    assert world.reasons() == []


def test_nothing_but_a_quotation_is_sent_as_it_is(world: World) -> None:
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.reply("> Where is my parcel?")
    world.work(OUT)

    assert world.meta.texts() == ["> Where is my parcel?"]
    assert world.meta.count("conversations") == 0


ON_THE_TICKET = [
    "> Where is\n> my parcel?\n>\n> Quick reply: CONFIRM_YES",
    "> > In reply to the page's message “Hello, Where is my parcel? again”:\n>\n> Where is my parcel?",
    "> In reply to the page's message “Hello”:\n>\n> Where is my parcel?",
    "> Where is my parcel?\n>\n> Advertisement: 6\n>\n> [Picture](https://fbcdn.net/1)\n>\n> Reference: a",
    "> Where is my parcel?\n>\n> (Another app answers this conversation at present.)",
    "> Where is my parcel?\n>\n> (Edited by the customer on 2026-11-29. The earlier text:)\n>\n> > Whre",
    "> Anna Nowak wrote:\n>\n> Where is my parcel?",
    "Anna Nowak wrote:\n\n> Where is my parcel?",
    "On Monday Anna wrote:\n> Where is my parcel?",
    "> Where is my par",
    "> Anna: “Where is my parcel?”",
]


@pytest.mark.parametrize("quotation", ON_THE_TICKET)
def test_a_message_is_known_as_it_stands_on_the_ticket(world: World, quotation: str) -> None:
    world.meta.said = {"m_9": "Hello", "m_8": "Where is my parcel?"}
    world.reply(f"{quotation}\n\nOn its way.", body_format="markdown")
    world.work(OUT)

    assert world.meta.texts() == ["On its way."]
    assert world.meta.sent[0]["reply_to"] == {"mid": "m_8"}


def test_our_own_lines_are_known_in_the_language_of_the_connection(world: World) -> None:
    world.configure(connections=[connection(PAGE_A, SECRET_A, language="pl")])
    label = say(notice("quick_reply"), "pl")
    world.meta.said = {"m_8": "Tak"}
    world.reply(f"> Tak\n>\n> {label}: CONFIRM_YES\n\nDobrze.")
    world.work(OUT)

    assert label != say(notice("quick_reply"))
    assert [(one["text"], one["reply_to"]) for one in world.meta.sent] == [("Dobrze.", {"mid": "m_8"})]


@pytest.mark.parametrize(
    ("said", "quotation"),
    [
        ({"m_9": "Where is my parcel?", "m_8": "Where is my parcel? I wait."}, "> Where is my par"),
        ({"m_9": "Where is it"}, "> Where"),
        ({"m_9": "Hello"}, "> Hello you"),
        ({"m_9": "opening hours"}, "> Our opening hours are from nine to five on all working days."),
        ({"m_9": "Where is my parcel?"}, "> > In reply to the message “Where is my parcel?”:\n>\n> ok then"),
    ],
)
def test_what_may_be_another_message_or_chance_is_not_answered(
    world: World, said: dict[str, str], quotation: str
) -> None:
    world.meta.said = said
    world.reply(f"{quotation}\n\nOn its way.")
    world.work(OUT)

    assert world.meta.sent[0]["reply_to"] is None


@pytest.mark.parametrize("said", ["Reference: 12345", "(please)", "> OK", "Question:\nWhere is it?"])
def test_words_of_the_persons_that_look_like_ours_are_theirs(world: World, said: str) -> None:
    world.meta.said = {"m_8": said}
    quotation = "\n".join(f"> {line}" for line in said.split("\n"))
    world.reply(f"{quotation}\n\nYes.")
    world.work(OUT)

    assert world.meta.sent[0]["reply_to"] == {"mid": "m_8"}


@pytest.mark.parametrize(
    ("quotation", "left"),
    [
        (
            "> Yes please\n>\n> Quick reply: YES\n>\n> Reference: spring\n>\n> Soon",
            "> Yes please\n>\n> Soon\n\n",
        ),
        ("Anna wrote:\n> Yes please\n>\n> Quick reply: YES", "Anna wrote:\n> Yes please\n\n"),
        ("Anna wrote:\n> Quick reply: YES\n>\n> (an image)", ""),
        ("Anna wrote:\n\n> Location: map\n> Advertisement: 6\n\n", ""),
        ("> Oh\n\nYes.\n\n> Hm\n>\n> > In reply to the message “Oh”:", "> Oh\n\nYes.\n\n> Hm\n\n"),
        ("> Yes\n>\n> (Another app answers this conversation at present.)", "> Yes\n\n"),
        ("> New\n>\n> (Edited by the customer on 2026-11-29. The earlier text:)\n>\n> > Old", "> New\n\n"),
    ],
)
def test_a_quotation_goes_out_without_our_lines(world: World, quotation: str, left: str) -> None:
    world.reply(f"{quotation}\n\nOn its way.")
    world.work(OUT)

    assert world.meta.texts() == [f"{left}On its way."]


@pytest.mark.parametrize(
    "quotation",
    [
        "Your order:\n> Order number: 7\n> Status: sent\n> Total: 50 EUR\n> (with VAT)",
        "> Reference: RF-7",
        "> > Nested\n> Price: 5",
    ],
)
def test_what_agents_write_as_a_quotation_themselves_is_sent_as_it_is(world: World, quotation: str) -> None:
    world.reply(f"{quotation}\n\nOn its way.")
    world.work(OUT)

    assert world.meta.texts() == [f"{quotation}\n\nOn its way."]


def test_a_quotation_beside_a_file_goes_out_without_our_lines(world: World) -> None:
    world.desk.open()
    world.reply("> Quick reply: YES", INVOICE)
    world.work(OUT)

    assert world.meta.texts() == ["file"]


def test_nothing_but_our_lines_is_sent_as_it_is(world: World) -> None:
    world.reply("> Quick reply: YES")
    world.work(OUT)

    assert world.meta.texts() == ["> Quick reply: YES"]


def test_a_message_that_is_not_shown_any_more_is_not_taken_for_a_longer_one(world: World) -> None:
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.meta.said_at -= timedelta(hours=25)
    world.meta.wrote_at = None
    world.reply("> Where is my parcel\n\nOn its way.")
    world.work(OUT)

    assert world.meta.sent[0]["reply_to"] is None


@pytest.mark.parametrize("reply", [REPLY, f"> Where is\n> my parcel?\n> Quick reply: A\n\n{'a' * 1999}"])
@pytest.mark.parametrize("refused", [False, True])
def test_an_answer_is_sent_once_wherever_the_worker_dies(
    worlds: Callable[[], World], reply: str, *, refused: bool
) -> None:
    def prepare(world: World) -> list[str]:
        world.configure(worker={"echo_wait": 0})
        world.echo_all()
        world.desk.open()
        world.meta.said = {"m_8": "Where is my parcel?"}
        world.reply(reply)
        if refused:
            world.meta.fail("send", Refusal(100))
        return [OUT]

    for world in every_crash(worlds, prepare):
        sent, said = "\n\n".join(world.meta.texts()), reply.replace("\n> Quick reply: A", "")
        answers = world.meta.sent[0]["reply_to"] is not None  # a crash may cost the world its refusal
        assert sent.split() == (said.partition("\n\n")[2] if answers else said).split()


def test_what_the_page_itself_said_in_the_same_words_is_not_what_is_answered(world: World) -> None:
    world.meta.said = {"m_8": "OK"}
    world.reply("OK", id_="1")
    world.work(OUT)
    world.reply("> OK\n\nThen it is settled.", id_="2")
    world.work(OUT)

    assert world.meta.sent[-1]["reply_to"] == {"mid": "m_8"}


def test_a_person_who_cannot_be_shown_that_theirs_was_seen_costs_nobody_an_answer(world: World) -> None:
    world.meta.said = {"m_8": "Where is my parcel?"}
    world.desk.open()
    world.meta.fail("action", Refusal(551))
    world.receive()
    world.work(IN)
    world.reply(REPLY)
    world.work(OUT)

    assert world.meta.texts() == ["On its way."]
