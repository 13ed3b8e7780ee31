"""A real django-helpdesk, its webhooks, and an agent who works in its web pages."""

import threading
from collections.abc import Iterator

import pytest

from clients.helpdesk import Ticket
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.http import HttpClient
from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server
from tests.fakes.django_helpdesk import Hooks, adapter, new_ticket


@pytest.fixture(scope="package")
def hooks() -> Iterator[Hooks]:
    with Hooks() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def http() -> Iterator[HttpClient]:
    with HttpClient() as client:
        yield client


@pytest.fixture
def helpdesk(desk: Server, http: HttpClient) -> DjangoHelpdesk:
    return adapter(desk, http)


@pytest.fixture
def ticket(helpdesk: DjangoHelpdesk) -> Ticket:
    return helpdesk.create_ticket(new_ticket(), "key")
