"""A running connector for the tests of the tab, and somebody who opens it."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from sandbox.stack import free_port, until
from tests.conftest import settings_in
from tests.fakes.admin import NEW
from tests.fakes.board import link_to_board
from tests.fakes.pages import leaked
from tests.fakes.sandbox_helpdesk import Desk
from tests.fakes.stores import empty
from tests.fakes.tab import SECRETS, Tab, settings_of
from tests.fakes.web import serving


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
        assert leaked(tab.answers, SECRETS) == []
