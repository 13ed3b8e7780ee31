"""The sandbox Meta, over real HTTP, and a page of it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.sandbox_meta import QUIET, Page, Receiver, serving_meta


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meta") / "journal.jsonl"


@pytest.fixture(scope="module")
def http(journal: Path) -> Iterator[httpx.Client]:
    with serving_meta(journal) as url, httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def page(http: httpx.Client, receiver: Receiver) -> Iterator[Page]:
    http.put("/sandbox/behaviour", json=QUIET)
    page = Page(http, receiver)
    assert page.connected.status_code == 200, page.connected.text
    yield page
    receiver.gate.set()
    receiver.answers.clear()
    receiver.challenge = None
    http.put("/sandbox/behaviour", json=QUIET)
    page.settle()
