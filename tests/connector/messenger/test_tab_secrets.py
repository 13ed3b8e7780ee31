"""What no answer of the Messenger tab shows, whatever it is asked for."""

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from sandbox.stack import free_port
from tests.conftest import PAGE_A, SECRET_A, MakeSettings, Valkey, connection
from tests.fakes.admin import NEW
from tests.fakes.login import APP, APP_SECRET
from tests.fakes.pages import leaked
from tests.fakes.sandbox_helpdesk import Desk
from tests.fakes.tab import FORM, SECRETS, Tab, settings_of
from tests.fakes.web import serving

VERIFY = "a-verify-token-of-some-length"


@pytest.fixture
def tab_with_login(tab: Tab, store_url: str, make_settings: MakeSettings) -> Iterator[Tab]:
    """Give the tab of a connector that offers the login."""
    port, graph = free_port(), {"base_url": "http://127.0.0.1:9", "app_id": APP, "app_secret": APP_SECRET}
    settings = settings_of(make_settings, store_url, tab.desk, port, connections=[], graph=graph)
    with serving(settings, port) as url, closing(Tab(url, store_url, tab.desk)) as found:
        yield found


def test_no_secret_is_in_any_answer(tab_with_login: Tab) -> None:
    tab = tab_with_login
    tab.add(verify_token=VERIFY)
    shown = tab.open(edit=NEW)
    query = urlsplit(shown.action(f"/pages/{NEW}")).query
    (login, *_) = shown.tree.xpath("//a[contains(@href, '/connect/facebook')]/@href")
    version = tab.connection()["version"]
    answers = [
        shown.answer,
        tab.browser.get(f"{tab.url}/desks/7/messenger/pages?{query}"),
        tab.browser.get(login, follow_redirects=False),
        shown.send("/check").answer,
        shown.send(f"/pages/{NEW}", page_name="x").answer,
        shown.send(f"/pages/{NEW}", page_name="y").answer,
        shown.send(f"/pages/{NEW}", page_name="x", version=version, app_secret="0").answer,
        shown.send("/active", active="0").answer,
        tab.open().send("/active", active="1").answer,
        shown.follow("Remove this page").answer,
        shown.follow("Remove this page").send("/remove", version="0").answer,
        shown.send("/messenger", **FORM | {"app_secret": "f" * 31}).answer,
        tab.browser.get(f"{tab.url}/desks/7/messenger/pages/none/remove?{query}"),
        tab.open(seconds=-1).answer,
    ]

    assert {one.status_code for one in answers} == {200, 303, 403, 404, 409, 422}
    assert leaked(tab.answers, (*SECRETS, VERIFY, "verify-1")) == []


def test_while_the_store_is_away_it_says_so_and_shows_no_secret(
    own_store: Valkey, make_settings: MakeSettings, desk: Desk
) -> None:
    port = free_port()
    known = connection(PAGE_A, SECRET_A, desk_id="7")
    settings = settings_of(make_settings, own_store.url, desk, port, connections=[known])
    with serving(settings, port) as url, closing(Tab(url, own_store.url, desk)) as tab:
        own_store.stop()
        away = tab.open()

        assert (away.status, "cannot store anything at the moment" in away.said) == (503, True)
        assert leaked(tab.answers, (*SECRETS, "verify-1", f"EAA{PAGE_A}")) == []
