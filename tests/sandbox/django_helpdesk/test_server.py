"""A real django-helpdesk: how it is installed and run here."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sandbox.django_helpdesk import install, server
from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.host.accounts import ADMIN, QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk
from sandbox.django_helpdesk.stack import DjangoStack
from sandbox.samples import photo
from sandbox.stack import NeverHappened
from tests.fakes.sandbox_django_helpdesk import CONNECTOR_ID, NOTHING, Receiver, custom_fields, newest


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
