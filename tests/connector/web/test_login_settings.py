"""Connect with Facebook: what it needs, what it does without the store, and that no secret gets out."""

import re
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from sandbox.stack import free_port
from tasks.store import connect
from tests.conftest import MakeSettings, Valkey, settings_in
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.login import APP, APP_SECRET, link_to, said
from tests.fakes.login_page import KEY, connector, person_with, settings_of
from tests.fakes.web import serving


def test_without_its_settings_it_is_off_and_says_which_are_missing(
    make_settings: MakeSettings, valkey: str
) -> None:
    settings = make_settings(redis_url=valkey, graph={"app_id": APP}, key_prefix="off:")
    with serving(settings) as url:
        shown = httpx.get(link_to(url), trust_env=False)

    assert shown.status_code == 403
    assert "graph.app_secret, secret_key, admin_token" in said(shown)


def test_over_https_the_cookie_is_secure(
    make_settings: MakeSettings, valkey: str, meta: httpx.Client
) -> None:
    settings = settings_of(make_settings, valkey, meta, 1, key_prefix="https:")
    settings = settings.model_copy(update={"public_url": "https://acme.example.com/c"})
    with serving(settings) as url:
        begun = httpx.get(link_to(url), trust_env=False)

    assert "secure" in begun.headers["set-cookie"].lower()
    assert "path=/c/connect/facebook" in begun.headers["set-cookie"].lower()
    assert (
        "redirect_uri=https%3A%2F%2Facme.example.com%2Fc%2Fconnect%2Ffacebook%2Fcallback"
        in begun.headers["location"]
    )


def test_while_the_store_is_away_it_is_said(tmp_path: Path, own_store: Valkey, meta: httpx.Client) -> None:
    with (
        settings_in(tmp_path) as make,
        connector(make, own_store.url, meta) as url,
        person_with(url, meta) as person,
    ):
        own_store.stop()
        shown = person.log_in()
        own_store.start()

    assert (shown.status_code, "cannot store anything at the moment" in said(shown)) == (503, True)


def test_no_secret_is_in_any_page_address_log_line_or_the_store(
    valkey: str, meta: httpx.Client, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with settings_in(tmp_path) as make, capture_logs() as logs:
        port = free_port()
        settings = settings_of(make, valkey, meta, port, key_prefix="secrets:")
        with serving(settings, port) as url, person_with(url, meta) as person:
            shown = person.log_in()
            store = connect(valkey)
            seen = [repr(store.dump(name)) + repr(name) for name in store.scan_iter("secrets:*")]
            assert any(":login:" in one for one in seen)
            done = person.choose(shown, person.pages)
            refused = person.log_in(grants=False)
            answers = [*shown.history, shown, *done.history, done, *refused.history, refused]
            seen += [f"{one.url} {one.headers} {one.text}" for one in answers]
            kept = [name for name in store.scan_iter("secrets:*") if b":login:" in name]
            seen += [repr(store.hgetall("secrets:mc:connections"))]
            store.close()
    seen += [repr(line) for line in logs] + [*capfd.readouterr()]

    assert kept == []
    assert {line["event"] for line in logs} >= {"logged_in", "page_connected"}
    assert not [one for one in seen if re.search("EAA[UP][A-Za-z0-9_-]{40}", one)]  # the sandbox's tokens
    assert not [secret for secret in (APP_SECRET, ADMIN_TOKEN, KEY) for one in seen if secret in one]
