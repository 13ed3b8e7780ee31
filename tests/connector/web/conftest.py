"""A running web process for the tests of its modules."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import (
    PAGE_A,
    SECRET_A,
    SECRET_B,
    WEBHOOK_SECRET,
    MakeSettings,
    settings_in,
)
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.board import Reader
from tests.fakes.pages import leaked
from tests.fakes.sandbox_meta import serving_meta
from tests.fakes.stores import empty
from tests.fakes.web import Doors, doors_at, serving

SECRETS = (ADMIN_TOKEN, WEBHOOK_SECRET, "desk-token", SECRET_A, SECRET_B, f"EAA{PAGE_A}", "verify-1")


@pytest.fixture(scope="module")
def url(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a connector that serves all tests but those that need one of their own."""
    with (
        empty(valkey),
        settings_in(tmp_path_factory.mktemp("doors")) as make,
        serving(make(redis_url=valkey)) as url,
    ):
        yield url


@pytest.fixture
def doors(url: str, store_url: str) -> Iterator[Doors]:
    with doors_at(url, store_url) as found:
        yield found


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    """Give what the store keeps, empty."""
    with closing(connect(store_url)) as store:
        yield Inbox(store)


@pytest.fixture
def reader(url: str, inbox: Inbox) -> Iterator[Reader]:
    """Give a person who reads the board of the module's connector, and is never shown a secret."""
    with closing(Reader(url)) as reader:
        yield reader
        assert leaked(reader.answers, SECRETS) == []


@pytest.fixture
def own_doors(store_url: str, make_settings: MakeSettings) -> Iterator[Doors]:
    """Give doors that have told nothing yet."""
    with serving(make_settings(redis_url=store_url)) as url, doors_at(url, store_url) as doors:
        yield doors


@pytest.fixture(scope="module")
def meta() -> Iterator[httpx.Client]:
    """Give the sandbox Meta."""
    with serving_meta() as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client
