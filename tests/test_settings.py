"""The settings: one file and the environment, and one readable line for each thing that is wrong."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from connector.settings import (
    PATH_VARIABLE,
    Connection,
    Settings,
    SettingsError,
    doubtful,
    load_settings,
    unknown_variables,
)
from tests.conftest import PAGE_A, PAGE_OFF, SECRET_A, SECRET_B, WEBHOOK_SECRET, MakeSettings, connection

SHIPPED = Path(__file__).parent.parent / "settings.yaml"
MINIMUM = {
    "helpdesk": {
        "base_url": "https://acme.example.com/api/v1",
        "api_token": "desk-token",
        "webhook_secret": WEBHOOK_SECRET,
    }
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the settings file that is in use; it is not written yet."""
    path = tmp_path / "connector.yaml"
    monkeypatch.setenv(PATH_VARIABLE, str(path))
    return path


def _load(file: Path, **changes: Any) -> Settings:
    file.write_text(yaml.safe_dump(MINIMUM | changes))
    return load_settings()


def _faults(file: Path, **changes: Any) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        _load(file, **changes)
    return refusal.value.faults


def test_most_settings_have_defaults(file: Path) -> None:
    settings = _load(file)
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("var"))
    assert (settings.graph.base_url, settings.graph.version) == ("https://graph.facebook.com", "v26.0")
    assert (settings.attachments.delivery, settings.attachments.max_bytes) == ("upload", 26_214_400)
    assert (settings.helpdesk.adapter, settings.connections) == ("rest", ())


def test_without_a_store_of_ones_own_the_embedded_one_is_meant(file: Path) -> None:
    settings = _load(file)
    assert settings.store_url == settings.celery_broker_url == f"unix://{settings.socket}"


def test_a_store_of_ones_own_is_the_broker_too(file: Path) -> None:
    settings = _load(file, redis_url="redis://store:6379/1")
    assert settings.store_url == settings.celery_broker_url == "redis://store:6379/1"


def test_the_broker_may_be_elsewhere(file: Path) -> None:
    settings = _load(file, redis_url="redis://store:6379/1", broker_url="redis://broker:6379/2")
    assert (settings.store_url, settings.celery_broker_url) == (
        "redis://store:6379/1",
        "redis://broker:6379/2",
    )


def test_a_slash_at_the_end_of_an_address_is_dropped(file: Path) -> None:
    assert _load(file, public_url="https://acme.example.com/").public_url == "https://acme.example.com"


def test_an_inactive_connection_is_not_found(make_settings: MakeSettings) -> None:
    settings = make_settings()
    found = settings.connection(PAGE_A)
    assert found
    assert found.page_id == PAGE_A
    assert settings.connection(PAGE_OFF) is None


# --- The environment. -----------------------------------------------------------------------------------


def test_the_environment_overrides_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_PORT", "9000")
    monkeypatch.setenv("CONNECTOR_HELPDESK__API_TOKEN", "other")
    settings = _load(file, port=8001)
    assert settings.port == 9000
    assert settings.helpdesk.api_token.get_secret_value() == "other"
    assert settings.helpdesk.base_url == "https://acme.example.com/api/v1"


def test_the_environment_overrides_one_key_of_one_item(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_CONNECTIONS__1__APP_SECRET", 32 * "e")
    first, second, _ = make_settings().connections
    assert first.app_secret.get_secret_value() == SECRET_A
    assert second.app_secret.get_secret_value() == 32 * "e"
    assert second.page_name == "Page 2"


def test_the_environment_can_add_an_item(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in connection(PAGE_A, SECRET_A).items():
        monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__1__{key.upper()}", value)
    settings = _load(file, connections=[connection("204496721830011", SECRET_B)])
    assert [one.page_id for one in settings.connections] == ["204496721830011", PAGE_A]


def test_items_of_the_environment_stand_in_the_order_of_their_numbers(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (10, 2):
        for key, value in connection(f"10{number}", SECRET_A).items():
            monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__{number}__{key.upper()}", value)
    assert [one.page_id for one in _load(file).connections] == ["102", "1010"]


@pytest.mark.parametrize("token", ["0123", "1e5", "true", "null", '{"a": 1}', "[]", '"quoted"', "with space"])
def test_a_secret_of_the_environment_is_taken_as_it_is(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("CONNECTOR_CONNECTIONS__0__VERIFY_TOKEN", token)
    assert make_settings().connections[0].verify_token.get_secret_value() == token


def test_the_environment_can_give_a_list_as_json(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [{"page_id": page_id, "desk_id": "7", "active": False} for page_id in ("1", "2")]
    monkeypatch.setenv("CONNECTOR_CONNECTIONS", json.dumps(pages))
    monkeypatch.setenv("CONNECTOR_GRAPH__MEDIA_HOSTS", '["cdn.example.com"]')
    settings = _load(file, connections=[connection(PAGE_A, SECRET_A)])
    assert [one.page_id for one in settings.connections] == ["1", "2"]
    assert settings.graph.media_hosts == ("cdn.example.com",)


def test_the_environment_can_switch_a_connection_off(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_CONNECTIONS__0__ACTIVE", "false")
    assert make_settings().connection(PAGE_A) is None


def test_json_that_is_broken_is_one_line_that_names_the_key(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_GRAPH__MEDIA_HOSTS", "[cdn.example.com")
    _one_line(_faults(file), "graph")


def test_a_variable_that_is_no_setting_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_HELPDSEK__API_TOKEN", "x")
    assert "CONNECTOR_HELPDSEK__API_TOKEN" in unknown_variables()


def test_variables_that_are_settings_are_not_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTOR_HELPDESK__API_TOKEN", "x")
    monkeypatch.setenv("CONNECTOR_SETTINGS", "x")
    assert not {"CONNECTOR_HELPDESK__API_TOKEN", "CONNECTOR_SETTINGS"} & set(unknown_variables())


# --- What the file may say. -----------------------------------------------------------------------------


def test_ids_may_be_written_as_numbers(file: Path) -> None:
    page = connection(PAGE_A, SECRET_A) | {"page_id": int(PAGE_A), "desk_id": 7, "category_id": 12}
    settings = _load(file, connections=[page], graph={"app_id": 3379478975539191})
    (found,) = settings.connections
    assert (found.page_id, found.desk_id, found.category_id) == (PAGE_A, "7", "12")
    assert settings.graph.app_id == "3379478975539191"


def test_spaces_around_ids_and_addresses_are_left_out(file: Path) -> None:
    page = connection(f" {PAGE_A}\n", f" {SECRET_A} ", desk_id=" 7 ")
    settings = _load(
        file, connections=[page], graph={"media_hosts": [" fbcdn.net "]}, public_url=" https://a.example "
    )
    (found,) = settings.connections
    assert (found.page_id, found.app_secret.get_secret_value(), found.desk_id) == (PAGE_A, SECRET_A, "7")
    assert (settings.graph.media_hosts, settings.public_url) == (("fbcdn.net",), "https://a.example")


@pytest.mark.parametrize("size", [24, 64])
def test_a_webhook_secret_may_be_as_long_as_standard_webhooks_say(file: Path, size: int) -> None:
    secret = _load(
        file, helpdesk=MINIMUM["helpdesk"] | {"webhook_secret": whsec(size)}
    ).helpdesk.webhook_secret
    assert secret.get_secret_value() == whsec(size)


def test_an_empty_category_is_none(file: Path) -> None:
    page = connection(PAGE_A, SECRET_A, category_id="")
    assert _load(file, connections=[page]).connections[0].category_id is None


def test_an_inactive_connection_needs_no_secrets(file: Path) -> None:
    page = {"page_id": PAGE_A, "desk_id": "7", "active": False}
    assert _load(file, connections=[page]).connections[0].active is False


def test_a_page_may_have_an_inactive_connection_beside_its_active_one(file: Path) -> None:
    pages = [connection(PAGE_A, SECRET_A, active=False), connection(PAGE_A, SECRET_A)]
    found = _load(file, connections=pages).connection(PAGE_A)
    assert found
    assert found.active


def test_settings_are_frozen(file: Path) -> None:
    settings = _load(file)
    with pytest.raises(ValidationError):
        settings.port = 1


# --- What is wrong: one line for each fault, which names the key. -----------------------------------------


def _one_line(faults: list[str], key: str) -> None:
    (fault,) = faults
    assert key in fault
    assert "\n" not in fault
    assert len(fault) < 300


def whsec(size: int) -> str:
    """Return a secret of Standard Webhooks of so many bytes."""
    return "whsec_" + base64.b64encode(bytes(size)).decode()


CLOUDFRONT: dict[str, Any] = {"delivery": "cloudfront"}
FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("prot", {"prot": 1}, "not a known key"),
    ("graph.verison", {"graph": {"verison": "v26.0"}}, "not a known key"),
    ("port", {"port": "many"}, "whole number"),
    ("port", {"port": 70000}, "65535"),
    ("host", {"host": ""}, "must not be empty"),
    ("log_level", {"log_level": "loud"}, "warning"),
    ("public_url", {"public_url": "acme.example.com"}, "https://"),
    ("public_url", {"public_url": "ftp://acme.example.com"}, "https://"),
    ("public_url", {"public_url": "https://["}, "write it in full"),
    ("public_url", {"public_url": "https://acme.example.com:http"}, "write it in full"),
    ("public_url", {"public_url": "https://acme.example.com/a b"}, "write it in full"),
    ("redis_url", {"redis_url": "store:6379"}, "redis://"),
    ("redis_url", {"redis_url": "sentinel://store:26379/0"}, "redis://"),
    ("redis_url", {"redis_url": "redis://store:6379/0?db=three"}, "redis://"),
    ("redis_url", {"redis_url": "redis://store:6379/0?nonsense=1"}, "redis://"),
    ("broker_url", {"broker_url": "sentinel://store:26379/0"}, "redis://"),
    ("broker_url", {"broker_url": "amqp://broker"}, "redis://"),
    ("settings", {"data_dir": "/" + 20 * "deep/"}, "name a folder with a shorter path"),
    ("graph.version", {"graph": {"version": "26"}}, "such as v26.0"),
    ("graph.version", {"graph": {"version": "v2.0"}}, "take one from v21.0 on"),
    ("graph.version", {"graph": {"version": "v20.0"}}, "take one from v21.0 on"),
    (
        "graph.base_url",
        {"graph": {"base_url": "https://graph.facebook.com/v26.0"}},
        "write it in graph.version",
    ),
    (
        "graph.base_url",
        {"graph": {"base_url": "https://graph.facebook.com#v26"}},
        "leave out all from there on",
    ),
    (
        "helpdesk.base_url",
        {"helpdesk": MINIMUM["helpdesk"] | {"base_url": "https://acme.example.com/?x=1"}},
        "a ? or a #",
    ),
    (
        "helpdesk.base_url",
        {"helpdesk": MINIMUM["helpdesk"] | {"base_url": "https://acme.example.com/api?"}},
        "a ? or a #",
    ),
    (
        "helpdesk.base_url",
        {"helpdesk": MINIMUM["helpdesk"] | {"base_url": "https://a:b@acme.example.com"}},
        "leave them out",
    ),
    ("graph.media_hosts", {"graph": {"media_hosts": "https://fbcdn.net"}}, "must be a list: [one, two]"),
    ("graph.media_hosts", {"graph": {"media_hosts": "fbcdn.net"}}, "must be a list: [one, two]"),
    ("graph.media_hosts[0]", {"graph": {"media_hosts": ["https://fbcdn.net"]}}, "without https://"),
    (
        "graph.media_hosts[1]",
        {"graph": {"media_hosts": ["fbcdn.net", "*.fbsbx.com"]}},
        "is no name of a host",
    ),
    ("graph.media_hosts[0]", {"graph": {"media_hosts": ["fbcdn.net:443"]}}, "is no name of a host"),
    (
        "helpdesk.file_hosts[0]",
        {"helpdesk": MINIMUM["helpdesk"] | {"file_hosts": ["http://minio"]}},
        "is no name of a host",
    ),
    ("attachments.max_bytes", {"attachments": {"max_bytes": 0}}, "more than 0"),
    ("attachments", {"attachments": CLOUDFRONT}, "cloudfront.key_pair_id must be set"),
    (
        "attachments",
        {"attachments": CLOUDFRONT | {"cloudfront": {"key_pair_id": "K1"}}},
        "cloudfront.private_key_file must name a PEM file",
    ),
    (
        "attachments",
        {"attachments": CLOUDFRONT | {"cloudfront": {"key_pair_id": "K1", "private_key_file": "none.pem"}}},
        "cloudfront.private_key_file must name a PEM file",
    ),
    ("helpdesk", {"helpdesk": None}, "helpdesk"),
    ("helpdesk.api_token", {"helpdesk": MINIMUM["helpdesk"] | {"api_token": " "}}, "must not be empty"),
    (
        "helpdesk.webhook_secret",
        {"helpdesk": MINIMUM["helpdesk"] | {"webhook_secret": "secret"}},
        "must be whsec_ and a key of 24 to 64 bytes in base64",
    ),
    (
        "helpdesk.webhook_secret",
        {"helpdesk": MINIMUM["helpdesk"] | {"webhook_secret": "whsec_"}},
        "must be whsec_ and a key of 24 to 64 bytes in base64",
    ),
    (
        "helpdesk.webhook_secret",
        {"helpdesk": MINIMUM["helpdesk"] | {"webhook_secret": "whsec_no base64!"}},
        "must be whsec_ and a key of 24 to 64 bytes in base64",
    ),
    *(
        (
            "helpdesk.webhook_secret",
            {"helpdesk": MINIMUM["helpdesk"] | {"webhook_secret": whsec(size)}},
            "a key of 24 to 64 bytes",
        )
        for size in (3, 23, 65)
    ),
    (
        "helpdesk.adapter",
        {"helpdesk": MINIMUM["helpdesk"] | {"adapter": "rst"}},
        "there is no adapter rst; take one of django_helpdesk, rest",
    ),
    (
        "helpdesk.options",
        {"helpdesk": MINIMUM["helpdesk"] | {"options": {"colour": "red"}}},
        "colour: the adapter has no such option; it takes none",
    ),
    (
        "helpdesk.webhook_secret",
        {"helpdesk": MINIMUM["helpdesk"] | {"adapter": "django_helpdesk", "webhook_secret": "short"}},
        "must be 16 or more letters, digits",
    ),
    (
        "helpdesk.poll_every",
        {"helpdesk": MINIMUM["helpdesk"] | {"poll_every": -1}},
        "at least 0",
    ),
    (
        "connections[0].desk_id",
        {"connections": [connection(PAGE_A, SECRET_A, desk_id="")]},
        "must not be empty",
    ),
    ("connections[0].page_id", {"connections": [connection("my page", SECRET_A)]}, "digits only"),
    ("connections[0].page_id", {"connections": [connection("10738 1679", SECRET_A)]}, "digits only"),
    ("connections[0].app_secret", {"connections": [connection(PAGE_A, "abc")]}, "Settings, Basic"),
    ("connections[0].app_secret", {"connections": [connection(PAGE_A, 32 * "g")]}, "must be 32 digits"),
    (
        "connections[0]",
        {"connections": [connection(PAGE_A, SECRET_A, page_access_token="")]},
        "page_access_token must not be empty",
    ),
    (
        "connections[1].pgae_name",
        {"connections": [connection("1", SECRET_A), connection("2", SECRET_A, pgae_name="x")]},
        "not a known key",
    ),
    (
        "connections",
        {"connections": [connection(PAGE_A, SECRET_A), connection(PAGE_A, SECRET_B)]},
        f"page {PAGE_A} has 2 active connections",
    ),
    ("connections", {"connections": "none"}, "connections"),
]


@pytest.mark.parametrize(("key", "changes", "words"), FAULTS)
def test_a_fault_is_one_line_that_names_the_key(
    file: Path, key: str, changes: dict[str, Any], words: str
) -> None:
    (fault,) = _faults(file, **changes)
    assert fault.startswith(f"{key}: ")
    assert words in fault
    assert "\n" not in fault


def test_a_missing_token_is_named(file: Path) -> None:
    helpdesk = {key: value for key, value in MINIMUM["helpdesk"].items() if key != "api_token"}
    (fault,) = _faults(file, helpdesk=helpdesk)
    assert fault.startswith("helpdesk.api_token: is missing")


def test_every_fault_has_its_line(file: Path) -> None:
    faults = _faults(file, port=0, prot=1, public_url="x", graph={"version": "1"})
    assert sorted(fault.partition(":")[0] for fault in faults) == [
        "graph.version",
        "port",
        "prot",
        "public_url",
    ]


def test_a_missing_file_is_one_line_that_says_what_to_do(file: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value).startswith(f"{file}: there is no such file; name yours with CONNECTOR_SETTINGS")


@pytest.mark.parametrize("text", ["helpdesk: [", "a: b: c", "\tx: 1", "port: 'x", "\0"])
def test_broken_yaml_is_one_line_that_names_the_file(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    _one_line(refusal.value.faults, str(file))


@pytest.mark.parametrize("text", ["- port: 1", "just words", "8000"])
def test_yaml_that_is_no_map_is_one_line_that_names_the_file(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    _one_line(refusal.value.faults, str(file))


def test_a_file_that_is_no_text_is_one_line_that_names_it(file: Path) -> None:
    file.write_bytes(b"port: \xff\xfe")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    _one_line(refusal.value.faults, str(file))


def test_an_empty_file_lacks_the_helpdesk(file: Path) -> None:
    file.write_text("")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    _one_line(refusal.value.faults, "helpdesk")


def test_a_folder_is_one_line_that_says_what_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path))
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    (fault,) = refusal.value.faults
    assert fault == f"{tmp_path}: is a folder; name the settings file in it, such as {tmp_path}/settings.yaml"


def test_a_file_that_cannot_be_read_is_one_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert refusal.value.faults == [f"{file}: cannot be read: Permission denied"]


def test_a_section_that_stands_twice_is_told_with_its_lines(file: Path) -> None:
    file.write_text(
        f"{yaml.safe_dump(MINIMUM)}graph: {{}}\nport: 1\nhelpdesk:\n  base_url: http://127.0.0.1\n"
    )
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    _one_line(refusal.value.faults, "helpdesk: stands twice, in line 1 and in line 7; keep one")


def test_a_key_that_stands_twice_is_told_wherever_it_is(file: Path) -> None:
    file.write_text("connections:\n- page_id: 1\n- page_id: 2\n  desk_id: 7\n  page_id: 3\n")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    _one_line(refusal.value.faults, "connections[1].page_id: stands twice, in line 3 and in line 5")


def test_the_same_key_in_two_sections_is_no_fault(file: Path) -> None:
    page, other = connection("1", SECRET_A), connection("2", SECRET_A)
    assert len(_load(file, connections=[page, other]).connections) == 2


def test_what_is_written_once_may_be_meant_twice(file: Path) -> None:
    page = "&one {page_id: 1, desk_id: 7, active: false}"
    file.write_text(f"{yaml.safe_dump(MINIMUM)}connections: [{page}, {{<<: *one, page_id: 2}}, *one]\n")
    assert [one.page_id for one in load_settings().connections] == ["1", "2", "1"]


def test_yaml_that_holds_itself_is_refused(file: Path) -> None:
    file.write_text("graph: &graph\n  options: *graph\n")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert "graph.options: is not a known key" in str(refusal.value)


# --- Plain words, whatever is wrong. --------------------------------------------------------------------

WRONG: list[Any] = [
    None,
    [],
    {},
    [1],
    {"a": 1},
    "",
    "x y",
    "1.5",
    True,
    -1,
    0,
    1.5,
    float("inf"),
    float("nan"),
    10**30,
]
PYDANTICS_WORDS = ("nput should", "valid ", "required", "parse", "instance", "argument", "NaN")


def _leaves(model: type[BaseModel], *path: str) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, *path, name)


def _settings_with(path: tuple[str, ...], wrong: Any) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(json.dumps(MINIMUM))
    inner = settings
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = wrong
    return settings


PATHS = [*_leaves(Settings), *_leaves(Connection, "connections", "0")]


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_each_fault_of_each_key_is_said_in_plain_words(file: Path, path: tuple[str, ...]) -> None:
    for wrong in WRONG:
        file.write_text(yaml.safe_dump(_settings_with(path, wrong)))
        try:
            load_settings()
        except SettingsError as error:
            said = [fault.partition(": ")[2] for fault in error.faults]
            assert not [words for words in said if not words or any(one in words for one in PYDANTICS_WORDS)]


def test_a_variable_that_is_no_list_is_told_how_to_be_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_GRAPH__MEDIA_HOSTS", "fbcdn.net")
    (fault,) = _faults(file)
    assert fault.startswith("graph")
    assert "a list" in fault


# --- What may be meant, and seldom is. ------------------------------------------------------------------


def test_settings_as_they_should_be_raise_no_doubts(file: Path) -> None:
    assert doubtful(_load(file, connections=[connection(PAGE_A, SECRET_A)])) == {}


@pytest.mark.parametrize("key", ["graph", "helpdesk"])
def test_tokens_that_go_to_a_remote_host_unencrypted_raise_doubts(file: Path, key: str) -> None:
    remote = MINIMUM.get(key, {}) | {"base_url": "http://desk.acme.com:8080/api"}
    settings = _load(file, connections=[connection(PAGE_A, SECRET_A)], **{key: remote})
    assert doubtful(settings) == {
        f"{key}.base_url": "tokens and messages go there unencrypted; write https://"
    }


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "10.0.0.7", "192.168.1.2", "helpdesk", "desk.svc.cluster.local"],
)
def test_http_within_a_private_network_raises_no_doubts(file: Path, host: str) -> None:
    desk = MINIMUM["helpdesk"] | {"base_url": f"http://{host}:3000/api"}
    assert doubtful(_load(file, helpdesk=desk, connections=[connection(PAGE_A, SECRET_A)])) == {}


def test_a_public_address_without_tls_raises_doubts(file: Path) -> None:
    settings = _load(file, public_url="http://desk.acme.com", connections=[connection(PAGE_A, SECRET_A)])
    assert "https://" in doubtful(settings)["public_url"]


@pytest.mark.parametrize("connections", [[], [connection(PAGE_A, SECRET_A, active=False)]])
def test_no_active_page_raises_doubts(file: Path, connections: list[Any]) -> None:
    assert "no page is connected" in doubtful(_load(file, connections=connections))["connections"]


# --- Secrets. -------------------------------------------------------------------------------------------

SECRETS = {
    "secret_key": "hush-1",
    "admin_token": "hush-2",
    "helpdesk": MINIMUM["helpdesk"] | {"api_token": "hush-5"},
    "connections": [
        connection(PAGE_A, 32 * "e", page_access_token="hush-7", verify_token="hush-8"),
    ],
}


@pytest.mark.parametrize("show", [repr, str, Settings.model_dump_json])
def test_no_secret_is_shown(file: Path, show: Callable[[Settings], str]) -> None:
    shown = show(_load(file, **SECRETS))
    assert "hush" not in shown
    assert 32 * "e" not in shown
    assert WEBHOOK_SECRET not in shown


@pytest.mark.parametrize("key", ["redis_url", "broker_url"])
@pytest.mark.parametrize("show", [repr, str])
def test_a_password_in_an_address_is_not_shown(file: Path, show: Callable[[Settings], str], key: str) -> None:
    assert "hush" not in show(_load(file, **{key: "redis://:hush@store:6379/0"}))


def test_no_secret_stands_in_a_fault(file: Path) -> None:
    wrong = MINIMUM["helpdesk"] | {"api_token": ["hush"], "webhook_secret": "hush"}
    page = connection(PAGE_A, "hush", page_access_token={"a": "hush"}, verify_token="")
    faults = _faults(file, helpdesk=wrong, connections=[page], secret_key=["hush"], redis_url="hush")
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
        monkeypatch.setenv(f"CONNECTOR_CONNECTIONS__0__{key}", SECRET_A)
    assert load_settings().connections[0].active


def test_the_shipped_file_alone_names_each_secret_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(SHIPPED))
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert [fault.partition(":")[0] for fault in refusal.value.faults] == [
        "helpdesk.api_token",
        "helpdesk.webhook_secret",
        "connections[0]",
    ]


def test_every_key_stands_in_the_shipped_file() -> None:
    data = yaml.safe_load(SHIPPED.read_text())
    (page,) = data["connections"]
    written = {*_written(data), *_written(page, "connections.")}
    connections = Settings.model_fields["connections"].annotation
    expected = {*_keys(Settings), *_keys(connections.__args__[0], "connections.")}  # type: ignore[union-attr]  # it is tuple[Connection, ...]
    assert written == expected
