"""What the environment says of the settings, and which connection it means."""

import itertools
import json

import pytest

from connector.settings import unknown_variables
from tasks.connections import Connections
from tests.conftest import PAGE_A, PAGE_B, PAGE_OFF, SECRET_A, SECRET_B, MakeSettings, connection
from tests.connector.settings_file import SettingsFile, assert_one_line

OF_PAGE_A = f"CONNECTOR_CONNECTIONS__{PAGE_A}"


def test_the_environment_overrides_the_file(file: SettingsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_PORT", "9000")
    monkeypatch.setenv("CONNECTOR_HELPDESK__API_TOKEN", "other")
    settings = file.load(port=8001)
    assert settings.port == 9000
    assert settings.helpdesk.api_token.get_secret_value() == "other"
    assert settings.helpdesk.base_url == "https://acme.example.com/api/v1"


def test_the_environment_can_give_a_list_as_json(file: SettingsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [{"page_id": page_id, "desk_id": "7", "active": False} for page_id in ("1", "2")]
    monkeypatch.setenv("CONNECTOR_CONNECTIONS", json.dumps(pages))
    monkeypatch.setenv("CONNECTOR_GRAPH__MEDIA_HOSTS", '["cdn.example.com"]')
    settings = file.load(connections=[connection(PAGE_A, SECRET_A)])
    assert [one.page_id for one in settings.connections] == ["1", "2"]
    assert settings.graph.media_hosts == ("cdn.example.com",)


def test_json_that_is_broken_is_one_line_that_names_the_key(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_GRAPH__MEDIA_HOSTS", "[cdn.example.com")
    assert_one_line(file.faults(), "graph")


def test_a_variable_is_known_whatever_its_case(file: SettingsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("connector_port", "9000")
    assert file.load().port == 9000


def test_a_setting_that_two_variables_give_is_a_fault(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_PORT", "9000")
    monkeypatch.setenv("connector_port", "9001")
    assert file.faults() == ["connector_port: CONNECTOR_PORT sets the same key; keep one of the two"]


# --- A connection is named by its page id. --------------------------------------------------------------


def test_the_environment_overrides_one_key_of_the_page_that_it_names(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__{PAGE_B}__APP_SECRET", 32 * "e")
    first, second, _ = make_settings().connections
    assert first.app_secret.get_secret_value() == SECRET_A
    assert second.app_secret.get_secret_value() == 32 * "e"
    assert second.page_name == "Page 2"


@pytest.mark.parametrize("order", list(itertools.permutations((PAGE_A, PAGE_B, PAGE_OFF))))
def test_the_order_of_the_list_never_hands_a_page_what_is_anothers(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    for page in order:
        for key in ("PAGE_ACCESS_TOKEN", "APP_SECRET", "VERIFY_TOKEN"):
            secret = f"{page:0>32}" if key == "APP_SECRET" else f"{key} of {page}"
            monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__{page}__{key}", secret)
    settings = file.load(connections=[{"page_id": page, "desk_id": "7"} for page in order])
    for page in order:
        found = Connections(settings.fixed_connections).active.get(page)
        assert found
        assert found.credentials.access_token == f"PAGE_ACCESS_TOKEN of {page}"
        assert found.credentials.app_secret == f"{page:0>32}"
        assert found.credentials.verify_token == f"VERIFY_TOKEN of {page}"


@pytest.mark.parametrize("written", [int(PAGE_A), f" {PAGE_A} "])
def test_a_page_is_found_however_its_id_is_written_in_the_file(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, written: object
) -> None:
    monkeypatch.setenv(f"{OF_PAGE_A}__VERIFY_TOKEN", "other")
    page = connection(PAGE_A, SECRET_A) | {"page_id": written}
    assert file.load(connections=[page]).connections[0].verify_token.get_secret_value() == "other"


@pytest.mark.parametrize("token", ["0123", "1e5", "true", "null", '{"a": 1}', "[]", '"quoted"', "with space"])
def test_a_secret_of_the_environment_is_taken_as_it_is(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv(f"{OF_PAGE_A}__VERIFY_TOKEN", token)
    assert make_settings().connections[0].verify_token.get_secret_value() == token


def test_the_environment_can_switch_a_connection_off(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{OF_PAGE_A}__ACTIVE", "false")
    assert Connections(make_settings().fixed_connections).active.get(PAGE_A) is None


def test_the_environment_overrides_a_connection_of_its_own_list(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_CONNECTIONS", json.dumps([connection(PAGE_A, SECRET_A)]))
    monkeypatch.setenv(f"{OF_PAGE_A}__DESK_ID", "9")
    (found,) = file.load().connections
    assert (found.page_id, found.desk_id) == (PAGE_A, "9")


def test_the_environment_can_add_a_page_if_it_gives_all_that_a_page_needs(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    _give(monkeypatch, PAGE_A, desk_id="7", page_access_token="t", app_secret=SECRET_A, verify_token="v")
    settings = file.load(connections=[connection(PAGE_B, SECRET_B)])
    assert [one.page_id for one in settings.connections] == [PAGE_B, PAGE_A]
    assert Connections(settings.fixed_connections).secrets == {PAGE_A: SECRET_A, PAGE_B: SECRET_B}


def test_a_page_that_is_not_listed_and_lacks_something_is_one_line_that_says_what(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    _give(monkeypatch, PAGE_A, page_access_token="hush", app_secret=SECRET_A)
    (fault,) = file.faults(connections=[connection(PAGE_B, SECRET_B)])
    assert fault == (
        f"{OF_PAGE_A}__PAGE_ACCESS_TOKEN, {OF_PAGE_A}__APP_SECRET: connections lists no page {PAGE_A}; "
        "correct the page id, add the page there, or let the environment give the rest that it needs: "
        "DESK_ID, VERIFY_TOKEN"
    )


@pytest.mark.parametrize("place", ["0", "1", "SUGESTER", ""])
def test_a_connection_is_not_named_by_anything_else(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__{place}__VERIFY_TOKEN", "hush")
    pages = [connection(PAGE_A, SECRET_A), connection(PAGE_B, SECRET_B)]
    (fault,) = file.faults(connections=pages)
    assert fault.startswith(f"CONNECTOR_CONNECTIONS__{place}__VERIFY_TOKEN: connections lists no page ")
    assert "correct the page id" in fault
    assert "hush" not in fault


@pytest.mark.parametrize("active", [True, False])
def test_a_page_that_is_listed_twice_cannot_be_named_by_the_environment(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, *, active: bool
) -> None:
    monkeypatch.setenv(f"{OF_PAGE_A}__APP_SECRET", SECRET_A)
    pages = [connection(PAGE_A, SECRET_A, active=False), connection(PAGE_A, SECRET_B, active=active)]
    (fault,) = file.faults(connections=pages)
    assert fault.startswith(f"{OF_PAGE_A}__APP_SECRET: connections lists page {PAGE_A} 2 times, so ")
    assert fault.endswith("; keep one of them, or write the value into the list")


@pytest.mark.parametrize("key", ["", "__PAGE_ID", "__APP_SECERT", "__APP_SECRET__X", "__APP_SECERT_FILE"])
def test_what_no_connection_has_is_one_line_that_names_the_variable(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(f"{OF_PAGE_A}{key}", "{}")
    (fault,) = file.faults(connections=[connection(PAGE_A, SECRET_A)])
    assert fault.startswith(f"{OF_PAGE_A}{key}: the page id must be followed by one of ACTIVE, APP_SECRET, ")
    assert "PAGE_ID" not in fault.removeprefix(f"{OF_PAGE_A}{key}")


def test_each_page_that_is_not_listed_has_its_line(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in (PAGE_A, PAGE_B):
        _give(monkeypatch, page, page_access_token="t", verify_token="v")
    assert len(file.faults()) == 2


def test_connections_that_are_no_list_are_told_as_such(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{OF_PAGE_A}__APP_SECRET", SECRET_A)
    assert_one_line(file.faults(connections="none"), "connections: must be a list")


def _give(monkeypatch: pytest.MonkeyPatch, page: str, **values: str) -> None:
    for key, value in values.items():
        monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__{page}__{key.upper()}", value)


# --- Variables that are no settings. --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HELPDSEK__API_TOKEN", "REDIS_ULR_FILE", "PART_FILE", "SECRETS"])
def test_a_variable_that_is_no_setting_is_pointed_out(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"CONNECTOR_{name}", "x")
    assert unknown_variables() == [f"CONNECTOR_{name}"]


@pytest.mark.parametrize(
    "name",
    [
        "HELPDESK__API_TOKEN",
        "HELPDESK__API_TOKEN_FILE",
        "HELPDESK__CA_FILE",
        f"CONNECTIONS__{PAGE_A}__APP_SECRET",
        f"CONNECTIONS__{PAGE_A}__APP_SECRET_FILE",
        "REDIS_URL_FILE",
        "SETTINGS",
        "PART",
        "HEARTBEAT",
    ],
)
def test_variables_that_are_settings_are_not_pointed_out(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"CONNECTOR_{name}", "x")
    assert unknown_variables() == []


@pytest.mark.parametrize("name", ["HELPDESK__API_TOKN", "HELPDESK__API_TOKN_FILE", "HELPDESK__CA_FILE_FIL"])
def test_a_key_that_a_section_does_not_have_is_a_fault(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"CONNECTOR_{name}", "/x")
    assert_one_line(file.faults(), f"{name.lower().replace('__', '.')}: is not a known key")
