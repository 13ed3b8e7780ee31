"""A running django-helpdesk, its agent, and what takes its webhooks."""

from collections.abc import Iterator

import pytest

from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.server import DjangoHelpdesk
from tests.fakes.sandbox_django_helpdesk import Receiver, new_ticket


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


@pytest.fixture
def ticket(desk: DjangoHelpdesk) -> int:
    return new_ticket(desk)
