"""Both adapters pass the conformance checks."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from clients.helpdesk import Attachment, Helpdesk
from clients.helpdesks import django_helpdesk
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from clients.media import File
from conformance.agent import Filed, HelpdeskAgent, Shown
from conformance.outcome import Cannot
from conformance.receiver import Receiver
from conformance.testing import HelpdeskConformance
from sandbox.django_helpdesk import server
from sandbox.django_helpdesk.agent import Agent
from sandbox.samples import Sample
from sandbox.staff import Refused
from tests.fakes.sandbox_agent import SandboxAgent
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN, Desk

DJANGO_SECRET = "a-secret-in-the-address"


class TestRest(HelpdeskConformance):
    desk_id, category_id = "7", "12"

    @pytest.fixture(scope="class")
    @classmethod
    def desk(cls, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
        desk = Desk(tmp_path_factory.mktemp("helpdesk") / "db.sqlite", "--webhook-url", receiver.url)
        desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
        desk.http.put("/sandbox/categories/12", json={"name": "Messenger", "owner": "Ewa"}).raise_for_status()
        yield desk
        desk.stop()

    @pytest.fixture
    def helpdesk(self, desk: Desk, http: HttpClient) -> Helpdesk:
        return RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token=TOKEN, webhook_secret=SECRET)

    @pytest.fixture
    def wrong_token(self, desk: Desk, http: HttpClient) -> Helpdesk:
        return RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token="no", webhook_secret=SECRET)

    @pytest.fixture
    def agent(self, desk: Desk) -> HelpdeskAgent:
        return SandboxAgent(desk.http)


class StaffAgent(HelpdeskAgent):
    """An agent of a django-helpdesk, in its web pages."""

    def __init__(self, desk: server.DjangoHelpdesk, agent: Agent) -> None:
        self._desk, self._agent = desk, agent

    def close_ticket(self, ticket_id: str) -> None:
        self._agent.close(int(ticket_id), "Closed.")

    def reopen_ticket(self, ticket_id: str) -> None:
        self._agent.reopen(int(ticket_id), "Opened again.")

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        samples = [Sample(one.filename, one.content_type, one.stream.read()) for one in files]
        try:
            self._agent.reply(int(ticket_id), text, public=not internal, files=samples)
        except Refused as refusal:
            if all(sample.data for sample in samples):
                raise
            raise Cannot("empty files of agents", "the form for replies refuses them") from refusal

    def reply_and_close(self, ticket_id: str, text: str) -> None:
        self._agent.close(int(ticket_id), text)

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        with suppress(Refused):  # the page is done by half when it stumbles: our tickets have no submitter
            self._agent.merge(int(into), int(ticket_id))

    def forbid_ticket(self, ticket_id: str) -> None:
        raise Cannot(
            "hiding a ticket from the token", "its user is staff, and the API shows them all tickets"
        )

    def read_ticket(self, ticket_id: str) -> Filed:
        ticket = self._desk.ticket(int(ticket_id))
        return Filed(str(ticket["queue"]), ticket["custom_messenger_category"] or None, ticket["title"])

    def read_comments(self, ticket_id: str) -> list[Shown]:
        stored = self._desk.ticket(int(ticket_id))["followup_set"]
        files = [
            [
                Attachment(str(a["id"]), a["file"], a["filename"], a["mime_type"], a["size"])
                for a in one["followupattachment_set"]
            ]
            for one in stored
        ]
        seen = self._agent.comments(int(ticket_id))
        return [Shown(one.text, not one.public, its) for one, its in zip(seen, files, strict=True)]


class TestDjangoHelpdesk(HelpdeskConformance):
    desk_id, category_id, page = "7", "12", 20

    @pytest.fixture(autouse=True)
    def pages_are_small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(django_helpdesk, "PAGE_SIZE", self.page)

    @pytest.fixture(scope="class")
    @classmethod
    def desk(
        cls, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[server.DjangoHelpdesk]:
        hook = f"{receiver.url}/{DJANGO_SECRET}"
        with server.DjangoHelpdesk(tmp_path_factory.mktemp("django-helpdesk"), followup_webhook=hook) as desk:
            yield desk

    @pytest.fixture
    def helpdesk(self, desk: server.DjangoHelpdesk, http: HttpClient) -> Helpdesk:
        return DjangoHelpdesk(http, base_url=desk.url, api_token=desk.token, webhook_secret=DJANGO_SECRET)

    @pytest.fixture
    def wrong_token(self, desk: server.DjangoHelpdesk, http: HttpClient) -> Helpdesk:
        return DjangoHelpdesk(http, base_url=desk.url, api_token="no", webhook_secret=DJANGO_SECRET)

    @pytest.fixture(scope="class")
    @classmethod
    def browser(cls, desk: server.DjangoHelpdesk) -> Iterator[Agent]:
        with Agent(desk.url) as browser:
            yield browser

    @pytest.fixture
    def agent(self, desk: server.DjangoHelpdesk, browser: Agent) -> HelpdeskAgent:
        return StaffAgent(desk, browser)
