"""A running web process for the tests of its modules."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from sandbox.stack import free_port, until
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import (
    PAGE_A,
    SECRET_A,
    SECRET_B,
    WEBHOOK_SECRET,
    MakeSettings,
    Valkey,
    settings_in,
)
from tests.fakes.admin import ADMIN_TOKEN, NEW
from tests.fakes.board import Reader, link_to_board
from tests.fakes.pages import leaked
from tests.fakes.sandbox_helpdesk import Desk
from tests.fakes.sandbox_meta import serving_meta
from tests.fakes.stores import empty
from tests.fakes.tab import SECRETS as TAB_SECRETS
from tests.fakes.tab import Tab, settings_of
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


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Valkey]:
    """Give a store that the test may stop."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    store = Valkey(folder)
    yield store
    store.stop()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Give a helpdesk."""
    desk = Desk(tmp_path_factory.mktemp("desk") / "db.sqlite")
    yield desk
    desk.stop()


@pytest.fixture(scope="module")
def tab_url(valkey: str, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a connector with that helpdesk, and no connections."""
    port = free_port()
    with (
        empty(valkey),
        settings_in(tmp_path_factory.mktemp("tab")) as make,
        serving(settings_of(make, valkey, desk, port, connections=[]), port) as url,
    ):
        yield url


@pytest.fixture
def tab(tab_url: str, store_url: str, desk: Desk) -> Iterator[Tab]:
    """Give somebody who opens the tab, and is never shown a secret."""
    desk.http.delete("/sandbox/everything").raise_for_status()
    desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
    desk.http.put("/sandbox/categories/12", json={"name": "Social", "owner": "Ola"}).raise_for_status()
    with closing(Tab(tab_url, store_url, desk)) as tab:
        # Versions begin anew in an emptied store: the page of the test before has to be forgotten first.
        until("it is", lambda: NEW not in tab.browser.get(link_to_board(tab_url)).text)
        yield tab
        assert leaked(tab.answers, TAB_SECRETS) == []


@pytest.fixture(scope="module")
def meta() -> Iterator[httpx.Client]:
    """Give the sandbox Meta."""
    with serving_meta() as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client
