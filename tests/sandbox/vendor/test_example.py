"""The example of docs/build-the-helpdesks-side.md keeps the promises."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from clients.helpdesk import Helpdesk
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from conformance.agent import HelpdeskAgent
from conformance.receiver import Delivered, Receiver
from conformance.testing import HelpdeskConformance
from sandbox.stack import free_port, until
from tests.fakes.openapi import check_response, check_webhook
from tests.fakes.sandbox_helpdesk import COMMENT, TICKET
from tests.fakes.vendor import SECRET, TOKEN, Example, ExampleAgent, example


class TestExample(HelpdeskConformance):
    desk_id, category_id = "7", "12"

    @pytest.fixture(scope="class")
    @classmethod
    def desk(cls, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
        with example(tmp_path_factory.mktemp("example"), receiver.url) as desk:
            yield desk

    @pytest.fixture
    def helpdesk(self, desk: Example, http: HttpClient) -> Helpdesk:
        return RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token=TOKEN, webhook_secret=SECRET)

    @pytest.fixture
    def wrong_token(self, desk: Example, http: HttpClient) -> Helpdesk:
        return RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token="no", webhook_secret=SECRET)

    @pytest.fixture
    def agent(self, desk: Example) -> HelpdeskAgent:
        return ExampleAgent(desk)


def ask(desk: Example, method: str, path: str, key: str = "", **options: Any) -> httpx.Response:
    """Ask, and compare the answer with the document."""
    answer = desk.api.request(method, path, headers={"idempotency-key": key} if key else {}, **options)
    # The document has the paths of the API only.
    asked = httpx.Request(method, f"https://acme.example.com{answer.request.url.raw_path.decode()}")
    check_response(asked, answer)
    return answer


def open_ticket(desk: Example, key: str) -> str:
    answer = ask(desk, "POST", "/tickets", key, json={"ticket": TICKET})
    assert answer.status_code == 201
    return str(answer.json()["ticket"]["id"])


def test_a_repeat_gets_the_first_answer_even_after_a_restart_and_on_a_closed_ticket(desk: Example) -> None:
    ticket = open_ticket(desk, "ticket-1")
    path, body = f"/tickets/{ticket}/comments", {"comment": COMMENT}
    first = ask(desk, "POST", path, "comment-1", json=body)
    desk.act(ticket, do="close")
    desk.restart()
    again = ask(desk, "POST", path, "comment-1", json=body)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(ask(desk, "GET", path).json()["comments"]) == 1
    assert open_ticket(desk, "ticket-1") == ticket


def test_a_key_with_another_request_is_refused(desk: Example) -> None:
    open_ticket(desk, "ticket-2")
    answer = ask(desk, "POST", "/tickets", "ticket-2", json={"ticket": TICKET | {"title": "Another"}})

    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "Idempotency-Key")


def test_a_request_that_was_refused_keeps_no_key(desk: Example) -> None:
    wrong = ask(desk, "POST", "/tickets", "ticket-3", json={"ticket": TICKET | {"desk_id": "99"}})

    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "ticket.desk_id")
    assert open_ticket(desk, "ticket-3")


def test_creates_at_once_with_one_key_make_one_ticket(desk: Example) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: open_ticket(desk, "ticket-4"), range(8)))

    assert len(made) == 1


def test_a_file_is_stored_once_for_a_key(desk: Example) -> None:
    first, again = (
        ask(desk, "POST", "/attachments", "file-1", files={"file": ("a.txt", b"hello", "text/plain")})
        for _ in range(2)
    )

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert httpx.get(first.json()["attachment"]["url"], trust_env=False).content == b"hello"


def test_a_closed_ticket_takes_only_what_is_for_agents(desk: Example) -> None:
    ticket = open_ticket(desk, "ticket-5")
    desk.act(ticket, do="close")
    path = f"/tickets/{ticket}/comments"
    refused = ask(desk, "POST", path, "comment-5", json={"comment": COMMENT})
    internal = ask(desk, "POST", path, "comment-6", json={"comment": COMMENT | {"internal": True}})

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "ticket_closed")
    assert internal.status_code == 201


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "POST", "path": "/tickets", "json": {"ticket": TICKET}}, 400),
        ({"method": "POST", "path": "/tickets", "key": "k", "content": b"{"}, 415),
        ({"method": "POST", "path": "/tickets", "key": "k", "json": {"ticket": {}}}, 422),
        ({"method": "POST", "path": "/tickets", "key": "k", "json": []}, 422),
        ({"method": "POST", "path": "/attachments", "key": "k", "data": {"file": "no"}}, 422),
        ({"method": "GET", "path": "/tickets", "params": {"limit": "many"}}, 422),
        ({"method": "GET", "path": "/tickets/99999999999999999999"}, 404),
        ({"method": "PATCH", "path": "/comments/9999", "json": {"comment": {"config": {}}}}, 404),
    ],
)
def test_what_is_wrong_is_refused_as_the_document_says(
    desk: Example, request_: dict[str, Any], status: int
) -> None:
    assert ask(desk, **request_).status_code == status


def test_a_wrong_token_is_refused(desk: Example) -> None:
    headers = {"authorization": "Bearer another"}

    assert ask(desk, "GET", "/tickets", params={"limit": "1"}).status_code == 200
    assert desk.api.get("/tickets", headers=headers).status_code == 401


def test_what_became_of_a_reply_is_merged_into_the_config(desk: Example) -> None:
    ticket = open_ticket(desk, "ticket-7")
    config = {"source": "facebook_messenger"}
    body = {"comment": COMMENT | {"config": config}}
    made = ask(desk, "POST", f"/tickets/{ticket}/comments", "comment-7", json=body)
    delivery = {"status": "read", "message_ids": ["m_1"]}
    path = f"/comments/{made.json()['comment']['id']}"
    ask(desk, "PATCH", path, json={"comment": {"config": {"delivery": delivery}}})

    (comment,) = ask(desk, "GET", f"/tickets/{ticket}/comments").json()["comments"]
    assert comment["config"] == config | {"delivery": delivery}


def test_a_webhook_is_sent_until_it_is_taken_although_the_helpdesk_is_killed(tmp_path: Path) -> None:
    port = free_port()
    with example(tmp_path, f"http://127.0.0.1:{port}/social_media/webhooks/helpdesk") as desk:
        ticket = open_ticket(desk, "ticket-1")
        desk.act(ticket, text="one")
        until("it was tried", lambda: "again in" in desk.log.read_text())
        desk.act(ticket, text="two", do="close")
        desk.restart()
        with Receiver(port=port) as receiver:
            until("all arrived", lambda: len(receiver.delivered) >= 3)

    kinds = [_checked(one) for one in receiver.delivered]
    assert kinds == [("comment.created", "one"), ("ticket.closed", ""), ("comment.created", "two")]


def _checked(delivered: Delivered) -> tuple[str, str]:
    """Compare a webhook with the document and with its signature; return its type and its text."""
    told = Webhook(SECRET).verify(delivered.body, dict(delivered.headers))
    check_webhook(told["type"], dict(delivered.headers), delivered.body)
    return told["type"], told["data"].get("comment", {}).get("body", "")


def test_the_page_of_the_example_runs_nothing_that_a_customer_wrote(desk: Example) -> None:
    body = {"ticket": TICKET | {"title": "<script>t</script>", "body": "<script>b</script>"}}
    ask(desk, "POST", "/tickets", "ticket-8", json=body)

    assert "<script>" not in desk.agents.get("/").text
