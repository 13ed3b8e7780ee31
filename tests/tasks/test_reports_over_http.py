"""What stops messages becomes one internal ticket, in the sandbox helpdesk and with the sandbox Meta."""

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import Mock

import httpx
import pytest

from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from tasks import remotes, reports
from tests.conftest import PAGE_A, SECRET_A
from tests.fakes.conversation import OUT, PSID
from tests.fakes.failures import Crash
from tests.fakes.reports import NO_DESK, QUEUE, UNSUBSCRIBED, A, ask, check
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN
from tests.fakes.sandbox_helpdesk import Desk as Sandbox
from tests.fakes.sandbox_meta import serving_meta
from tests.fakes.world import World


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    desk = Sandbox(tmp_path_factory.mktemp("helpdesk") / "db.sqlite", "--no-honour-idempotency")
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    yield desk
    desk.stop()


@pytest.fixture
def real(world: World, sandbox: Sandbox) -> Iterator[World]:
    """Give a world with the sandbox helpdesk, which knows no idempotency keys."""
    with HttpClient() as http:
        rest = RestHelpdesk(http, base_url=f"{sandbox.url}/api/v1", api_token=TOKEN, webhook_secret=SECRET)
        world.service = replace(world.service, helpdesk=rest)
        yield world


def test_over_http_a_worker_that_dies_before_it_notes_the_ticket_makes_no_second_one(
    real: World, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(real, UNSUBSCRIBED)
    with monkeypatch.context() as patch:
        patch.setattr(reports, "_keep", Mock(side_effect=Crash))
        with pytest.raises(Crash):
            real.work(QUEUE)
    real.resume(QUEUE)
    check(real, UNSUBSCRIBED, NO_DESK)
    check(real)

    (told,) = sandbox.http.get("/sandbox/tickets").json()["tickets"]
    assert (told["config"], told["closed"]) == ({"source": "connector"}, True)
    bodies = [(one["internal"], one["body"].partition(":")[0]) for one in told["comments"]]
    assert bodies == [(True, "It has changed. What is wrong now"), (True, "It is over")]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": 368}, "temporarily blocked the page"),
        ({"code": 10, "subcode": 1893063}, "restricted the page from sending"),
    ],
)
def test_over_http_a_page_that_the_sandbox_meta_refuses_is_one_ticket_until_a_reply_goes_out(
    real: World, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, error: dict[str, int], words: str
) -> None:
    monkeypatch.setattr(remotes, "SHORTEST_UNAUTHORIZED", 0)
    with serving_meta() as url, HttpClient() as http, httpx.Client(base_url=url, trust_env=False) as meta:
        network = replace(real.service.network, http=http, api_url=f"{url}/v26.0")
        real.service = replace(real.service, network=network)
        meta.put("/sandbox/apps/1", json={"app_secret": SECRET_A}).raise_for_status()
        page = {"name": "Page 1", "access_token": f"EAA{PAGE_A}", "app_id": "1"}
        meta.put(f"/sandbox/pages/{PAGE_A}", json=page).raise_for_status()
        meta.post(f"/sandbox/pages/{PAGE_A}/people/{PSID}/messages", json={"text": "Hi"}).raise_for_status()
        refused = [error | {"times": 2}]
        meta.put(f"/sandbox/pages/{PAGE_A}/refusals", json=refused).raise_for_status()
        real.reply("Your parcel is on its way.")
        for _ in range(3):
            real.end_pause(A)
            real.work(OUT)
            real.work(QUEUE)
        sent = meta.get(f"/sandbox/pages/{PAGE_A}/people/{PSID}/messages").json()

    assert [one["text"] for one in sent] == ["Hi", "Your parcel is on its way."]
    tickets = sandbox.http.get("/sandbox/tickets").json()["tickets"]
    (told,) = [one for one in tickets if words in str(one)]
    assert [one["body"].partition(":")[0] for one in told["comments"]] == ["It is over"]
    assert told["closed"]
