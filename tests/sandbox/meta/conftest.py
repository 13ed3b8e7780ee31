"""The sandbox Meta, over real HTTP, and a page of it."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from sandbox.meta.app import create_app
from tests.fakes.sandbox_meta import QUIET, Page, Receiver


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
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(journal), log_level="warning", access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join()
    listener.close()


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
