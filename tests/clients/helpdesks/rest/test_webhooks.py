"""The helpdesk's webhooks: signed by Standard Webhooks, and read as events."""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.channels.meta.events import CHANNEL
from clients.helpdesk import (
    AgentReply,
    Attachment,
    Comment,
    Customer,
    InvalidWebhook,
    Ticket,
    WebhookNotUnderstood,
)
from tasks.outbound.jobs import is_public_reply, reply_job
from tests.conftest import payload
from tests.fakes.helpdesk_webhooks import AT, CONFIG, HELPDESK, PERSON, headers, receive, received, signature

OTHER_SECRET = "whsec_" + base64.b64encode(b"another key of the helpdesk").decode()
CUSTOMER = Customer(CHANNEL, PERSON.account_id, PERSON.person_id)
TICKET = Ticket("42", closed=False, customer=CUSTOMER)


def _refused(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidWebhook):
        HELPDESK.receive(body, headers, "")


BODY = payload("helpdesk/comment_of_agent")


def test_a_signed_webhook_is_received() -> None:
    assert HELPDESK.receive(BODY, headers(BODY), "")


def test_the_names_of_headers_may_be_written_otherwise() -> None:
    upper = httpx.Headers({name.upper(): value for name, value in headers(BODY).items()})
    assert HELPDESK.receive(BODY, upper, "")


def test_one_right_signature_among_several_is_enough() -> None:
    several = f"v1a,AAAA {signature(BODY, secret=OTHER_SECRET)} {signature(BODY)}"
    assert HELPDESK.receive(BODY, headers(BODY, signature=several), "")


@pytest.mark.parametrize(
    "wrong",
    [
        signature(BODY, secret=OTHER_SECRET),
        signature(b"another body"),
        signature(BODY, id_="msg_2"),
        signature(BODY).replace("v1,", "v2,"),
        signature(BODY, at=1795382103).removeprefix("v1,"),
        "v1",
        "v1,",
        "v1,A",
        "v1,no base64!",
        "v1,zażółć",
        "v1,AAAA,BBBB",
        signature(BODY).replace(",", " "),
        "",
        " ",
        ",",
    ],
    ids=lambda wrong: wrong.partition(",")[0][:2],  # no part of it that is another each time
)
def test_any_other_signature_is_refused(wrong: str) -> None:
    _refused(BODY, headers(BODY, signature=wrong))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_refused(name: str) -> None:
    _refused(BODY, {key: value for key, value in headers(BODY).items() if key != name})


def test_a_webhook_with_another_id_is_refused() -> None:
    _refused(BODY, headers(BODY, id="msg_2"))


def test_a_webhook_with_another_timestamp_is_refused() -> None:
    _refused(BODY, headers(BODY, timestamp=str(int(time.time()) - 60)))


@pytest.mark.parametrize("change", ["updated", "deleted"])
def test_what_happened_to_a_comment_after_it_was_written_is_read(change: str) -> None:
    reply = receive(f"comment_{change}")
    assert reply
    assert (reply.change, reply.comment.id) == (change, "981")
    assert reply.key.startswith(f"comment:981:{change}:")


@pytest.mark.parametrize(
    ("config", "sent_as"),
    [
        ({"delivery": {"status": "read", "message_ids": ["m_1", "m_2"]}}, ("m_1", "m_2")),
        ({"delivery": {"status": "failed", "message_ids": []}}, ()),
        ({"delivery": {"status": "sent", "message_ids": "m_1"}}, ()),
        ({"delivery": {"message_ids": [1, None, "m_2"]}}, ("m_2",)),
        ({"delivery": "sent"}, ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_what_the_helpdesk_keeps_of_a_delivery_is_read(config: Any, sent_as: tuple[str, ...]) -> None:
    told = json.loads(payload("helpdesk/comment_updated"))
    told["data"]["comment"]["config"] = config
    body = json.dumps(told).encode()
    reply = HELPDESK.receive(body, headers(body), "")
    assert reply
    assert reply.comment.sent_as == sent_as


@pytest.mark.parametrize("seconds", [-310, 310])
def test_a_webhook_more_than_five_minutes_off_is_refused(seconds: int) -> None:
    _refused(BODY, headers(BODY, at=time.time() + seconds))


@pytest.mark.parametrize("seconds", [-290, 290])
def test_a_webhook_less_than_five_minutes_off_is_received(seconds: int) -> None:
    assert HELPDESK.receive(BODY, headers(BODY, at=time.time() + seconds), "")


@pytest.mark.parametrize("timestamp", ["", "now", "nan", "inf", "1e400", "-1", "9" * 400])
def test_a_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    _refused(BODY, headers(BODY, timestamp=timestamp))


def test_a_body_that_is_no_text_is_refused() -> None:
    _refused(b"\xff\xfe", headers(b"\xff\xfe"))


def test_a_comment_is_read() -> None:
    comment = Comment(
        "981",
        "Hello **Anna**",
        "markdown",
        "agent",
        internal=False,
        attachments=(),
        from_connector=False,
        created_at=AT,
    )
    assert receive("comment_of_agent") == AgentReply("comment:981", AT, TICKET, comment)


def test_a_comments_file_is_read() -> None:
    comment = received("comment_with_file").comment
    file = Attachment("3", "https://acme.example.com/files/3", "invoice.pdf", "application/pdf", 48213)
    assert (comment.body_format, comment.attachments) == ("html", (file,))


@pytest.mark.parametrize("name", ["ticket_closed", "ticket_reopened", "unknown_type"])
def test_what_is_not_about_a_new_comment_is_ignored(name: str) -> None:
    assert receive(name) is None


def test_what_is_ignored_may_hold_anything() -> None:
    body = b'{"type": "ticket.merged"}'
    assert HELPDESK.receive(body, headers(body), "") is None


def test_what_an_agent_wrote_in_metas_own_inbox_is_from_the_connector() -> None:
    assert received("comment_from_page_inbox").comment.from_connector


def test_the_key_of_a_comment_does_not_depend_on_its_webhook() -> None:
    again = headers(BODY, id="msg_2", signature=signature(BODY, id_="msg_2"))
    reply = HELPDESK.receive(BODY, again, "")
    assert reply
    assert reply.key == received("comment_of_agent").key


def test_ids_may_be_numbers() -> None:
    reply = received("comment_number_ids")
    assert (reply.ticket.id, reply.comment.id, reply.comment.attachments[0:]) == (
        "42",
        "981",
        (Attachment("3", "https://acme.example.com/files/3", "invoice.pdf", "application/pdf", 48213),),
    )
    assert reply.ticket.customer == CUSTOMER


@pytest.mark.parametrize(
    "name", ["comment_without_internal", "comment_internal_as_text", "comment_internal_as_number"]
)
def test_internal_is_unknown_unless_it_is_said_outright(name: str) -> None:
    comment = received(name).comment
    assert comment.internal is None


def test_a_comment_without_a_time_is_of_now() -> None:
    before = datetime.now(UTC)
    assert before <= received("comment_without_created_at").time <= datetime.now(UTC)


def test_a_comment_whose_ticket_has_no_config_has_to_be_confirmed() -> None:
    reply = received("comment_on_ticket_without_config")
    assert (reply.is_confirmed, reply.ticket.customer) == (False, None)


def test_a_comment_whose_ticket_says_that_it_is_not_ours_needs_no_look() -> None:
    reply = received("comment_on_foreign_ticket")
    assert (reply.is_confirmed, reply.ticket.customer) == (True, None)


@pytest.mark.parametrize("name", ["comment_without_ticket", "comment_without_comment"])
def test_a_comment_without_its_parts_is_not_understood(name: str) -> None:
    with pytest.raises(WebhookNotUnderstood):
        receive(name)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"type": "comment.created"}',
        b'{"type": "comment.created", "data": null}',
        b'{"type": "comment.created", "data": {"ticket": {"id": ""}, "comment": {"id": "1"}}}',
        b'{"type": "comment.created", "data": {"ticket": {"id": true}, "comment": {"id": "1"}}}',
        b'{"type": "comment.created", "data": {"ticket": {"id": null}, "comment": {"id": "1"}}}',
        b"[" * 10_000,
    ],
)
def test_a_body_that_is_no_event_is_not_understood(body: bytes) -> None:
    with pytest.raises(WebhookNotUnderstood):
        HELPDESK.receive(body, headers(body), "")


def _changed(**comment: Any) -> bytes:
    event = json.loads(BODY)
    event["data"]["comment"] |= comment
    return json.dumps(event).encode()


FILE = {"id": "3", "url": "https://acme.example.com/files/3"}
ODD_COMMENTS: list[dict[str, Any]] = [
    {"config": "facebook"},
    {"config": [1]},
    {"body": "half an emoji: \ud83d"},
    {"id": "\ud83d"},
    {"config": {"x": "\ud83d"}},
    {"body": "\0"},
    {"attachments": [FILE | {"size": float("inf")}]},
    {"attachments": [FILE | {"size": "large"}]},
    {"attachments": {"3": FILE}},
    {"author": "Ola"},
    {"created_at": 1795383000},
    {"created_at": "0001-01-01T00:00:00Z"},
    {"created_at": "9999-12-31T23:59:59-14:00"},
    {"created_at": "yesterday"},
]


@pytest.mark.parametrize("comment", ODD_COMMENTS)
def test_an_odd_comment_is_stored_or_not_understood(comment: dict[str, Any]) -> None:
    body = _changed(**comment)
    try:
        reply = HELPDESK.receive(body, headers(body), "")
    except WebhookNotUnderstood:
        return
    assert reply
    if is_public_reply(reply):
        assert reply_job(reply).time >= 0


def test_a_comment_of_long_ago_has_a_time_that_the_inbox_takes() -> None:
    body = _changed(created_at="1969-07-20T20:17:40Z")
    reply = HELPDESK.receive(body, headers(body), "")
    assert reply
    assert reply_job(reply).time >= 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def _mostly(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give objects that may lack any of these fields, or hold something else there."""
    return st.fixed_dictionaries({}, optional={name: value | JSON for name, value in fields.items()})


FILES = _mostly(id=st.text(), url=st.text(), filename=st.text(), content_type=st.text(), size=st.integers())
COMMENTS = _mostly(
    id=st.text(),
    body=st.text(),
    internal=st.just(value=False),
    author=st.just({"type": "agent"}),
    attachments=st.lists(FILES, max_size=2),
    config=st.just({}),
    created_at=st.datetimes().map(datetime.isoformat),
)
TICKETS = _mostly(id=st.text(), closed=st.booleans(), config=st.just(CONFIG))
TYPES = st.sampled_from(["comment.created", "ticket.closed"])
EVENTS = _mostly(type=TYPES, timestamp=st.text(), data=_mostly(ticket=TICKETS, comment=COMMENTS))


@given(EVENTS | JSON)
def test_any_signed_json_is_an_event_or_not_understood(value: Any) -> None:
    body = json.dumps(value).encode()
    try:
        reply = HELPDESK.receive(body, headers(body), "")
    except WebhookNotUnderstood:
        return
    if reply and is_public_reply(reply):
        reply_job(reply)


@given(st.binary(), st.dictionaries(st.sampled_from(["id", "timestamp", "signature"]), st.text()))
def test_any_bytes_that_are_not_signed_are_refused(body: bytes, changes: dict[str, str]) -> None:
    _refused(body, headers(body, None, **({"signature": "v1,AAAA"} | changes)))


@pytest.mark.parametrize(("name", "is_automated"), [("comment_of_a_rule", True), ("comment_of_agent", False)])
def test_what_a_rule_wrote_is_told_from_what_an_agent_did(name: str, *, is_automated: bool) -> None:
    assert received(name).comment.is_automated is is_automated
