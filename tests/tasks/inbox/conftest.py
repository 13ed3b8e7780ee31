"""An inbox on a real store."""

from collections.abc import Iterator

import pytest

from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.fakes.inbox import Stored


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    store = connect(store_url)
    yield Inbox(store)
    store.close()


@pytest.fixture
def stored(inbox: Inbox) -> Stored:
    return Stored(inbox)


@pytest.fixture
def another(store_url: str) -> Iterator[Inbox]:
    """Give the inbox as another worker has it."""
    store = connect(store_url)
    yield Inbox(store)
    store.close()
