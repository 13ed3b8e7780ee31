"""What the Conversations API shows becomes what a webhook would have brought."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from clients.channel import Echo, Incoming, Line, Message, MessageAttachment, Past, PastConversation
from clients.channels.meta import past
from clients.channels.meta.events import CHANNEL, external_id, parse
from clients.channels.meta.graph import Page
from clients.errors import RateLimited
from clients.media import MediaFetcher
from clients.notices import notice
from tests.conftest import PAGE_A
from tests.fakes.conversation import PSID
from tests.fakes.events import split
from tests.fakes.graph import Site

TALK = PastConversation("t_1", PSID, 1795383000000)
SAID = {
    "id": "m_AAA",
    "created_time": "2026-11-22T20:15:03+0000",
    "from": {"name": "Anna", "id": PSID},
    "to": {"data": [{"id": PAGE_A}]},
    "message": "hello",
}
AT = datetime(2026, 11, 22, 20, 15, 3, tzinfo=UTC)


def read(**changes: Any) -> Incoming:
    event = past.readable(PAGE_A, TALK, SAID | changes)
    assert event
    return event


def said(**changes: Any) -> Message:
    event = parse(read(**changes).body)
    assert isinstance(event, Message)
    return event


def item(content: dict[str, Any]) -> dict[str, Any]:
    ends = {"sender": {"id": PSID}, "recipient": {"id": PAGE_A}}
    return {**ends, "timestamp": 1795378503900, **content}


def brought(content: dict[str, Any]) -> Incoming:
    """Return what the webhook of an item brings."""
    body = {"object": "page", "entry": [{"id": PAGE_A, "messaging": [item(content)]}]}
    ((event,),) = (entry.events() for entry in split(json.dumps(body).encode()))
    return event


def test_a_message_has_the_key_the_id_and_the_person_that_it_has_in_a_webhook() -> None:
    by_webhook, fetched = brought({"message": {"mid": "m_AAA", "text": "hello"}}), read()

    assert (fetched.key, fetched.conversation) == (by_webhook.key, by_webhook.conversation)
    assert external_id(fetched.body) == external_id(by_webhook.body) == "m_AAA"


def test_what_was_pressed_is_known_by_the_key_of_its_postback() -> None:
    pressed = brought({"postback": {"mid": "m_AAA", "title": "Yes", "payload": "Y"}})

    assert pressed.key in read().known_by


def test_a_message_says_what_it_says_at_its_time_and_that_it_was_fetched() -> None:
    assert said() == Message("m_AAA", AT, "hello", (), was_fetched=True, also_known_as=("postback:m_AAA",))


def test_a_message_of_the_pages_is_an_echo_of_which_nobody_knows_who_wrote_it() -> None:
    echo = parse(read(**{"from": {"id": PAGE_A}, "to": {"data": [{"id": PSID}]}}).body)

    assert isinstance(echo, Echo)
    assert (echo.author, echo.is_by_agent, echo.may_be_ours) == (notice("from_somebody"), False, True)


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        ({"mime_type": "image/jpeg", "image_data": {"url": "https://x.fbcdn.net/a"}}, "image"),
        ({"image_data": {"url": "https://x.fbcdn.net/a", "render_as_sticker": True}}, "sticker"),
        ({"mime_type": "video/mp4", "video_data": {"url": "https://x.fbcdn.net/a"}}, "video"),
        ({"mime_type": "audio/mpeg", "file_url": "https://x.fbcdn.net/a"}, "audio"),
        ({"mime_type": "application/pdf", "file_url": "https://x.fbcdn.net/a"}, "file"),
    ],
)
def test_a_file_has_its_kind_and_its_address(shown: dict[str, Any], kind: str) -> None:
    assert said(attachments={"data": [shown]}).attachments == (
        MessageAttachment(kind, "https://x.fbcdn.net/a", is_file=True),
    )


def test_a_file_without_an_address_is_not_left_out() -> None:
    assert said(attachments={"data": [{"mime_type": "image/png"}]}).attachments == (
        MessageAttachment("image", is_file=True),
    )


def test_a_sticker_comes_once_though_it_is_shown_three_times() -> None:
    url = "https://x.fbcdn.net/s"
    shown = {"attachments": {"data": [{"image_data": {"url": url}}]}, "shares": {"data": [{"link": url}]}}

    assert said(sticker=url, **shown).attachments == (MessageAttachment("sticker", url, is_file=True),)


def test_a_shared_link_is_shown() -> None:
    (shared,) = said(shares={"data": [{"link": "https://acme.example/x", "name": "Offer"}]}).attachments

    assert shared.lines == (Line("Offer", "https://acme.example/x"),)


def test_what_a_message_answers_is_known() -> None:
    assert said(reply_to={"mid": "m_ZZZ", "is_self_reply": False}).reply_to == "m_ZZZ"


def test_a_message_of_nothing_says_that_it_cannot_be_shown() -> None:
    assert said(message="").lines == (Line(notice("unsupported_message")),)


def test_a_conversation_of_another_app_is_overheard() -> None:
    event = past.readable(PAGE_A, PastConversation("t_1", PSID, 0, is_overheard=True), SAID)

    assert event
    assert event.key == read().key
    message = parse(event.body)
    assert isinstance(message, Message)
    assert message.is_overheard


def test_a_conversation_without_a_person_is_left_out() -> None:
    assert past.conversation_of(PAGE_A, {"id": "t_1", "participants": {"data": [{"id": PAGE_A}]}}) is None


def _list(count: int, **more: Any) -> dict[str, Any]:
    messages = [SAID | {"id": f"m_{number}"} | more for number in range(count)]
    return {"data": messages, "paging": {"cursors": {"after": "x"}, "next": "https://…"}}


def _past(*answers: dict[str, Any]) -> tuple[Past, list[httpx.Request]]:
    left = list(answers)
    site = Site(lambda _: httpx.Response(200, json=left.pop(0)))
    return site.messenger.past(TALK, AT), site.requests


def test_of_twenty_messages_the_older_ones_are_listed() -> None:
    found, asked = _past(_list(20), {"data": [{"id": "m_old", "created_time": SAID["created_time"]}]})

    assert [event.message_id for event in found.messages] == [f"m_{number}" for number in range(20)][::-1]
    assert [(event.message_id, event.body != b"") for event in found.hidden] == [("m_old", True)]
    assert [request.url.params["fields"] for request in asked][1] == "id,created_time"


def test_older_messages_are_not_listed_where_one_that_is_shown_is_too_old() -> None:
    first = _list(20)
    first["data"][-1] = first["data"][-1] | {"created_time": "2026-11-22T20:15:02+0000"}
    found, asked = _past(first)

    assert (len(found.messages), found.hidden, len(asked)) == (19, [], 1)


def test_a_message_without_a_sender_is_hidden() -> None:
    found, _ = _past({"data": [SAID, {"id": "m_0", "created_time": SAID["created_time"]}]})

    assert [event.message_id for event in found.messages] == ["m_AAA"]
    assert [event.message_id for event in found.hidden] == ["m_0"]


def test_conversations_are_listed_with_the_ids_and_times_of_their_newest_messages_in_one_call() -> None:
    def talk(id_: str, count: int, **paging: Any) -> dict[str, Any]:
        said = [{"id": f"m_{n}", "created_time": SAID["created_time"]} for n in range(count)]
        ends = {"data": [{"id": PSID}, {"id": PAGE_A}]}
        return {"id": id_, "participants": ends, "messages": {"data": said, "paging": paging}}

    talks = [talk("t_1", 2), talk("t_2", 10), talk("t_3", 0), talk("t_4", 9, next="https://…")]
    answer = {"data": talks}
    site = Site(lambda _: httpx.Response(200, json=answer))
    newest = site.messenger.conversations(with_newest=True).newest

    assert [(len(one.messages), one.is_all) for one in newest.values()] == [
        (2, True),
        (10, False),
        (0, False),
        (9, False),
    ]
    first = newest["t_1"].messages[0]
    assert (first.key, first.message_id, first.time) == (read(id="m_0").key, "m_0", read().time)
    (request,) = site.requests
    assert request.url.params["fields"].endswith(",messages.limit(10){id,created_time}")


def test_the_messages_are_left_out_unless_they_are_asked_for() -> None:
    site = Site(lambda _: httpx.Response(200, json={"data": []}))
    assert site.messenger.conversations().newest == {}

    assert "messages" not in site.requests[0].url.params["fields"]


def test_who_has_no_turn_does_not_ask() -> None:
    site = Site(lambda _: httpx.Response(200))
    page = Page(
        site.http,
        "https://graph.facebook.com/v26.0",
        page_id=PAGE_A,
        token="t",
        app_secret="s",
        media=MediaFetcher(site.http, [], 0),
        take_turn=lambda account, spacing: (account, spacing) != (f"{CHANNEL}:{PAGE_A}", past.SPACING),
    )
    with pytest.raises(RateLimited) as limited:
        page.conversations()

    assert (limited.value.remote, site.requests) == (f"{CHANNEL}:{PAGE_A}", [])
