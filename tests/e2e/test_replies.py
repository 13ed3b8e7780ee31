"""An agent's comment reaches Messenger: complete, in order, once; and the agent learns what did not."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.samples import Sample, document, photo, voice_clip
from sandbox.stack import PAGES, Page, Stack, until
from tests.e2e.conftest import QUICK
from tests.e2e.load import kill

LATE = Page("55501", "Late", "777", "7e" * 16, "EAAlate", "verify-3", "9", None, human_agent=True)
LINKING = Page("55502", "Linking", "778", "7f" * 16, "EAAlinks", "verify-4", "9", None, link_large_files=True)
REMINDED = Page(
    "55503", "Reminded", "779", "6f" * 16, "EAAreminded", "verify-5", "9", None, remind_before=24 - 8 / 3600
)
numbers = itertools.count()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the module's stack, with a page for each thing that is off by default."""
    pages = [*PAGES, LATE, LINKING, REMINDED]
    with Stack(tmp_path_factory.mktemp("stack"), pages=pages, settings=QUICK) as running:
        yield running


class Case:
    """A sender with an open ticket."""

    def __init__(self, stack: Stack, page: Page = PAGES[0]) -> None:
        self.stack, self.page, self.psid = stack, page, f"7500000000{next(numbers):06}"
        stack.write(self.psid, page, text="hello")
        self.ticket_id = until("a ticket", lambda: stack.tickets(self.psid))[0]["id"]

    def reply(self, body: str, **comment: Any) -> str:
        return str(self.stack.reply(self.ticket_id, body, **comment)["id"])

    def received(self, count: int, within: float = 30) -> list[dict[str, Any]]:
        def enough() -> list[dict[str, Any]] | None:
            found = self.stack.received(self.psid, self.page)
            return found if len(found) >= count else None

        return until(f"{count} messages", enough, within)

    def comments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stack.tickets(self.psid)[0]["comments"]
        return found

    def delivery(self, comment_id: str, *statuses: str, within: float = 30) -> dict[str, Any]:
        """Wait until the comment shows one of these statuses."""

        def shown() -> dict[str, Any] | None:
            config = next(one["config"] for one in self.comments() if one["id"] == comment_id)
            delivery: dict[str, Any] = config.get("delivery", {})
            return delivery if delivery.get("status") in statuses else None

        return until(f"the comment is {' or '.join(statuses)}", shown, within)

    def notes(self) -> list[str]:
        return [
            one["body"] for one in self.comments() if one["internal"] and one["author"]["type"] == "system"
        ]

    def note(self) -> str:
        return until("an internal comment", self.notes)[0]


@pytest.fixture
def case(stack: Stack) -> Case:
    stack.ask_meta("DELETE", "/faults")
    stack.ask_desk("DELETE", "/faults")
    return Case(stack)


def six_parts(case: Case) -> str:
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 360 for n in range(3))
    files = [photo(), document(), photo("second.png", blue=9)]
    return case.reply(text, files=[file.as_json() for file in files])


def check_six_parts(case: Case) -> None:
    got = case.received(6, 60)
    starts = [message["text"].split(".")[0] for message in got[:3]]
    assert starts == ["Paragraph 0", "Paragraph 1", "Paragraph 2"]
    assert [message["attachments"][0]["type"] for message in got[3:]] == ["image", "file", "image"]
    marks = [message["metadata"] for message in got]
    assert len(set(marks)) == len(marks) == 6


def test_a_reply_of_six_parts_arrives_in_order(case: Case) -> None:
    comment_id = six_parts(case)

    check_six_parts(case)
    assert len(case.delivery(comment_id, "read")["message_ids"]) == 6


def test_a_reply_whose_sending_fails_halfway_is_resumed_and_not_repeated(case: Case) -> None:
    busy = {"error": {"message": "(#613)", "type": "OAuthException", "code": 613}}
    fault = {"method": "POST", "path": "/v*/messages", "skip": 3, "times": 2, "status": 400, "body": busy}
    case.stack.ask_meta("PUT", "/faults", [fault])
    comment_id = six_parts(case)

    check_six_parts(case)
    case.delivery(comment_id, "sent", "delivered", "read")
    assert len(case.received(6)) == 6


def test_a_part_that_was_sent_although_meta_answered_an_error_is_not_sent_again(case: Case) -> None:
    case.stack.ask_meta("PUT", "/behaviour", {"lost_after_send": {"every": 2}})
    comment_id = six_parts(case)
    case.delivery(comment_id, "sent", "delivered", "read", within=60)
    case.stack.ask_meta("PUT", "/behaviour", {"lost_after_send": None})

    check_six_parts(case)
    assert len(case.received(6)) == 6


def test_a_part_whose_answer_got_lost_is_not_sent_again(case: Case) -> None:
    fault = {"method": "POST", "path": "/v*/messages", "every": 2, "drop": True, "after": True}
    case.stack.ask_meta("PUT", "/faults", [fault])
    comment_id = six_parts(case)
    case.delivery(comment_id, "sent", "delivered", "read", within=60)

    assert len(case.received(6)) == 6


def test_a_part_that_never_reached_meta_is_sent_again(case: Case) -> None:
    fault = {"method": "POST", "path": "/v*/messages", "times": 1, "drop": True}
    case.stack.ask_meta("PUT", "/faults", [fault])
    comment_id = case.reply("hello again")

    case.delivery(comment_id, "sent", "delivered", "read")
    assert [message["text"] for message in case.received(1)] == ["hello again"]


def test_a_worker_killed_while_it_sends_repeats_no_part(case: Case) -> None:
    case.stack.ask_meta("PUT", "/faults", [{"method": "POST", "path": "/v*/messages", "delay": 0.4}])
    comment_id = six_parts(case)
    case.received(2)
    kill(case.stack, "worker")
    case.received(4, 60)
    kill(case.stack, "worker")

    check_six_parts(case)
    case.delivery(comment_id, "sent", "delivered", "read", within=60)
    assert len(case.received(6)) == 6


def test_internal_comments_and_customers_comments_stay_inside(case: Case) -> None:
    case.reply("for agents only", internal=True)
    case.stack.write(case.psid, text="still there?")
    case.reply("yes")

    assert [message["text"] for message in case.received(1)] == ["yes"]


def test_replies_of_one_ticket_keep_their_order(case: Case) -> None:
    for number in range(30):
        case.reply(f"reply {number}")

    texts = [message["text"] for message in case.received(30, 60)]
    assert texts == [f"reply {number}" for number in range(30)]


def test_a_webhook_that_comes_twice_sends_once(stack: Stack) -> None:
    stack.ask_desk("PUT", "/settings", {"webhook_duplicate": 1.0})
    case = Case(stack)
    for number in range(10):
        case.reply(f"reply {number}")
    until("all webhooks are delivered", lambda: stack.ask_desk("GET", "/webhooks")["waiting"] == 0)
    stack.ask_desk("PUT", "/settings", {"webhook_duplicate": 0.0})
    case.reply("last")

    texts = [message["text"] for message in case.received(11)]
    assert texts == [*(f"reply {number}" for number in range(10)), "last"]


def test_a_webhook_without_the_tickets_config_has_the_ticket_read(stack: Stack) -> None:
    stack.ask_desk("PUT", "/settings", {"webhook_config": False})
    case = Case(stack)
    for number in range(5):
        case.reply(f"reply {number}")
    texts = [message["text"] for message in case.received(5)]
    stack.ask_desk("PUT", "/settings", {"webhook_config": True})

    assert texts == [f"reply {number}" for number in range(5)]


def test_a_reply_outside_the_window_fails_and_tells_the_agent(case: Case) -> None:
    case.stack.ask_meta("POST", f"/pages/{case.page.page_id}/people/{case.psid}/age", {"hours": 30})
    comment_id = case.reply("too late")

    closed = datetime.now(UTC) - timedelta(hours=6)
    assert "has not allowed a reply since" in case.delivery(comment_id, "failed")["error"]
    assert any(
        f"Facebook has not allowed a reply since {at:%Y-%m-%d %H:%M} UTC" in case.note()
        for at in (closed, closed - timedelta(minutes=1))
    )
    assert case.stack.received(case.psid) == []


def test_a_page_that_may_use_the_human_agent_tag_replies_outside_the_window(stack: Stack) -> None:
    case = Case(stack, LATE)
    stack.ask_meta("POST", f"/pages/{LATE.page_id}/people/{case.psid}/age", {"hours": 30})
    case.reply("not too late")

    (message,) = case.received(1)
    assert message["tag"] == "HUMAN_AGENT"


def test_a_file_that_meta_refuses_does_not_hold_back_the_others(case: Case) -> None:
    refusal = {"error": {"message": "no", "type": "OAuthException", "code": 100, "error_subcode": 2018047}}
    fault = {"method": "POST", "path": "/v*/message_attachments", "times": 2, "status": 400, "body": refusal}
    case.stack.ask_meta("PUT", "/faults", [fault])
    comment_id = case.reply("two files", files=[photo().as_json(), document().as_json()])

    delivery = case.delivery(comment_id, "failed")
    assert "photo.png" in delivery["error"]
    assert len(delivery["message_ids"]) == 2
    text, file = case.received(2)
    assert text["text"] == "two files"
    assert file["attachments"][0]["filename"] == "invoice.pdf"


def test_a_picture_that_meta_refuses_as_one_is_sent_as_a_file(case: Case) -> None:
    refusal = {"error": {"message": "no", "type": "OAuthException", "code": 100, "error_subcode": 2018047}}
    fault = {"method": "POST", "path": "/v*/message_attachments", "times": 1, "status": 400, "body": refusal}
    case.stack.ask_meta("PUT", "/faults", [fault])
    case.delivery(case.reply("a picture", files=[photo().as_json()]), "read")

    _, file = case.received(2)
    assert file["attachments"][0]["filename"] == "photo.png"
    assert case.notes() == []


def test_replies_wait_while_the_pages_token_is_refused_although_a_ticket_is_closed(case: Case) -> None:
    page, closed = case.page, Case(case.stack)
    token = {"name": page.name, "app_id": page.app_id, "access_token": "EAAother"}
    case.stack.ask_meta("PUT", f"/pages/{page.page_id}", token)
    comment_id = case.reply("patience")
    assert "access token" in case.note()  # then the page is paused, and what else waits meets no refusal
    closed.reply("goodbye")
    until("the door has both", lambda: case.stack.ask_desk("GET", "/webhooks")["waiting"] == 0)
    case.stack.ask_desk("POST", f"/tickets/{closed.ticket_id}/close")
    case.stack.ask_meta("PUT", f"/pages/{page.page_id}", token | {"access_token": page.access_token})

    case.delivery(comment_id, "sent", "delivered", "read", within=60)
    assert [message["text"] for message in case.received(1)] == ["patience"]
    assert [message["text"] for message in closed.received(1)] == ["goodbye"]


def test_a_page_that_meta_blocks_is_one_ticket_until_a_reply_goes_out_though_the_worker_is_killed(
    case: Case,
) -> None:
    def report() -> list[dict[str, Any]]:
        return [one for one in case.stack.tickets() if "temporarily blocked the page" in str(one["body"])]

    case.stack.ask_meta("PUT", f"/pages/{case.page.page_id}/refusals", [{"code": 368}])
    comment_id = case.reply("patience")
    assert "temporarily blocked the page" in case.note()
    until("the operator is told", report)
    kill(case.stack, "worker")
    case.stack.ask_meta("PUT", f"/pages/{case.page.page_id}/refusals", [])

    case.delivery(comment_id, "sent", "delivered", "read", within=60)
    until("the ticket is closed", lambda: [one["closed"] for one in report()] == [True])
    assert [message["text"] for message in case.received(1)] == ["patience"]


def test_what_an_agent_writes_in_metas_inbox_stands_on_the_ticket_and_is_not_sent_back(case: Case) -> None:
    case.stack.ask_meta("POST", f"/pages/{case.page.page_id}/inbox", {"psid": case.psid, "text": "from Meta"})
    until("it stands on the ticket", lambda: [one for one in case.comments() if one["body"] == "from Meta"])
    case.reply("from the helpdesk")
    case.received(2)

    (comment,) = [one for one in case.comments() if one["body"] == "from Meta"]
    assert comment["author"]["type"] == "agent"
    assert comment["config"]["source"] == "facebook_messenger"
    assert [message["text"] for message in case.stack.received(case.psid)] == [
        "from Meta",
        "from the helpdesk",
    ]


def test_a_reply_of_which_messenger_can_show_nothing_tells_the_agent(case: Case) -> None:
    comment_id = case.reply('<img src="data:image/png;base64,AAAA">', body_format="html")

    case.delivery(comment_id, "failed")
    assert "contains nothing that can be sent" in case.note()


def test_a_helpdesk_that_does_not_take_the_delivery_makes_no_sent_reply_look_lost(case: Case) -> None:
    fault = {"method": "PATCH", "path": "/api/v1/comments/*", "status": 500}
    case.stack.ask_desk("PUT", "/faults", [fault])
    case.reply("first")
    case.reply("second")

    assert [message["text"] for message in case.received(2, 60)] == ["first", "second"]
    assert case.notes() == []


def test_an_agent_who_changes_a_reply_that_was_sent_learns_that_it_stays(case: Case) -> None:
    comment_id = case.reply("Helo")
    case.delivery(comment_id, "read")
    case.stack.ask_desk("PATCH", f"/comments/{comment_id}", {"body": "Hello"})

    assert case.note().startswith("You changed this reply after it was sent. Messenger cannot change it")
    assert len(case.received(1)) == 1


def test_a_conversation_of_another_app_is_named_in_the_note(case: Case) -> None:
    path = f"/pages/{case.page.page_id}/people/{case.psid}/thread_owner"
    case.stack.ask_meta("PUT", path, {"app_id": "263902037430900"})
    comment_id = case.reply("Hello")

    error = case.delivery(comment_id, "failed")["error"]
    assert "Meta's own inbox is in charge of this conversation" in error


def test_pictures_of_one_reply_arrive_in_one_message(case: Case) -> None:
    files = [photo("one.png"), photo("two.png", blue=9), document(), voice_clip()]
    comment_id = case.reply("", files=[file.as_json() for file in files])
    kinds = [[file["type"] for file in message["attachments"]] for message in case.received(3)]

    assert kinds == [["image", "image"], ["file"], ["audio"]]
    assert len(case.delivery(comment_id, "delivered", "read")["message_ids"]) == 3


def test_a_reply_that_quotes_what_the_customer_wrote_answers_it(case: Case) -> None:
    question = case.stack.write(case.psid, case.page, text="Where is my *parcel*?")
    until("the question", lambda: len(case.comments()) == 1)
    quoted = case.comments()[0]["body"]
    case.reply(f"> {quoted}\n\nOn its way.")
    (answer,) = case.received(1)

    assert answer["text"] == "On its way."
    assert answer["reply_to"] == {"mid": question}


def test_a_file_that_is_too_large_arrives_as_a_link_where_the_page_allows_links(stack: Stack) -> None:
    case = Case(stack, LINKING)
    large = Sample("film.mp4", "video/mp4", b"\0" * (25 * 2**20 + 1))
    comment_id = case.reply("Here it is", files=[large.as_json()])
    text, link = case.received(2)

    assert (text["text"], link["text"].partition("\n")[0]) == ("Here it is", "film.mp4")
    assert link["text"].partition("\n")[2].startswith("http://127.0.0.1:")
    assert case.delivery(comment_id, "delivered", "read")
    assert "the customer got a link instead of the file: film.mp4." in case.note()


def test_agents_are_reminded_of_the_customer_whom_nobody_answered(stack: Stack) -> None:
    answered, began = Case(stack, REMINDED), time.time()
    until("the reply is younger than the message by Meta's clock of seconds", lambda: time.time() > began + 2)
    answered.delivery(answered.reply("here you are"), "sent", "delivered", "read")
    unanswered = Case(stack, REMINDED)

    assert unanswered.note().startswith(
        "Nobody has answered the customer yet. Messenger allows a reply until"
    )
    assert answered.notes() == []
    assert len(unanswered.notes()) == 1
