"""The settings: what is meant where, what raises doubts, and what is never shown."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from connector.cipher import new_key
from connector.settings import PATH_VARIABLE, Settings, doubtful, load_settings
from tasks.connections import Connections
from tests.conftest import PAGE_A, PAGE_OFF, SECRET_A, WEBHOOK_SECRET, MakeSettings, connection
from tests.connector.settings_file import MINIMUM, SettingsFile, refusal, whsec

SHIPPED = Path(__file__).parents[2] / "settings.yaml"


def test_most_settings_have_defaults(file: SettingsFile) -> None:
    settings = file.load()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("var"))
    assert (settings.graph.base_url, settings.graph.version) == ("https://graph.facebook.com", "v26.0")
    assert (settings.attachments.delivery, settings.attachments.max_bytes) == ("upload", 26_214_400)
    assert (settings.helpdesk.adapter, settings.connections) == ("rest", ())


def test_without_a_store_of_ones_own_the_embedded_one_is_meant(file: SettingsFile) -> None:
    settings = file.load()
    assert settings.store_url == settings.celery_broker_url == f"unix://{settings.socket}"


def test_a_store_of_ones_own_is_the_broker_too(file: SettingsFile) -> None:
    settings = file.load(redis_url="redis://store:6379/1")
    assert settings.store_url == settings.celery_broker_url == "redis://store:6379/1"


def test_the_broker_may_be_elsewhere(file: SettingsFile) -> None:
    settings = file.load(redis_url="redis://store:6379/1", broker_url="redis://broker:6379/2")
    assert (settings.store_url, settings.celery_broker_url) == (
        "redis://store:6379/1",
        "redis://broker:6379/2",
    )


def test_a_slash_at_the_end_of_an_address_is_dropped(file: SettingsFile) -> None:
    assert file.load(public_url="https://acme.example.com/").public_url == "https://acme.example.com"


def test_an_inactive_connection_is_not_found(make_settings: MakeSettings) -> None:
    settings = make_settings()
    found = Connections(settings.fixed_connections).active.get(PAGE_A)
    assert found
    assert found.account_id == PAGE_A
    assert Connections(settings.fixed_connections).active.get(PAGE_OFF) is None


# --- What the file may say. -----------------------------------------------------------------------------


def test_ids_may_be_written_as_numbers(file: SettingsFile) -> None:
    page = connection(PAGE_A, SECRET_A) | {"page_id": int(PAGE_A), "desk_id": 7, "category_id": 12}
    settings = file.load(connections=[page], graph={"app_id": 3379478975539191})
    (found,) = settings.connections
    assert (found.page_id, found.desk_id, found.category_id) == (PAGE_A, "7", "12")
    assert settings.graph.app_id == "3379478975539191"


def test_spaces_around_ids_and_addresses_are_left_out(file: SettingsFile) -> None:
    page = connection(f" {PAGE_A}\n", f" {SECRET_A} ", desk_id=" 7 ")
    settings = file.load(
        connections=[page], graph={"media_hosts": [" fbcdn.net "]}, public_url=" https://a.example "
    )
    (found,) = settings.connections
    assert (found.page_id, found.app_secret.get_secret_value(), found.desk_id) == (PAGE_A, SECRET_A, "7")
    assert (settings.graph.media_hosts, settings.public_url) == (("fbcdn.net",), "https://a.example")


@pytest.mark.parametrize("size", [24, 64])
def test_a_webhook_secret_may_be_as_long_as_standard_webhooks_say(file: SettingsFile, size: int) -> None:
    secret = file.load(helpdesk=MINIMUM["helpdesk"] | {"webhook_secret": whsec(size)}).helpdesk.webhook_secret
    assert secret.get_secret_value() == whsec(size)


def test_an_empty_category_is_none(file: SettingsFile) -> None:
    page = connection(PAGE_A, SECRET_A, category_id="")
    assert file.load(connections=[page]).connections[0].category_id is None


def test_agents_are_told_in_english_unless_a_connection_says_polish(file: SettingsFile) -> None:
    pages = [connection("1", SECRET_A), connection("2", SECRET_A, language="pl")]
    assert [one.language for one in file.load(connections=pages).connections] == ["en", "pl"]


def test_agents_are_reminded_of_nobody_unless_a_connection_says_so(file: SettingsFile) -> None:
    pages = [connection("1", SECRET_A), connection("2", SECRET_A, remind_before=1.5)]
    known = Connections(file.load(connections=pages).fixed_connections).active
    assert known["1"].remind_before == timedelta(0)
    assert known["2"].remind_before == timedelta(minutes=90)


def test_no_history_is_fetched_unless_a_connection_says_so(file: SettingsFile) -> None:
    pages = [connection("1", SECRET_A), connection("2", SECRET_A, history_days=14)]
    known = Connections(file.load(connections=pages).fixed_connections).active
    assert [known[page].history for page in ("1", "2")] == [timedelta(0), timedelta(days=14)]


def test_an_inactive_connection_needs_no_secrets(file: SettingsFile) -> None:
    page = {"page_id": PAGE_A, "desk_id": "7", "active": False}
    assert file.load(connections=[page]).connections[0].active is False


def test_a_page_may_have_an_inactive_connection_beside_its_active_one(file: SettingsFile) -> None:
    pages = [connection(PAGE_A, SECRET_A, active=False), connection(PAGE_A, SECRET_A)]
    found = Connections(file.load(connections=pages).fixed_connections).active.get(PAGE_A)
    assert found
    assert found.active


def test_settings_are_frozen(file: SettingsFile) -> None:
    settings = file.load()
    with pytest.raises(ValidationError):
        settings.port = 1


# --- What may be meant, and seldom is. ------------------------------------------------------------------


def test_settings_as_they_should_be_raise_no_doubts(file: SettingsFile) -> None:
    assert doubtful(file.load(connections=[connection(PAGE_A, SECRET_A)])) == {}


@pytest.mark.parametrize("key", ["graph", "helpdesk"])
def test_tokens_that_go_to_a_remote_host_unencrypted_raise_doubts(file: SettingsFile, key: str) -> None:
    remote = MINIMUM.get(key, {}) | {"base_url": "http://desk.acme.com:8080/api"}
    settings = file.load(connections=[connection(PAGE_A, SECRET_A)], **{key: remote})
    assert doubtful(settings) == {
        f"{key}.base_url": "tokens and messages go there unencrypted; write https://"
    }


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "10.0.0.7", "192.168.1.2", "helpdesk", "desk.svc.cluster.local"],
)
def test_http_within_a_private_network_raises_no_doubts(file: SettingsFile, host: str) -> None:
    desk = MINIMUM["helpdesk"] | {"base_url": f"http://{host}:3000/api"}
    assert doubtful(file.load(helpdesk=desk, connections=[connection(PAGE_A, SECRET_A)])) == {}


def test_a_public_address_without_tls_raises_doubts(file: SettingsFile) -> None:
    settings = file.load(public_url="http://desk.acme.com", connections=[connection(PAGE_A, SECRET_A)])
    assert "https://" in doubtful(settings)["public_url"]


@pytest.mark.parametrize("connections", [[], [connection(PAGE_A, SECRET_A, active=False)]])
def test_no_active_page_raises_doubts(file: SettingsFile, connections: list[Any]) -> None:
    assert "no page is connected" in doubtful(file.load(connections=connections))["connections"]


def test_pages_may_all_be_added_at_run_time(file: SettingsFile) -> None:
    assert doubtful(file.load(connections=[], secret_key=new_key())) == {}


def test_an_admin_token_that_can_be_guessed_raises_doubts(file: SettingsFile) -> None:
    assert "guessed" in doubtful(file.load(admin_token="admin", secret_key=new_key()))["admin_token"]
    assert doubtful(file.load(admin_token=new_key(), secret_key=new_key())) == {}


def test_an_admin_token_without_a_key_to_store_secrets_raises_doubts(file: SettingsFile) -> None:
    settings = file.load(admin_token=new_key(), connections=[connection(PAGE_A, SECRET_A)])
    assert "connector secrets new-key" in doubtful(settings)["secret_key"]


# --- Secrets. -------------------------------------------------------------------------------------------

SECRETS = {
    "secret_key": "hush-1" + "A" * 37 + "=",
    "admin_token": "hush-2",
    "helpdesk": MINIMUM["helpdesk"] | {"api_token": "hush-5"},
    "connections": [
        connection(PAGE_A, 32 * "e", page_access_token="hush-7", verify_token="hush-8"),
    ],
}


@pytest.mark.parametrize("show", [repr, str, Settings.model_dump_json])
def test_no_secret_is_shown(file: SettingsFile, show: Callable[[Settings], str]) -> None:
    shown = show(file.load(**SECRETS))
    assert "hush" not in shown
    assert 32 * "e" not in shown
    assert WEBHOOK_SECRET not in shown


@pytest.mark.parametrize("key", ["redis_url", "broker_url"])
@pytest.mark.parametrize("show", [repr, str])
def test_a_password_in_an_address_is_not_shown(
    file: SettingsFile, show: Callable[[Settings], str], key: str
) -> None:
    assert "hush" not in show(file.load(**{key: "redis://:hush@store:6379/0"}))


def test_no_secret_stands_in_a_fault(file: SettingsFile) -> None:
    wrong = MINIMUM["helpdesk"] | {"api_token": ["hush"], "webhook_secret": "hush"}
    page = connection(PAGE_A, "hush", page_access_token={"a": "hush"}, verify_token="")
    faults = file.faults(helpdesk=wrong, connections=[page], secret_key=["hush"], redis_url="hush")
    assert len(faults) >= 5
    assert "hush" not in "\n".join(faults)


# --- The file that is shipped. --------------------------------------------------------------------------


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")


def _written(data: Any, prefix: str = "") -> Iterator[str]:
    for name, value in data.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _written(value, f"{prefix}{name}.")


def test_the_shipped_file_is_complete_once_secrets_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(SHIPPED))
    monkeypatch.setenv("CONNECTOR_HELPDESK__API_TOKEN", "token")
    monkeypatch.setenv("CONNECTOR_HELPDESK__WEBHOOK_SECRET", WEBHOOK_SECRET)
    for key in ("PAGE_ACCESS_TOKEN", "APP_SECRET", "VERIFY_TOKEN"):
        monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__{PAGE_A}__{key}", SECRET_A)
    assert load_settings().connections[0].active


def test_the_shipped_file_alone_names_each_secret_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(SHIPPED))
    assert [fault.partition(":")[0] for fault in refusal()] == [
        "helpdesk.api_token",
        "helpdesk.webhook_secret",
        *(f"connections[0].{name}" for name in ("page_access_token", "app_secret", "verify_token")),
    ]


def test_every_key_stands_in_the_shipped_file() -> None:
    data = yaml.safe_load(SHIPPED.read_text())
    (page,) = data["connections"]
    written = {*_written(data), *_written(page, "connections.")}
    connections = Settings.model_fields["connections"].annotation
    expected = {*_keys(Settings), *_keys(connections.__args__[0], "connections.")}  # type: ignore[union-attr]  # it is tuple[Connection, ...]
    assert written == expected
