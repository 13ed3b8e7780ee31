"""Each error of Meta's table as the sandbox answers it, and as the connector's Graph client reads it."""

from collections.abc import Iterator
from typing import cast

import httpx
import pytest

from clients.channel import NewMessage
from clients.channels.meta.graph import Page as Client
from clients.errors import ClientError, RateLimited
from clients.http import HttpClient
from clients.media import MediaFetcher
from clients.notices import say
from sandbox.meta.refusals import TABLE as ANSWERED
from tests.fakes.meta_errors import TABLE
from tests.fakes.sandbox_meta import PSID, SECRET, Page, fault

HELLO = NewMessage("connector:1:0", "Hello")


@pytest.fixture
def client(page: Page, http: httpx.Client) -> Iterator[Client]:
    """Give the connector's client for the page."""
    page.writes("Hi")
    with HttpClient() as ours:
        media = cast("MediaFetcher", None)  # nothing is fetched
        url = f"{http.base_url}/v26.0"
        yield Client(ours, url, page_id=page.id, token=page.token, app_secret=SECRET, media=media)


def refuse(page: Page, code: int, subcode: int | None, **more: object) -> None:
    page.order("PUT", "/refusals", [{"code": code, "subcode": subcode, **more}], psid=None)


def test_the_sandbox_answers_every_error_of_the_table() -> None:
    assert TABLE.keys() <= ANSWERED.keys()


@pytest.mark.parametrize(("code", "subcode"), TABLE)
def test_an_error_over_http_is_what_the_table_says(
    page: Page, client: Client, code: int, subcode: int | None
) -> None:
    refuse(page, code, subcode)
    with pytest.raises(ClientError) as failure:
        client.send(PSID, HELLO)

    error = failure.value
    assert type(error) is TABLE[code, subcode]
    assert say(error.notice).endswith(f"(Facebook error {code}{f'/{subcode}' if subcode else ''})")
    assert [one["text"] for one in page.thread()] == ["Hi"]
    if isinstance(error, RateLimited) and subcode is None:
        assert error.retry_after == 60


def test_an_error_is_answered_as_often_as_was_ordered_and_to_those_calls_only(page: Page) -> None:
    page.writes("Hi")
    refuse(page, 368, 1346003, times=2)
    answers = [page.send({"text": "Hello"}) for _ in range(3)]

    assert [fault(one) for one in answers[:2]] == [(400, 368, 1346003)] * 2
    assert answers[2].status_code == 200
    refuse(page, 190, 492, method="GET", path="*/me")
    assert fault(page.get("me")) == (400, 190, 492)
    assert page.send({"text": "Hello"}).status_code == 200


def test_a_sender_action_is_refused_meanwhile_and_not_counted(page: Page) -> None:
    page.writes("Hi")
    refuse(page, 368, None, times=1)
    answers = [page.send(None, sender_action="typing_on"), page.send({"text": "Hello"})]

    assert [fault(one) for one in answers] == [(400, 368, None)] * 2
    assert page.send(None, sender_action="typing_on").status_code == 200


def test_an_error_may_have_words_for_people(page: Page) -> None:
    page.writes("Hi")
    refuse(page, 10, 1893063, error_user_title="Page restricted", error_user_msg="Wait until Monday.")

    error = page.send({"text": "Hello"}).json()["error"]
    assert (error["error_user_title"], error["error_user_msg"]) == ("Page restricted", "Wait until Monday.")


def test_an_error_that_meta_does_not_have_is_refused(page: Page) -> None:
    order = [{"code": 4711}]
    assert page.http.put(f"/sandbox/pages/{page.id}/refusals", json=order).status_code == 400
