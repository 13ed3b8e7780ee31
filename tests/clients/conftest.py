"""A server that counts requests, for the clients that call over real connections."""

import threading
from collections.abc import Iterator

import pytest

from tests.fakes.rest_helpdesk import Counter


@pytest.fixture
def server() -> Iterator[Counter]:
    with Counter() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
