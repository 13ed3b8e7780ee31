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

from clients.helpdesk import Attachment, Comment, HelpdeskEvent, InvalidWebhook, Ticket, WebhookNotUnderstood
from tasks.outbound.jobs import is_public_reply, person_of, reply_job
from tests.conftest import payload
from tests.fakes.helpdesk_webhooks import AT, CONFIG, HELPDESK, PERSON, headers, receive, received, signature

OTHER_SECRET = "whsec_" + base64.b64encode(b"another key of the helpdesk").decode()
TICKET = Ticket("42", closed=False, config=CONFIG)


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
        f"v1 {signature(BODY)}",
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
        "981", "Hello **Anna**", "markdown", "agent", internal=False, attachments=(), config={}, created_at=AT
    )
    assert receive("comment_of_agent") == HelpdeskEvent("comment.created", "comment:981", AT, TICKET, comment)


def test_a_comments_file_is_read() -> None:
    comment = received("comment_with_file").comment
    assert comment
    file = Attachment("3", "https://acme.example.com/files/3", "invoice.pdf", "application/pdf", 48213)
    assert (comment.body_format, comment.attachments) == ("html", (file,))


@pytest.mark.parametrize(
    ("name", "type_", "closed"),
    [("ticket_closed", "ticket.closed", True), ("ticket_reopened", "ticket.reopened", False)],
)
def test_what_became_of_a_ticket_is_read(name: str, type_: str, closed: bool) -> None:  # noqa: FBT001 - a table's column
    event = received(name)
    assert (event.type, event.ticket.closed, event.comment) == (type_, closed, None)
    assert event.key == "webhook:msg_1"


def test_an_unknown_type_is_none() -> None:
    assert receive("unknown_type") is None


def test_the_key_of_a_comment_does_not_depend_on_its_webhook() -> None:
    again = headers(BODY, id="msg_2", signature=signature(BODY, id_="msg_2"))
    event = HELPDESK.receive(BODY, again, "")
    assert event
    assert event.key == received("comment_of_agent").key


def test_ids_may_be_numbers() -> None:
    event = received("comment_number_ids")
    assert event.comment
    assert (event.ticket.id, event.comment.id, event.comment.attachments[0:]) == (
        "42",
        "981",
        (Attachment("3", "https://acme.example.com/files/3", "invoice.pdf", "application/pdf", 48213),),
    )
    assert person_of(event.ticket) == PERSON


@pytest.mark.parametrize(
    "name", ["comment_without_internal", "comment_internal_as_text", "comment_internal_as_number"]
)
def test_internal_is_unknown_unless_it_is_said_outright(name: str) -> None:
    comment = received(name).comment
    assert comment
    assert comment.internal is None


def test_a_comment_without_a_time_is_of_now() -> None:
    before = datetime.now(UTC)
    assert before <= received("comment_without_created_at").time <= datetime.now(UTC)


def test_a_ticket_without_config_says_so() -> None:
    assert received("comment_on_ticket_without_config").ticket.config is None


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
        b'{"type": "ticket.closed", "data": {"ticket": {"id": ""}}}',
        b'{"type": "ticket.closed", "data": {"ticket": {"id": true}}}',
        b'{"type": "ticket.closed", "data": {"ticket": {"id": null}}}',
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
        event = HELPDESK.receive(body, headers(body), "")
    except WebhookNotUnderstood:
        return
    assert event
    if is_public_reply(event):
        assert reply_job(event).time >= 0


def test_a_comment_of_long_ago_has_a_time_that_the_inbox_takes() -> None:
    body = _changed(created_at="1969-07-20T20:17:40Z")
    event = HELPDESK.receive(body, headers(body), "")
    assert event
    assert reply_job(event).time >= 0


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
TYPES = st.sampled_from(["comment.created", "ticket.closed", "ticket.reopened"])
EVENTS = _mostly(type=TYPES, timestamp=st.text(), data=_mostly(ticket=TICKETS, comment=COMMENTS))


@given(EVENTS | JSON)
def test_any_signed_json_is_an_event_or_not_understood(value: Any) -> None:
    body = json.dumps(value).encode()
    try:
        event = HELPDESK.receive(body, headers(body), "")
    except WebhookNotUnderstood:
        return
    if event and is_public_reply(event):
        reply_job(event)


@given(st.binary(), st.dictionaries(st.sampled_from(["id", "timestamp", "signature"]), st.text()))
def test_any_bytes_that_are_not_signed_are_refused(body: bytes, changes: dict[str, str]) -> None:
    _refused(body, headers(body, None, **({"signature": "v1,AAAA"} | changes)))
