"""A real django-helpdesk: how it is run here, what its agent sees, and what it does that one must survive.

The facts are of django-helpdesk 2.6.1: a test that goes red with a later one tells what that one does better.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sandbox.django_helpdesk import install, server
from sandbox.django_helpdesk.agent import CLOSED, Agent, Comment
from sandbox.django_helpdesk.host.accounts import ADMIN, AGENT, CONNECTOR, CUSTOM_FIELDS, IDS, QUEUES, TOKEN
from sandbox.django_helpdesk.server import DjangoHelpdesk
from sandbox.django_helpdesk.stack import DjangoStack
from sandbox.samples import document, photo
from sandbox.stack import NeverHappened, free_port, until
from sandbox.staff import Refused

OPEN, REOPENED, DUPLICATE = 1, 2, 5
OURS = {f"custom_{name}": f"{name} of Anna" for name in CUSTOM_FIELDS}
NOTHING = dict.fromkeys(OURS, "")
CONNECTOR_ID, AGENT_ID = IDS[CONNECTOR], IDS[AGENT]


class Receiver:
    """Takes the helpdesk's webhooks; each is sent before the request that caused it is answered."""

    def __init__(self, port: int = 0) -> None:
        self.port, self.status, self.silent = port or free_port(), 200, threading.Event()
        self.bodies: list[tuple[str, dict[str, Any]]] = []
        self.silent.set()
        self.start()

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.bodies.append((self.path, body))
                receiver.silent.wait(10)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @contextmanager
    def down(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    def of(self, ticket_id: int) -> list[dict[str, Any]]:
        """Return the followups of a ticket that were told, the oldest first, each as it was told."""
        told = [
            body for path, body in self.bodies if path == "/followup" and body["ticket"]["id"] == ticket_id
        ]
        return [
            next(one for one in body["ticket"]["followup_set"] if one["id"] == body["followup_id"])
            for body in told
        ]

    def tickets(self) -> list[int]:
        """Return the ids of the new tickets that were told."""
        return [body["ticket"]["id"] for path, body in self.bodies if path == "/new"]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def desk(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoHelpdesk]:
    hooks = f"http://127.0.0.1:{receiver.port}"
    folder = tmp_path_factory.mktemp("desk")
    with DjangoHelpdesk(
        folder, followup_webhook=f"{hooks}/followup", new_ticket_webhook=f"{hooks}/new"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def agent(desk: DjangoHelpdesk) -> Iterator[Agent]:
    with Agent(desk.url) as agent:
        yield agent


def new_ticket(desk: DjangoHelpdesk, **fields: Any) -> int:
    body = {"queue": QUEUES["messenger"], "title": "Anna", "description": "Hello", "priority": 3, **OURS}
    response = desk.http.post("/api/tickets/", json=body | fields)
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


@pytest.fixture
def ticket(desk: DjangoHelpdesk) -> int:
    return new_ticket(desk)


def add(desk: DjangoHelpdesk, ticket: int, comment: str = "More", **fields: Any) -> httpx.Response:
    return desk.http.post(
        "/api/followups/", json={"ticket": ticket, "comment": comment, "public": True, **fields}
    )


def add_files(desk: DjangoHelpdesk, ticket: int, *names: str) -> httpx.Response:
    files = [("attachments", (name, b"bytes", "image/png")) for name in names]
    data = {"ticket": str(ticket), "comment": "A file", "public": "true"}
    return desk.http.post("/api/followups/", data=data, files=files)


def attach(desk: DjangoHelpdesk, followup: int, name: str, **fields: str) -> httpx.Response:
    data = {"followup": str(followup), **fields}
    return desk.http.post("/api/followups-attachments/", data=data, files={"file": (name, b"bytes")})


def comments(desk: DjangoHelpdesk, ticket: int) -> list[str]:
    return [one["comment"] for one in desk.ticket(ticket)["followup_set"]]


def newest(desk: DjangoHelpdesk, ticket: int) -> dict[str, Any]:
    followup: dict[str, Any] = desk.ticket(ticket)["followup_set"][-1]
    return followup


def custom_fields(ticket: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in ticket.items() if name.startswith("custom_")}


# How it is installed and run.


def test_two_who_install_at_once_build_one_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    run = install._run

    def note(step: str, *rest: Any) -> None:
        steps.append(step)
        run(step, *rest)

    monkeypatch.setattr(install, "_run", note)
    monkeypatch.setattr(install, "BUILD", tmp_path / "build")
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path / "requirements.txt")
    install.REQUIREMENTS.touch()
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(lambda _: install.interpreter(), range(2))

    assert first == second
    assert first.is_file()
    assert steps == ["making its virtual environment", "fetching its packages from PyPI"]


def test_a_failed_installation_says_what_failed_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "BUILD", tmp_path / "build")
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    install.REQUIREMENTS.write_text("gunicorn==27.0.1")
    for _ in range(2):
        with pytest.raises(install.NotInstalled, match=r"(?s)fetching its packages from PyPI.*gunicorn"):
            install.interpreter()


def test_a_fresh_one_has_its_users_queues_and_custom_fields(desk: DjangoHelpdesk, ticket: int) -> None:
    assert desk.ticket(ticket)["followup_set"][0]["user"] == CONNECTOR_ID
    with Agent(desk.url, ADMIN) as admin:
        owner, by_hand = admin.create("By hand", "A text", queue="Billing"), admin.create("Another", "Text")

    assert desk.ticket(owner)["queue"] == QUEUES["billing"]
    assert custom_fields(desk.ticket(by_hand)) == NOTHING


def test_what_is_stored_outlives_a_restart_and_a_kill_and_ends_with_a_reset(tmp_path: Path) -> None:
    with DjangoHelpdesk(tmp_path) as desk, Agent(desk.url) as agent:
        ticket = agent.create("By hand", "A text")
        agent.reply(ticket, "A file", files=[photo()])
        url = newest(desk, ticket)["followupattachment_set"][0]["file"]
        desk.restart()
        assert httpx.get(url).content == photo().data
        desk.kill()
        with pytest.raises(httpx.TransportError):
            desk.tickets()
        desk.start()
        assert [one["id"] for one in desk.tickets()] == [ticket]
        desk.reset()

        assert desk.tickets() == []
        assert httpx.get(url).status_code == 404
        assert agent.create("Again", "A text") == ticket


def test_a_paused_one_answers_when_it_goes_on(desk: DjangoHelpdesk) -> None:
    desk.pause()
    try:
        with pytest.raises(httpx.ReadTimeout):
            desk.http.get("/login/", timeout=0.3)
    finally:
        desk.resume()

    assert desk.http.get("/login/").is_success


def test_one_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HERE", tmp_path)  # nothing is there
    with pytest.raises(NeverHappened, match="No module named 'host'"), DjangoHelpdesk(tmp_path):
        pass


def test_a_stack_with_it_connects_it_with_the_connector(tmp_path: Path) -> None:
    stack = DjangoStack(tmp_path)
    receiver = Receiver(stack.port)  # in the connector's place
    try:
        stack.start_desk()
        told = yaml.safe_load(stack.settings_file.read_text())["helpdesk"]
        headers = {"Authorization": f"Token {told['api_token']}"}
        assert httpx.get(f"{told['base_url']}/api/tickets/", headers=headers).is_success
        stack.agent.reply(stack.agent.create("By hand", "A text"), "Hello")

        assert [path for path, _ in receiver.bodies] == [
            f"/social_media/webhooks/helpdesk/{told['webhook_secret']}"
        ]
    finally:
        stack.__exit__()
        receiver.stop()


# What the agent does in its pages.


def test_an_agent_reads_and_writes_comments_on_the_page(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    agent.reply(ticket, "Hello **Anna**\nsecond line", files=[photo(), document("счёт 1.pdf")])
    agent.reply(ticket, "a nuisance", public=False)

    assert agent.comments(ticket) == [
        Comment("Ticket Opened", "Hello", "fb-connector", public=True),
        Comment("Anna", "Hello Anna\nsecond line", AGENT, public=True, files=("photo.png", "счёт 1.pdf")),
        Comment("Anna", "a nuisance", AGENT, public=False),
    ]
    assert comments(desk, ticket)[1] == "Hello **Anna**\r\nsecond line"
    assert ticket in [row["id"] for row in agent.tickets()]


def test_an_agent_closes_and_reopens(desk: DjangoHelpdesk, agent: Agent, ticket: int) -> None:
    agent.close(ticket, "Bye")
    assert desk.ticket(ticket)["status"] == int(CLOSED)
    assert ticket not in [row["id"] for row in agent.tickets()]
    assert ticket in [row["id"] for row in agent.tickets("status=4")]
    agent.reopen(ticket)

    assert desk.ticket(ticket)["status"] == REOPENED


def test_what_a_page_does_not_take_is_told(agent: Agent) -> None:
    with pytest.raises(Refused, match="404"):
        agent.comments(99_999)
    with pytest.raises(Refused, match="This field is required"):
        agent.create("", "A text")


# Its API.


def test_who_has_no_token_is_refused(desk: DjangoHelpdesk) -> None:
    url = f"{desk.url}/api/tickets/"

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"Authorization": "Token nonsense"}).json() == {"detail": "Invalid token."}
    assert httpx.get(url, headers={"Authorization": f"Token {TOKEN}"}).is_success


def test_a_ticket_without_text_is_refused_and_one_without_description_is_an_error(
    desk: DjangoHelpdesk,
) -> None:
    body = {"queue": QUEUES["messenger"], "title": "Anna", "priority": 3}

    assert desk.http.post("/api/tickets/", json=body | {"description": " "}).status_code == 400
    assert desk.http.post("/api/tickets/", json=body).status_code == 500


def test_a_queues_default_owner_is_not_applied(desk: DjangoHelpdesk) -> None:
    ticket = new_ticket(desk, queue=QUEUES["billing"])

    assert desk.ticket(ticket)["assigned_to"] is None


def test_followups_and_tickets_come_oldest_first_and_the_last_page_holds_the_newest(
    desk: DjangoHelpdesk, ticket: int
) -> None:
    newest = [add(desk, ticket, text).json()["id"] for text in "ab"][-1]
    first, last = (desk.http.get(f"/api/followups/?page_size=2&page={page}").json() for page in (1, "last"))
    beyond = desk.http.get("/api/followups/?page_size=2&page=9999")
    tickets = desk.http.get("/api/tickets/?page_size=1&page=last").json()["results"]

    assert first["results"][0]["id"] == 1
    assert last["results"][-1]["id"] == newest
    assert last["next"] is None
    assert beyond.status_code == 404
    assert [one["id"] for one in tickets] == [ticket]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_single_ticket_is_looked_for_among_those_of_a_status(
    desk: DjangoHelpdesk, ticket: int, method: str
) -> None:
    # What the filter leaves is loaded whole, field by field, before one is taken; without it, everything is.
    found = {
        status: desk.http.request(method, f"/api/tickets/{ticket}/?status={status}").status_code
        for status in ("1,2", "3,4,5", "77")
    }

    assert found == {"1,2": 200, "3,4,5": 404, "77": 200}


@pytest.mark.parametrize(
    "ignored", ["search=nothing", "custom_fb_psid=nothing", "queue=99", "submitter_email=nobody@example.com"]
)
def test_other_filters_are_ignored(desk: DjangoHelpdesk, ticket: int, ignored: str) -> None:
    page = desk.http.get(f"/api/tickets/?status=1,2&page_size=1&page=last&{ignored}").json()

    assert [one["id"] for one in page["results"]] == [ticket]


def test_the_author_and_the_time_of_a_followup_are_not_ours_to_say(desk: DjangoHelpdesk, ticket: int) -> None:
    followup = add(desk, ticket, user=AGENT_ID, date="2020-01-01T00:00:00Z", message_id="<mid>").json()

    assert followup["user"] == CONNECTOR_ID
    assert followup["message_id"] is None
    assert not followup["date"].startswith("2020")


def test_a_followup_leaves_a_closed_ticket_closed_and_new_status_reopens_it(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    agent.close(ticket)
    add(desk, ticket)
    assert desk.ticket(ticket)["status"] == int(CLOSED)
    add(desk, ticket, new_status=REOPENED)

    assert desk.ticket(ticket)["status"] == REOPENED


def test_new_status_that_the_ticket_has_already_does_nothing(desk: DjangoHelpdesk, ticket: int) -> None:
    followup = add(desk, ticket, new_status=OPEN).json()

    assert followup["new_status"] is None
    assert followup["title"] == "Anna"


def test_a_followups_title_renames_the_ticket(desk: DjangoHelpdesk, ticket: int) -> None:
    add(desk, ticket, title="Renamed")

    assert desk.ticket(ticket)["title"] == "Renamed"


def test_a_number_sign_in_a_text_writes_a_private_followup_on_that_ticket(
    desk: DjangoHelpdesk, ticket: int
) -> None:
    other = new_ticket(desk, description=f"see #{ticket}")
    followup = newest(desk, ticket)

    assert followup["title"] == f"Referenced in ticket #{other}"
    assert followup["public"] is False


# A comment is a template.


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("{{ ticket.title }}!", "Anna!"),
        ("{# hidden #}visible", "visible"),
        ("{{ 'a' }}", "a"),
        (" spaces \n", "spaces"),
        ("{{", "{{"),
        ("{#", "{#"),
        ("{% load x %}", "{% load x %}"),
        ("{% verbatim %}", "{% verbatim %}"),
        ("<b>&amp;'\"", "<b>&amp;'\""),
    ],
)
def test_a_comment_is_rendered(desk: DjangoHelpdesk, ticket: int, typed: str, stored: str) -> None:
    assert add(desk, ticket, typed).json()["comment"] == stored


POISON = [
    "{{ }}",
    "{{ a|b }}",
    "{{{ a }}}",
    "{%",
    "100%}",
    "{% endverbatim %}",
    "X-HELPDESK-COMMENT-VERBATIM",
    "X-HELPDESK-COMMENT-ENDVERBATIM",
]


@pytest.mark.parametrize("text", POISON)
def test_a_comment_that_is_no_template_is_an_error_and_not_stored(
    desk: DjangoHelpdesk, ticket: int, text: str
) -> None:
    assert add(desk, ticket, text).status_code == 500
    assert comments(desk, ticket) == ["Hello"]


def test_a_description_is_stored_as_typed(desk: DjangoHelpdesk) -> None:
    ticket = new_ticket(desk, description=" ".join(POISON))

    assert desk.ticket(ticket)["description"] == " ".join(POISON)
    assert comments(desk, ticket) == [" ".join(POISON)]


def test_braces_and_the_helpdesks_own_word_can_be_written_so_that_they_arrive_as_typed(
    desk: DjangoHelpdesk, ticket: int
) -> None:
    text = " ".join([*POISON, "{# a #}", "{%}", "{%\n%}", "}}", "<'\">&"])
    braces = re.sub(r"[{}]", lambda found: f'{{{{ "{found[0]}" }}}}', text)
    escaped = braces.replace("X-HELPDESK", 'X{{ "" }}-HELPDESK')

    assert add(desk, ticket, escaped).json()["comment"] == text


def test_a_changed_comment_is_stored_as_typed_and_no_webhook_tells(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    followup = add(desk, ticket).json()["id"]
    told = len(receiver.of(ticket))
    changed = desk.http.patch(f"/api/followups/{followup}/", json={"comment": " ".join(POISON)})

    assert changed.json()["comment"] == " ".join(POISON)
    assert len(receiver.of(ticket)) == told


# Files.


@pytest.mark.parametrize("name", ["clip.mp4", "photo.jpeg", "a.gif", "a.webp", f"{'ф' * 150}.png"])
def test_a_followup_with_a_file_it_refuses_is_an_error_though_stored(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int, name: str
) -> None:
    assert add_files(desk, ticket, name).status_code == 500
    assert newest(desk, ticket)["comment"] == "A file"
    assert newest(desk, ticket)["followupattachment_set"] == []
    assert newest(desk, ticket)["email_recipients"] is None
    assert receiver.of(ticket) == []


def test_the_other_files_of_a_refused_one_are_stored(desk: DjangoHelpdesk, ticket: int) -> None:
    assert add_files(desk, ticket, "clip.mp4", "photo.PNG").status_code == 500
    assert [one["filename"] for one in newest(desk, ticket)["followupattachment_set"]] == ["photo.PNG"]


def test_files_come_back_by_name_not_in_their_order(desk: DjangoHelpdesk, ticket: int) -> None:
    add_files(desk, ticket, "b.png", "a.png")
    files = newest(desk, ticket)["followupattachment_set"]

    assert [one["filename"] for one in files] == ["a.png", "b.png"]
    assert [one["filename"] for one in sorted(files, key=lambda one: int(one["id"]))] == ["b.png", "a.png"]


def test_a_new_ticket_with_a_file_it_refuses_is_refused_whole(desk: DjangoHelpdesk) -> None:
    before = len(desk.tickets())
    data = {"queue": str(QUEUES["messenger"]), "title": "Anna", "description": "Hello", "priority": "3"}
    response = desk.http.post("/api/tickets/", data=data, files={"attachment": ("clip.mp4", b"bytes")})

    assert response.status_code == 400
    assert response.json() == {"attachment": ["Unsupported file extension: .mp4"]}
    assert len(desk.tickets()) == before


def test_a_file_alone_needs_its_followup_and_is_refused_with_a_reason(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    followup = add(desk, ticket).json()["id"]
    told = len(receiver.of(ticket))
    refused, taken = attach(desk, followup, "clip.mp4"), attach(desk, followup, "a.png")

    assert refused.status_code == 400
    assert refused.json() == {"file": ["Unsupported file extension: .mp4"]}
    assert taken.json().items() >= {"filename": "a.png", "mime_type": "image/png", "size": 5}.items()
    assert attach(desk, 99_999, "a.png").status_code == 400
    assert len(receiver.of(ticket)) == told


def test_a_file_without_extension_may_be_called_anything(desk: DjangoHelpdesk, ticket: int) -> None:
    followup = add(desk, ticket).json()["id"]
    clip = attach(desk, followup, "clip", filename="clip.mp4", mime_type="video/mp4").json()

    assert (clip["filename"], clip["mime_type"]) == ("clip.mp4", "video/mp4")
    assert httpx.get(clip["file"]).content == b"bytes"


def test_an_empty_file_is_refused_and_nothing_is_stored(desk: DjangoHelpdesk, ticket: int) -> None:
    data = {"ticket": str(ticket), "comment": "A file", "public": "true"}
    response = desk.http.post("/api/followups/", data=data, files={"attachments": ("a.txt", b"")})

    assert response.status_code == 400
    assert comments(desk, ticket) == ["Hello"]


# Its webhook.


def test_every_followup_is_told_ours_and_private_ones_too_with_a_relative_file(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    add(desk, ticket, "ours")
    agent.reply(ticket, "private", public=False)
    agent.reply(ticket, "public", files=[photo()])
    ours, private, public = receiver.of(ticket)

    assert ticket in receiver.tickets()
    assert [one["user"] for one in (ours, private, public)] == [CONNECTOR_ID, AGENT_ID, AGENT_ID]
    assert [one["public"] for one in (ours, private, public)] == [True, False, True]
    assert public["followupattachment_set"][0]["file"].startswith("/media/helpdesk/attachments/")


def test_closing_and_assigning_are_told_as_followups_without_text(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    agent.assign(ticket, ADMIN)
    agent.close(ticket)
    assigned, closed = receiver.of(ticket)

    assert (assigned["title"], assigned["comment"], assigned["public"]) == ("Assigned to admin", "", False)
    assert (closed["new_status"], closed["comment"], closed["public"]) == (int(CLOSED), "", True)


def test_a_change_of_the_ticket_by_the_api_is_not_told(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    desk.http.patch(f"/api/tickets/{ticket}/", json={"status": int(CLOSED), "assigned_to": AGENT_ID})

    assert desk.ticket(ticket)["status"] == int(CLOSED)
    assert receiver.of(ticket) == []


def test_a_receiver_that_fails_is_not_asked_again(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    receiver.status = 500
    assert add(desk, ticket).status_code == 201
    receiver.status = 200
    add(desk, ticket, "next")

    assert [one["comment"] for one in receiver.of(ticket)] == ["More", "next"]


def test_a_receiver_that_does_not_answer_is_left_after_three_seconds(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    receiver.silent.clear()
    try:
        response = add(desk, ticket)
    finally:
        receiver.silent.set()

    assert response.status_code == 201
    assert 2.9 < response.elapsed.total_seconds() < 10


def test_a_receiver_that_is_down_is_an_error_though_all_is_stored(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    with receiver.down():
        assert add(desk, ticket, "ours").status_code == 500
        with pytest.raises(Refused, match="500"):
            agent.reply(ticket, "theirs", files=[photo()])
        body = {"queue": QUEUES["messenger"], "title": "Stored", "description": "Hello", "priority": 3}
        assert desk.http.post("/api/tickets/", json=body).status_code == 500

    assert comments(desk, ticket) == ["Hello", "ours", "theirs"]
    assert len(newest(desk, ticket)["followupattachment_set"]) == 1
    assert desk.tickets()[-1]["title"] == "Stored"
    assert receiver.of(ticket) == []


def test_who_is_called_by_the_webhook_may_call_back(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    receiver.silent.clear()
    try:
        with ThreadPoolExecutor() as pool:
            response = pool.submit(add, desk, ticket)
            until("the webhook has come", lambda: receiver.of(ticket))
            assert desk.ticket(ticket)["followup_set"][-1]["comment"] == "More"
            assert not response.done()
            receiver.silent.set()
    finally:
        receiver.silent.set()


# What its own pages do to a ticket.


def test_the_small_form_for_the_owner_blanks_the_custom_fields(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    assert custom_fields(desk.ticket(ticket)) == OURS
    agent.assign(ticket, AGENT)

    assert desk.ticket(ticket)["assigned_to"] == AGENT_ID
    assert custom_fields(desk.ticket(ticket)) == NOTHING


def test_the_reply_form_keeps_the_custom_fields(desk: DjangoHelpdesk, agent: Agent, ticket: int) -> None:
    agent.reply(ticket, "Hello")

    assert custom_fields(desk.ticket(ticket)) == OURS


def test_a_reply_from_a_page_that_was_open_for_a_while_undoes_what_happened_since(
    desk: DjangoHelpdesk, agent: Agent, ticket: int
) -> None:
    form = agent.reply_form(ticket)
    changes = {"status": REOPENED, "title": "New", "queue": QUEUES["billing"], "custom_fb_category": "12"}
    desk.http.patch(f"/api/tickets/{ticket}/", json=changes)
    agent.send(form, "Hello")
    found = desk.ticket(ticket)

    assert (found["status"], found["title"], found["queue"]) == (OPEN, "Anna", QUEUES["messenger"])
    assert custom_fields(found) == OURS


def test_a_merge_of_tickets_without_an_address_fails_half_way(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver, ticket: int
) -> None:
    other = new_ticket(desk, description="Other")
    with pytest.raises(Refused, match="500"):
        agent.merge(ticket, other)
    merged = desk.ticket(other)

    assert (merged["status"], merged["merged_to"], merged["followup_set"]) == (DUPLICATE, ticket, [])
    assert comments(desk, ticket) == ["Hello", "Other"]


def test_a_merge_moves_the_followups_and_tells_nobody(
    desk: DjangoHelpdesk, agent: Agent, receiver: Receiver
) -> None:
    into, other = (new_ticket(desk, submitter_email=f"{name}@example.com") for name in ("anna", "bruno"))
    add(desk, other, "a note", public=False)
    told = len(receiver.bodies)
    agent.merge(into, other)
    merged, moved = desk.ticket(other), desk.ticket(into)["followup_set"][1:]

    assert (merged["status"], merged["merged_to"], merged["followup_set"]) == (DUPLICATE, into, [])
    assert custom_fields(merged) == custom_fields(desk.ticket(into)) == OURS
    assert [one["title"] for one in moved] == [f"[Merged from #{other}] Anna"] * 2
    assert [one["public"] for one in moved] == [True, False]
    assert len(receiver.bodies) == told


def test_a_merged_ticket_takes_followups_that_no_page_shows(desk: DjangoHelpdesk, agent: Agent) -> None:
    into, other = (new_ticket(desk, submitter_email=f"{name}@example.com") for name in ("anna", "bruno"))
    agent.merge(into, other)
    add(desk, other, "lost", new_status=REOPENED)

    assert comments(desk, other) == ["lost"]
    assert desk.ticket(other)["merged_to"] == into
    assert agent.comments(other) == []
    with pytest.raises(Refused, match="no form"):
        agent.reply(other, "Hello")


def test_a_status_that_an_agent_sets_while_a_followup_is_added_is_lost(tmp_path: Path) -> None:
    # What takes time in there is mail: here the server that it goes to takes the connection, and is silent.
    with (
        socket.create_server(("127.0.0.1", 0)) as mail,
        DjangoHelpdesk(tmp_path, mail_port=mail.getsockname()[1]) as desk,
        Agent(desk.url) as agent,
        ThreadPoolExecutor() as pool,
    ):
        ticket = new_ticket(desk)
        desk.http.patch(f"/api/tickets/{ticket}/", json={"assigned_to": AGENT_ID})
        form = agent.reply_form(ticket)
        adding = pool.submit(add, desk, ticket)
        connection, _ = mail.accept()
        agent.send(form, "", status=CLOSED)
        assert desk.ticket(ticket)["status"] == int(CLOSED)
        connection.close()
        assert adding.result().status_code == 201

        assert desk.ticket(ticket)["status"] == OPEN
        assert newest(desk, ticket)["new_status"] == int(CLOSED)
