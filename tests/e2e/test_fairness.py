"""Nobody takes more than their share: not a crowd, not a slow page, not a file host, not a backlog."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.bodies import Bodies
from sandbox.meta.webhooks import signed_headers
from sandbox.samples import photo
from sandbox.stack import PAGES, Page, Stack, until
from tests.e2e.load import metric

PAGE_A, PAGE_B = PAGES
numbers = itertools.count()
crowds = itertools.count(1_000_000, 1_000_000)


@pytest.fixture(autouse=True)
def _mend(stack: Stack) -> Iterator[None]:
    yield
    stack.ask_meta("DELETE", "/faults")
    stack.ask_meta("PUT", "/behaviour", {"usage": {}})
    until("all is done", lambda: waiting(stack) == 0, 60)


def waiting(stack: Stack) -> float:
    return metric(stack, "connector_queues")


def new_people(count: int) -> list[str]:
    return [f"7800000000{next(numbers):06}" for _ in range(count)]


def crowd(stack: Stack, people: int, page: Page) -> None:
    """Have very many people write to a page at once."""
    bodies = Bodies(100, people, page_id=page.page_id, first_sender=next(crowds))
    for _ in range(people // bodies.batch):
        body, _mids = bodies.one()
        headers = signed_headers(body, page.app_secret)
        door = f"{stack.url}/social_media/webhooks/facebook"
        stack.http.post(door, content=body, headers=headers).raise_for_status()


def test_a_page_is_served_while_a_crowd_writes_to_another(stack: Stack) -> None:
    (person,) = new_people(1)
    crowd(stack, 1200, PAGE_B)
    stack.write(person, PAGE_A, text="hello")

    until("the page's person has a ticket", lambda: stack.tickets(person))
    assert waiting(stack) > 600


def test_who_never_wrote_before_is_served_while_a_backlog_drains(stack: Stack) -> None:
    (person,) = new_people(1)
    stack.desk.kill()
    crowd(stack, 1200, PAGE_A)
    until(
        "the helpdesk was found away",
        lambda: metric(stack, 'connector_remote_paused{remote="helpdesk"}') == 1,
    )
    stack.start_desk()
    until("it drains", lambda: waiting(stack) < 1180)
    stack.write(person, PAGE_A, text="hello")

    until("the newcomer has a ticket", lambda: stack.tickets(person))
    assert waiting(stack) > 600


def test_a_page_whose_calls_take_long_holds_no_other_up(stack: Stack) -> None:
    *slow, quick = new_people(49)
    pages = dict.fromkeys(slow, PAGE_B) | {quick: PAGE_A}
    for person, page in pages.items():
        stack.write(person, page, text="hello")
    until("all have a ticket", lambda: all(map(stack.tickets, pages)))
    tickets = {person: stack.tickets(person)[0]["id"] for person in pages}
    stack.ask_meta("PUT", "/faults", [{"path": f"*/{PAGE_B.page_id}/messages", "method": "POST", "delay": 2}])
    for person in slow:
        stack.reply(tickets[person], "slow")
    stack.reply(tickets[quick], "quick")

    until("the other page's reply is sent", lambda: stack.received(quick, PAGE_A))
    assert len([person for person in slow if stack.received(person, PAGE_B)]) < 24


def open_tickets(stack: Stack, pages: dict[str, Page]) -> dict[str, str]:
    """Have people write to their pages. Return the ticket of each."""
    for person, page in pages.items():
        stack.write(person, page, text="hello")
    until("all have a ticket", lambda: all(map(stack.tickets, pages)))
    return {person: stack.tickets(person)[0]["id"] for person in pages}


def test_a_page_that_sends_many_pictures_stays_below_metas_limit_and_holds_no_other_up(stack: Stack) -> None:
    *crowd, other = new_people(41)
    tickets = open_tickets(stack, dict.fromkeys(crowd, PAGE_A) | {other: PAGE_B})
    for person in crowd:
        stack.reply(tickets[person], "", files=[photo().as_json()])
    until("the first are sent", lambda: any(stack.received(person, PAGE_A) for person in crowd))
    stack.reply(tickets[other], "", files=[photo().as_json()])

    until("the other page's reply is sent", lambda: stack.received(other, PAGE_B), within=3)
    sent = [person for person in crowd if stack.received(person, PAGE_A)]
    assert len(sent) < 30
    until("all are sent", lambda: all(stack.received(person, PAGE_A) for person in crowd))
    rates = stack.ask_meta("GET", f"/pages/{PAGE_A.page_id}/rates")
    assert (rates["media"]["accepted"], rates["media"]["refused"]) == (40, 0)
    assert rates["media"]["most"] <= 10


def test_a_page_near_its_limit_is_slowed_down_alone(stack: Stack, run: Callable[..., str]) -> None:
    *crowd, other = new_people(31)
    tickets = open_tickets(stack, dict.fromkeys(crowd, PAGE_A) | {other: PAGE_B})
    stack.ask_meta("PUT", "/behaviour", {"usage": {PAGE_A.page_id: {"call_count": 90}}})
    stack.reply(tickets[crowd[0]], "first")
    until("the page is slowed down", lambda: "slowed down: " in run("status"))
    for person in crowd[1:]:
        stack.reply(tickets[person], "slow")
    stack.reply(tickets[other], "quick")

    until("the other page's reply is sent", lambda: stack.received(other, PAGE_B))
    assert len([person for person in crowd if stack.received(person, PAGE_A)]) < 24
    stack.write(crowd[0], PAGE_A, text="more")
    until("what customers write comes in", lambda: stack.tickets(crowd[0])[0]["comments"][1:])
    stack.ask_meta("PUT", "/behaviour", {"usage": {}})
    until("all are sent", lambda: all(stack.received(person, PAGE_A) for person in crowd))
    assert "0 dead letters" in run("status")


@contextmanager
def dripping() -> Iterator[str]:
    """Run a file host that gives a byte now and then; at the end it gives the rest. Give its address."""
    over, size = threading.Event(), 10_000

    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(size))
            self.end_headers()
            left = size
            while not over.wait(0.2):
                self.wfile.write(b"x")
                left -= 1
            self.wfile.write(b"x" * left)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/photo.jpg"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def test_files_that_drip_from_one_host_do_not_hold_texts_up(stack: Stack) -> None:
    with_files, with_texts = new_people(40), new_people(40)
    with dripping() as url:
        for person in with_files:
            stack.write(person, attachments=[{"type": "image", "payload": {"url": url}}])
        until("the files are fetched", lambda: waiting(stack) == 40)
        for person in with_texts:
            stack.write(person, text="hello")

        until("all texts have a ticket", lambda: all(map(stack.tickets, with_texts)))
        assert not any(map(stack.tickets, with_files))
    until("the files have theirs", lambda: all(map(stack.tickets, with_files)))
