"""The adapter `django_helpdesk` on a real django-helpdesk, whose agent works in its web pages."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from clients.django_helpdesk import DjangoHelpdesk
from clients.errors import Away, NotFound, RejectedError, TicketClosed, Unauthorized, Unavailable
from clients.helpdesk import (
    SOURCE,
    SYSTEM,
    Author,
    HelpdeskEvent,
    InvalidWebhook,
    Naming,
    NewComment,
    NewTicket,
    Requester,
    Ticket,
    WebhookNotUnderstood,
)
from clients.http import HttpClient
from clients.media import File
from clients.text import to_markdown
from sandbox.django_helpdesk.agent import Agent, Comment
from sandbox.django_helpdesk.host.accounts import AGENT, QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server
from sandbox.samples import Sample
from sandbox.stack import until
from sandbox.staff import Refused
from tasks.accept import goes_out

SECRET = "a-secret-in-the-address"
PERSON = ("107381679302250", "7623554920995436")
PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NOW = datetime.now(UTC)


class Hooks(ThreadingHTTPServer):
    """Takes webhooks, and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.bodies: list[bytes] = []
        self.status = 200

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_port}/{SECRET}"


class _Hook(BaseHTTPRequestHandler):
    server: Hooks

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def hooks() -> Iterator[Hooks]:
    with Hooks() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hooks: Hooks) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("desk"), followup_webhook=hooks.url) as running:
        yield running


@pytest.fixture
def desk(server: Server, hooks: Hooks) -> Server:
    server.reset()
    hooks.bodies.clear()
    return server


@pytest.fixture
def agent(desk: Server) -> Iterator[Agent]:
    with Agent(desk.url) as agent:
        yield agent


@pytest.fixture(scope="module")
def http() -> Iterator[HttpClient]:
    with HttpClient() as client:
        yield client


@pytest.fixture
def helpdesk(desk: Server, http: HttpClient) -> DjangoHelpdesk:
    return _adapter(desk, http)


def _adapter(desk: Server, http: HttpClient, **options: Any) -> DjangoHelpdesk:
    known = {"base_url": desk.url, "api_token": desk.token, "webhook_secret": SECRET}
    return DjangoHelpdesk(http, **known | options)


def _file(name: str = "photo.png", data: bytes = PHOTO, kind: str = "image/png") -> File:
    return File(name, kind, len(data), io.BytesIO(data))


def _new_ticket(external_id: str = "m_1", body: str = "Good morning", **changes: Any) -> NewTicket:
    fields: dict[str, Any] = {
        "desk_id": str(QUEUES["messenger"]),
        "category_id": None,
        "title": "Messenger: Мария",
        "body": body,
        "external_id": external_id,
        "requester": Requester("Мария", PERSON[1]),
        "attachment_ids": (),
        "created_at": NOW,
        "config": {"source": SOURCE, "page_id": PERSON[0], "sender_id": PERSON[1]},
    }
    return NewTicket(**fields | changes)


def _new_comment(external_id: str, body: str = "Anything new?", **changes: Any) -> NewComment:
    return NewComment(body, external_id, Author("customer", "Мария"), datetime.now(UTC), **changes)


@pytest.fixture
def ticket(helpdesk: DjangoHelpdesk) -> Ticket:
    return helpdesk.create_ticket(_new_ticket(), "key")


def _last(agent: Agent, ticket: Ticket) -> Comment:
    return agent.comments(int(ticket.id))[-1]


# --- Tickets. -------------------------------------------------------------------------------------------


def test_a_ticket_is_found_by_its_sender_and_by_its_external_id(
    helpdesk: DjangoHelpdesk, ticket: Ticket
) -> None:
    assert helpdesk.find_open_ticket(*PERSON) == ticket
    assert helpdesk.ticket_by_external_id("m_1") == ticket
    assert helpdesk.get_ticket(ticket.id) == ticket
    assert ticket.config == {"source": SOURCE, "page_id": PERSON[0], "sender_id": PERSON[1]}


def test_another_sender_has_no_ticket(helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    assert helpdesk.find_open_ticket(PERSON[0], "1") is None
    assert helpdesk.ticket_by_external_id("m_2") is None


def test_the_newest_open_ticket_of_a_sender_is_found(helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    newer = helpdesk.create_ticket(_new_ticket("m_2"), "key")
    assert helpdesk.find_open_ticket(*PERSON) == newer


def test_a_ticket_is_found_among_more_than_a_page_of_them(
    helpdesk: DjangoHelpdesk, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.django_helpdesk.PAGE_SIZE", 2)
    for number in range(5):
        other = {"source": SOURCE, "page_id": PERSON[0], "sender_id": str(number)}
        helpdesk.create_ticket(_new_ticket(f"other{number}", config=other), "key")
    assert helpdesk.find_open_ticket(*PERSON) == ticket
    assert helpdesk.ticket_by_external_id("m_1") == ticket


def test_an_agent_sees_the_message_and_nothing_of_the_mark(agent: Agent, ticket: Ticket) -> None:
    (opening,) = agent.comments(int(ticket.id))
    assert (opening.text, opening.public) == ("Good morning", True)


def test_a_closed_ticket_is_closed_and_found_by_its_external_id_only(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.close(int(ticket.id))
    assert helpdesk.get_ticket(ticket.id).closed
    assert helpdesk.find_open_ticket(*PERSON) is None
    assert helpdesk.ticket_by_external_id("m_1") == helpdesk.get_ticket(ticket.id)


def test_a_reopened_ticket_is_open(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    agent.close(int(ticket.id))
    agent.reopen(int(ticket.id))
    assert helpdesk.find_open_ticket(*PERSON) == ticket


def test_a_ticket_is_found_when_the_owners_form_has_blanked_its_fields(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.assign(int(ticket.id), AGENT)
    assert not desk.ticket(int(ticket.id))["custom_fb_psid"]

    assert helpdesk.find_open_ticket(*PERSON) == ticket
    assert desk.ticket(int(ticket.id))["custom_fb_psid"] == PERSON[1]


def test_a_merged_ticket_leads_to_the_one_it_was_merged_into(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    into = agent.create("Another", "…", submitter_email="maria@example.com")
    with suppress(Refused):  # the page is done by half when it stumbles: our tickets have no submitter
        agent.merge(into, int(ticket.id))

    assert helpdesk.get_ticket(ticket.id).id == str(into)
    helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    assert _last(agent, helpdesk.get_ticket(str(into))).text == "Мария:\nAnything new?"


def test_a_ticket_that_was_merged_into_another_persons_takes_no_more(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = {"source": SOURCE, "page_id": PERSON[0], "sender_id": "1"}
    into = helpdesk.create_ticket(_new_ticket("m_2", config=other), "key")
    with suppress(Refused):
        agent.merge(int(into.id), int(ticket.id))
    with pytest.raises(TicketClosed):
        helpdesk.add_comment(ticket.id, _new_comment("m_3"), "key")
    assert helpdesk.find_open_ticket(*PERSON) is None


def test_a_merged_ticket_that_is_opened_again_stands_for_itself(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    into = helpdesk.create_ticket(_new_ticket("m_2"), "key")
    with suppress(Refused):
        agent.merge(int(into.id), int(ticket.id))
    agent.close(int(into.id))
    desk.http.patch(f"/api/tickets/{ticket.id}/", json={"status": 2}).raise_for_status()
    helpdesk.add_comment(ticket.id, _new_comment("m_3"), "key")
    assert helpdesk.find_open_ticket(*PERSON) == helpdesk.get_ticket(ticket.id)


def test_a_message_that_was_moved_to_a_ticket_does_not_make_it_its_persons(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = agent.create("By mail", "…", submitter_email="erik@example.com")
    (opening,) = desk.ticket(int(ticket.id))["followup_set"]
    desk.http.patch(f"/api/followups/{opening['id']}/", json={"ticket": other}).raise_for_status()
    assert helpdesk.get_ticket(str(other)).config == {}


def test_a_status_of_its_own_can_be_open(desk: Server, http: HttpClient, ticket: Ticket) -> None:
    desk.http.patch(f"/api/tickets/{ticket.id}/", json={"status": 3}).raise_for_status()
    assert _adapter(desk, http).find_open_ticket(*PERSON) is None
    assert _adapter(desk, http, open_statuses=[1, 2, 3]).find_open_ticket(*PERSON) == Ticket(
        ticket.id, False, ticket.config
    )


def test_a_time_without_a_zone_is_in_the_helpdesks_own(desk: Server, http: HttpClient) -> None:
    helpdesk = _adapter(desk, http, time_zone="America/New_York")
    assert helpdesk._time("2026-11-23T05:43:37") == datetime(2026, 11, 23, 10, 43, 37, tzinfo=UTC)


def test_a_category_and_its_owner_are_set(desk: Server, http: HttpClient) -> None:
    helpdesk = _adapter(desk, http, owners={"billing": 2})
    ticket = helpdesk.create_ticket(_new_ticket(category_id="billing"), "key")
    stored = desk.ticket(int(ticket.id))
    assert (stored["custom_fb_category"], stored["assigned_to"]) == ("billing", 2)


def test_a_desk_can_have_an_owner(desk: Server, http: HttpClient) -> None:
    helpdesk = _adapter(desk, http, owners={f"desk:{QUEUES['messenger']}": 2})
    ticket = helpdesk.create_ticket(_new_ticket(), "key")
    assert desk.ticket(int(ticket.id))["assigned_to"] == 2


def test_a_title_is_cut_to_what_is_taken(desk: Server, helpdesk: DjangoHelpdesk) -> None:
    ticket = helpdesk.create_ticket(_new_ticket(title="Messenger: " + "x" * 300), "key")
    assert len(desk.ticket(int(ticket.id))["title"]) == 200


@pytest.mark.parametrize(
    ("old_title", "title"), [("Messenger: Мария", "Messenger: Мария Ли"), ("Another", "Messenger: Мария")]
)
def test_a_ticket_gets_a_name_unless_an_agent_gave_it_another_title(
    desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket, old_title: str, title: str
) -> None:
    naming = Naming(old_title, "Messenger: Мария Ли", Requester("Мария Ли", PERSON[1]), {})
    assert helpdesk.name_requester(ticket.id, naming)

    stored = desk.ticket(int(ticket.id))
    assert (stored["title"], stored["custom_fb_psid"]) == (title, PERSON[1])
    assert helpdesk.find_open_ticket(*PERSON) == ticket


# --- Comments. ------------------------------------------------------------------------------------------


def test_a_comment_begins_with_the_customers_name(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    shown = _last(agent, ticket)
    assert (shown.text, shown.public) == ("Мария:\nAnything new?", True)


def test_a_comment_says_when_its_message_was_written_if_that_is_long_ago(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    written = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
    late = NewComment("Hello", "m_2", Author("customer", "Мария"), written)
    helpdesk.add_comment(ticket.id, late, "key")
    assert _last(agent, ticket).text == "Мария, 2026-11-22 20:15 UTC:\nHello"


def test_the_same_comment_again_is_the_first_one(
    desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket
) -> None:
    first = helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    assert helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key") == first
    assert helpdesk.comment_by_external_id(ticket.id, "m_2") == first
    assert len(desk.ticket(int(ticket.id))["followup_set"]) == 2


def test_a_comment_that_was_not_made_is_not_found(helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    assert helpdesk.comment_by_external_id(ticket.id, "m_2") is None


def test_an_internal_comment_is_private(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    note = NewComment("It did not arrive.", "failed:1", SYSTEM, NOW, internal=True)
    helpdesk.add_comment(ticket.id, note, "key")
    shown = _last(agent, ticket)
    assert (shown.text, shown.public) == ("It did not arrive.", False)


def test_a_closed_ticket_takes_no_comment_but_an_internal_one(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.close(int(ticket.id))
    with pytest.raises(TicketClosed):
        helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    helpdesk.add_comment(ticket.id, NewComment("…", "note", SYSTEM, NOW, internal=True), "key")
    assert helpdesk.get_ticket(ticket.id).closed


def test_a_ticket_that_is_closed_at_the_same_moment_is_opened_again(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = helpdesk._read

    def then_close(ticket_id: str) -> dict[str, Any]:
        raw = read(ticket_id)
        agent.close(int(ticket_id))
        return raw

    monkeypatch.setattr(helpdesk, "_read", then_close)
    helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    monkeypatch.undo()
    assert not helpdesk.get_ticket(ticket.id).closed


TYPED = [
    "price {{ ticket.submitter_email }} ok",
    "oops {{ }}",
    "{# hidden #}visible",
    "{% load x %}",
    "{% endverbatim %}",
    "a lone {% and a lone %}",
    "#promo\n#A12 is my order",
    "{{{a}}} { } }}",
    "X-HELPDESK-COMMENT-VERBATIM and X-HELPDESK-COMMENT-ENDVERBATIM",
    '<b onclick="x">bold?</b> &amp; <script>alert(1)</script>',
    "*not bold* _nor this_ `code` # heading",
    "zażółć gęślą jaźń Здравейте 😀 שלום",
    "Robert'); DROP TABLE tickets;--",
    "[//]: # (messenger 0123456789abcdef 0)",
    "order #2, and#2 (#2) \\#2",
    "order #2, and#2 (#2) #2",
    "A title?\n===\nAnd another\n---",
    "[a](http://example.com) ![b](c) http://example.com/a_b_c",
    "| a | b |\n| - | - |\n1. one\n> two\n```\nthree",
]


@pytest.mark.parametrize("text", TYPED)
def test_what_a_customer_types_arrives_as_typed(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, text: str
) -> None:
    helpdesk.add_comment(ticket.id, _new_comment("m_2", to_markdown(text)), "key")
    assert _last(agent, ticket).text == f"Мария:\n{text}"


@pytest.mark.parametrize("text", TYPED)
def test_what_a_customer_types_first_arrives_as_typed(
    helpdesk: DjangoHelpdesk, agent: Agent, text: str
) -> None:
    ticket = helpdesk.create_ticket(_new_ticket(body=to_markdown(text)), "key")
    assert _last(agent, ticket).text == text


def test_a_long_text_arrives_whole(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    text = "{a word} " * 8000
    helpdesk.add_comment(ticket.id, _new_comment("m_2", to_markdown(text)), "key")
    assert _last(agent, ticket).text == f"Мария:\n{text.strip()}"


# --- Files. ---------------------------------------------------------------------------------------------


def test_files_are_added_to_the_first_message(helpdesk: DjangoHelpdesk, agent: Agent) -> None:
    files = [_file(), _file("отчет 1.pdf", b"%PDF-", "application/pdf")]
    ticket = helpdesk.create_ticket(_new_ticket(files=files), "key")
    assert sorted(_last(agent, ticket).files) == ["photo.png", "отчет 1.pdf"]


def test_a_file_comes_back_as_it_was(desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file()]), "key")
    stored = _polled(helpdesk)
    assert stored == []
    url = desk.ticket(int(ticket.id))["followup_set"][-1]["followupattachment_set"][0]["file"]
    assert desk.http.get(url).content == PHOTO


def test_a_file_that_is_refused_is_named_and_the_rest_arrives(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    files = [_file("clip.mp4", b"\0", "video/mp4"), _file()]
    helpdesk.add_comment(ticket.id, _new_comment("m_2", files=files), "key")
    shown = _last(agent, ticket)
    assert shown.files == ("photo.png",)
    assert shown.text.startswith("Мария:\nAnything new?\n(The file clip.mp4 is not here:")


def test_a_file_with_a_long_name_keeps_it(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    name = "文" * 110 + ".png"
    helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file(name)]), "key")
    assert _last(agent, ticket).files == (name,)


def test_a_jpeg_is_taken_although_the_helpdesk_knows_only_jpg(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file("holiday.jpeg")]), "key")
    assert _last(agent, ticket).files == ("holiday.jpeg",)


def test_a_number_that_looks_like_a_tickets_leaves_no_note_there(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = agent.create("By hand", "…")
    text = to_markdown(f"my order #{other}, see http://example.com/a_b#top")
    helpdesk.add_comment(ticket.id, _new_comment("m_2", text), "key")
    helpdesk.create_ticket(_new_ticket("m_3", text), "key")
    assert len(agent.comments(other)) == 1


def test_files_of_the_same_name_all_arrive(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file(), _file()]), "key")
    assert len(_last(agent, ticket).files) == 2


def test_a_comment_whose_files_are_not_all_there_is_completed(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, added = helpdesk._add_file, list[str]()

    def fail_at_the_second(followup_id: int, file: File) -> None:
        if added:
            raise Unavailable("the connection to the helpdesk broke")
        added.append(file.filename)
        add(followup_id, file)

    monkeypatch.setattr(helpdesk, "_add_file", fail_at_the_second)
    with pytest.raises(Unavailable):
        helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file(), _file()]), "key")
    monkeypatch.undo()
    assert helpdesk.comment_by_external_id(ticket.id, "m_2") is None

    helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file(), _file()]), "key")
    assert helpdesk.comment_by_external_id(ticket.id, "m_2")
    assert len(_last(agent, ticket).files) == 2
    assert len(agent.comments(int(ticket.id))) == 2


def test_a_comment_whose_files_are_not_all_there_is_completed_on_a_closed_ticket(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise Unavailable("the connection to the helpdesk broke")

    monkeypatch.setattr(helpdesk, "_add_file", fail)
    with pytest.raises(Unavailable):
        helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file()]), "key")
    monkeypatch.undo()
    agent.close(int(ticket.id))
    helpdesk.add_comment(ticket.id, _new_comment("m_2", files=[_file()]), "key")
    assert helpdesk.comment_by_external_id(ticket.id, "m_2")


def test_a_look_that_fails_does_not_hide_how_long_to_wait(
    helpdesk: DjangoHelpdesk, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, posted = helpdesk.call, list[str]()

    def late(method: str, path: str, **options: Any) -> Any:
        if method == "POST":
            posted.append(path)
            raise Unavailable("the helpdesk did not answer in time", retry_after=10)
        if posted:
            raise Unavailable("the helpdesk answered 500")
        return call(method, path, **options)

    monkeypatch.setattr(helpdesk, "call", late)
    with pytest.raises(Unavailable) as error:
        helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    assert error.value.retry_after == 10


# --- Its answers. ---------------------------------------------------------------------------------------


@pytest.fixture
def deaf(
    desk: Server, tmp_path_factory: pytest.TempPathFactory, http: HttpClient
) -> Iterator[DjangoHelpdesk]:
    """Give a helpdesk whose webhook's receiver is down: it answers 500 although it stored."""
    with Server(
        tmp_path_factory.mktemp("deaf"),
        followup_webhook="http://127.0.0.1:9/",
        new_ticket_webhook="http://127.0.0.1:9/",
    ) as server:
        yield _adapter(server, http)


def test_what_was_stored_behind_a_500_is_found_and_not_repeated(deaf: DjangoHelpdesk) -> None:
    ticket = deaf.create_ticket(_new_ticket(), "key")
    first = deaf.add_comment(ticket.id, _new_comment("m_2"), "key")
    assert deaf.add_comment(ticket.id, _new_comment("m_2"), "key") == first
    assert deaf.ticket_by_external_id("m_1") == deaf.find_open_ticket(*PERSON) == ticket


def test_an_unknown_ticket_is_not_found(helpdesk: DjangoHelpdesk) -> None:
    with pytest.raises(NotFound):
        helpdesk.get_ticket("999")
    with pytest.raises(NotFound):
        helpdesk.add_comment("999", _new_comment("m_2"), "key")


def test_a_wrong_token_is_told(desk: Server, http: HttpClient) -> None:
    with pytest.raises(Unauthorized):
        _adapter(desk, http, api_token="wrong").ping()


def test_a_wrong_address_is_told(desk: Server, http: HttpClient) -> None:
    with pytest.raises(Away):
        _adapter(desk, http, base_url=f"{desk.url}/elsewhere").ping()


# --- Its webhook, and polling. --------------------------------------------------------------------------


def _received(helpdesk: DjangoHelpdesk, hooks: Hooks) -> HelpdeskEvent | None:
    """Return what comes of a webhook once it is confirmed."""
    until("a webhook came", lambda: hooks.bodies)
    event = helpdesk.receive(hooks.bodies[-1], {}, SECRET)
    return helpdesk.confirm(event) if event and event.ticket.config is None else event


def _forged(helpdesk: DjangoHelpdesk, desk: Server, ticket: Ticket, **changes: Any) -> HelpdeskEvent | None:
    """Return what comes of a webhook that somebody made up who knows the secret."""
    raw = desk.ticket(int(ticket.id))
    raw["followup_set"][-1] |= changes
    body = json.dumps({"ticket": raw, "followup_id": raw["followup_set"][-1]["id"]})
    event = helpdesk.receive(body.encode(), {}, SECRET)
    return helpdesk.confirm(event) if event and event.ticket.config is None else event


def _polled(helpdesk: DjangoHelpdesk, since: datetime | None = None) -> list[HelpdeskEvent]:
    return list(helpdesk.poll(since or NOW - timedelta(minutes=1)))


def test_an_agents_comment_arrives_with_its_files_and_is_polled_under_the_same_key(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.reply(int(ticket.id), "It left **today**.", files=[Sample("photo.png", "image/png", PHOTO)])
    event = _received(helpdesk, hooks)
    assert event
    assert event.comment
    assert goes_out(event)
    assert (event.ticket, event.comment.body, event.comment.body_format) == (
        ticket,
        "It left **today**.",
        "markdown",
    )
    with helpdesk.open_attachment(event.comment.attachments[0], 10_000) as file:
        assert (file.filename, file.content_type, file.stream.read()) == ("photo.png", "image/png", PHOTO)
    assert [one.key for one in _polled(helpdesk)] == [event.key]


def test_what_an_agent_wrote_for_colleagues_does_not_go_out(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.reply(int(ticket.id), "She is angry.", public=False)
    event = _received(helpdesk, hooks)
    assert event
    assert not goes_out(event)
    assert not any(map(goes_out, _polled(helpdesk)))


def test_an_agents_files_come_in_the_order_in_which_they_were_chosen(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    files = [Sample(name, "image/png", PHOTO) for name in ("second.png", "first.png", "third.png")]
    agent.reply(int(ticket.id), "…", files=files)
    event = _received(helpdesk, hooks)
    assert event
    assert event.comment
    assert [file.filename for file in event.comment.attachments] == ["second.png", "first.png", "third.png"]


def test_our_own_comment_does_not_come_back(helpdesk: DjangoHelpdesk, ticket: Ticket, hooks: Hooks) -> None:
    helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    event = _received(helpdesk, hooks)
    assert event
    assert not goes_out(event)
    assert _polled(helpdesk) == []


def test_our_own_comment_that_an_agent_edited_does_not_come_back(
    desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket
) -> None:
    comment_id = helpdesk.add_comment(ticket.id, _new_comment("m_2"), "key")
    text = desk.ticket(int(ticket.id))["followup_set"][-1]["comment"]
    edited = {"comment": f"{text}\r\n\r\n(fraud suspected)"}
    desk.http.patch(f"/api/followups/{comment_id}/", json=edited).raise_for_status()
    assert not any(map(goes_out, _polled(helpdesk)))


def test_what_an_agent_opened_a_ticket_with_does_not_go_out(helpdesk: DjangoHelpdesk, agent: Agent) -> None:
    agent.create("By hand", "He was rude.", custom_fb_psid=PERSON[1], custom_fb_page_id=PERSON[0])
    assert not any(map(goes_out, _polled(helpdesk)))


@pytest.mark.parametrize("person", [PERSON, None])
def test_a_reply_that_a_merge_brought_goes_out_only_if_it_was_for_the_same_person(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, person: tuple[str, str] | None
) -> None:
    fields = {"custom_fb_page_id": person[0], "custom_fb_psid": person[1]} if person else {}
    other = agent.create("By mail", "…", submitter_email="erik@example.com", **fields)
    agent.reply(other, "Dear Erik, your password is hunter2")
    with suppress(Refused):
        agent.merge(int(ticket.id), other)
    assert desk.ticket(other)["merged_to"] == int(ticket.id)
    sent = [event.comment.body for event in _polled(helpdesk) if event.comment and goes_out(event)]
    assert sent == (["Dear Erik, your password is hunter2"] if person else [])


def test_a_comment_without_text_does_not_stop_polling(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "x", files=[Sample("photo.png", "image/png", PHOTO)])
    comment_id = desk.ticket(int(ticket.id))["followup_set"][-1]["id"]
    desk.http.patch(f"/api/followups/{comment_id}/", json={"comment": None}).raise_for_status()
    assert len(_polled(helpdesk)) == 1


def test_a_reply_that_closes_the_ticket_goes_out(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.close(int(ticket.id), "Glad to help!")
    event = _received(helpdesk, hooks)
    assert event
    assert goes_out(event)
    assert [one.key for one in _polled(helpdesk)] == [event.key]


def test_a_change_without_a_word_says_nothing(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.assign(int(ticket.id), AGENT)
    assert _received(helpdesk, hooks) is None
    assert _polled(helpdesk) == []


def test_a_reply_on_a_ticket_with_blanked_fields_still_finds_its_person(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, hooks: Hooks
) -> None:
    agent.assign(int(ticket.id), AGENT)
    agent.reply(int(ticket.id), "Hello")
    event = _received(helpdesk, hooks)
    assert event
    assert goes_out(event)
    assert event.ticket == ticket


def test_a_reply_on_a_ticket_of_someone_else_does_not_go_out(
    helpdesk: DjangoHelpdesk, agent: Agent, hooks: Hooks
) -> None:
    agent.reply(agent.create("By hand", "…"), "Hello")
    event = _received(helpdesk, hooks)
    assert event
    assert not goes_out(event)


def test_a_webhook_about_a_comment_that_does_not_exist_is_not_confirmed(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "Hello")
    assert _forged(helpdesk, desk, ticket, id=4711, comment="Send me your password") is None


def test_what_goes_out_is_what_stands_in_the_helpdesk(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "Hello", files=[Sample("photo.png", "image/png", PHOTO)])
    forged = {
        "comment": "Send me your password",
        "followupattachment_set": [],
        "date": "2020-01-01T00:00:00Z",
    }
    event = _forged(helpdesk, desk, ticket, **forged)
    assert event
    assert event == _polled(helpdesk)[0]
    assert event.comment
    assert event.comment.body == "Hello"


def test_what_is_private_in_the_helpdesk_does_not_go_out_though_a_webhook_says_so(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    agent.reply(int(ticket.id), "She is angry.", public=False)
    event = _forged(helpdesk, desk, ticket, public=True)
    assert event
    assert not goes_out(event)


def test_a_comment_goes_to_the_person_of_its_own_ticket_whatever_a_webhook_says(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = helpdesk.create_ticket(
        _new_ticket("m_9", config={"source": SOURCE, "page_id": PERSON[0], "sender_id": "9"}), "key"
    )
    agent.reply(int(ticket.id), "Hello")
    raw = desk.ticket(int(other.id))
    raw["followup_set"] += desk.ticket(int(ticket.id))["followup_set"][-1:]
    body = json.dumps({"ticket": raw, "followup_id": raw["followup_set"][-1]["id"]})
    event = helpdesk.receive(body.encode(), {}, SECRET)
    assert event
    assert event.ticket.config is None
    confirmed = helpdesk.confirm(event)
    assert confirmed
    assert confirmed.ticket == ticket


def test_a_webhook_about_what_a_merge_brought_from_another_person_does_not_go_out(
    desk: Server, helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = agent.create("By mail", "…", submitter_email="erik@example.com")
    agent.reply(other, "Dear Erik, your password is hunter2")
    with suppress(Refused):
        agent.merge(int(ticket.id), other)
    event = _forged(helpdesk, desk, ticket)
    assert event
    assert event.comment
    assert "hunter2" in event.comment.body
    assert not goes_out(event)


def test_polling_looks_no_further_back_than_asked(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clients.django_helpdesk.PAGE_SIZE", 2)
    for number in range(5):
        agent.reply(int(ticket.id), f"{number}")
    times = [one.time for one in _polled(helpdesk)]
    assert len(times) == 5
    assert [one.comment.body for one in _polled(helpdesk, times[1]) if one.comment] == ["4", "3"]


def test_a_webhook_with_another_secret_is_refused(helpdesk: DjangoHelpdesk) -> None:
    with pytest.raises(InvalidWebhook):
        helpdesk.receive(b"{}", {}, "another-secret")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"ticket": {}}', b'{"ticket": null, "followup_id": 1}']
)
def test_a_webhook_that_is_not_understood_is_told(helpdesk: DjangoHelpdesk, body: bytes) -> None:
    with pytest.raises(WebhookNotUnderstood):
        helpdesk.receive(body, {}, SECRET)


LONG = "9" * 5000


def _adapter_of(answer: Callable[[httpx.Request], httpx.Response]) -> DjangoHelpdesk:
    http = HttpClient(httpx.MockTransport(answer))
    return DjangoHelpdesk(http, base_url="http://127.0.0.1:9", api_token="token", webhook_secret=SECRET)


def test_a_number_too_long_for_python_hides_no_comment() -> None:
    said = {"id": 5, "comment": "Hello", "public": True, "user": 2, "date": "2026-11-22T20:15:03Z"}
    followup = said | {"title": "", "followupattachment_set": [], "time_spent": "LONG"}
    ticket = {"id": 1, "status": 1, "description": "", "followup_set": [followup], "on_hold": "LONG"}
    body = json.dumps({"ticket": ticket, "followup_id": 5}).replace('"LONG"', LONG).encode()
    event = _adapter_of(lambda _: httpx.Response(500)).receive(body, {}, SECRET)
    assert event
    assert event.comment
    assert event.comment.body == "Hello"


@pytest.mark.parametrize(
    ("more", "named"), [(LONG, "priority, x"), ("[" * 5000, "without a reason"), ("null", "priority, x")]
)
def test_a_refusal_names_its_fields_whatever_stands_in_them(more: str, named: str) -> None:
    content = f'{{"priority": ["no"], "x": {more}}}'.encode()
    helpdesk = _adapter_of(lambda _: httpx.Response(400, content=content))
    with pytest.raises(RejectedError, match=named):
        helpdesk.get_ticket("1")


@pytest.mark.parametrize("id_", ["api/tickets", "x/api/followups", "tickets"])
def test_a_ticket_that_is_not_there_is_no_outage_whatever_its_id(id_: str) -> None:
    with pytest.raises(NotFound):
        _adapter_of(lambda _: httpx.Response(404)).get_ticket(id_)


def test_a_ticket_that_the_token_may_not_see_is_as_if_it_were_gone() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403 if "/tickets/" in request.url.path else 200, json={"results": []})

    helpdesk = _adapter_of(answer)
    with pytest.raises(NotFound):
        helpdesk.get_ticket("1")
    with pytest.raises(Unavailable):
        helpdesk.find_open_ticket(*PERSON)


@pytest.mark.parametrize("secret", ["short", "with spaces in between them", "ąęśćżźółń-ąęśćżźółń"])
def test_a_secret_that_is_no_part_of_an_address_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="16 or more"):
        DjangoHelpdesk.check_secret(secret)


def test_many_comments_at_once_are_all_kept(helpdesk: DjangoHelpdesk, desk: Server, ticket: Ticket) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(
            pool.map(lambda n: helpdesk.add_comment(ticket.id, _new_comment(f"m_{n}"), "key"), range(10, 26))
        )
    assert len(set(ids)) == 16
    assert len(desk.ticket(int(ticket.id))["followup_set"]) == 17
