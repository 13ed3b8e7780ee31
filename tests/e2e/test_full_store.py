"""A store that is full: the doors stop before the brim, and what it holds drains by itself."""

import json
import time
from collections.abc import Iterator

import pytest

from clients.channels.meta.signature import sign
from sandbox.stack import PAGES, until
from tests.chaos.system import System

PAGE = PAGES[0]
WORDS = "x" * 1000


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("full"), lease=3) as running:
        yield running


def post(system: System, first: int) -> int:
    """Bring a hundred messages of a hundred people. Return the status of the answer."""
    now = int(time.time() * 1000)
    messaging = [
        {
            "sender": {"id": f"78{number:010}"},
            "recipient": {"id": PAGE.page_id},
            "timestamp": now,
            "message": {"mid": f"m_{number}", "text": f"{number} {WORDS}"},
        }
        for number in range(first, first + 100)
    ]
    entry = {"id": PAGE.page_id, "time": now, "messaging": messaging}
    body = json.dumps({"object": "page", "entry": [entry]}).encode()
    headers = {"X-Hub-Signature-256": sign(body, PAGE.app_secret)}
    address = f"{system.url}/social_media/webhooks/facebook"
    return system.http.post(address, content=body, headers=headers).status_code


def fill(system: System) -> int:
    """Bring messages until the door takes no more. Return how many it took."""
    for first in range(0, 50_000, 100):
        status = post(system, first)
        if status != 200:
            assert status == 503
            return first
    raise AssertionError("the store was never full")


def limit(system: System, more: int) -> None:
    """Let the store take so many more bytes than it has."""
    used = system.redis.info("memory")["used_memory"]
    system.redis.config_set("maxmemory", used + more)


@pytest.mark.parametrize("beyond_the_brim", [False, True], ids=["nearly full", "beyond the brim"])
def test_a_full_store_drains_by_itself(system: System, *, beyond_the_brim: bool) -> None:
    system.desk.stop()
    limit(system, 4_000_000)
    taken = fill(system)
    assert taken > 500, taken
    if beyond_the_brim:
        limit(system, -1_000_000)
    system.desk.start()

    until("all that was taken is relayed", lambda: system.redis.zcard("mc:oldest") == 0, within=60)
    assert len(system.tickets()) == taken
    assert "died" not in (system.folder / "worker-1.log").read_text()
    until("the door takes messages again", lambda: post(system, 60_000) == 200, within=20)
