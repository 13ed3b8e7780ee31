"""What is wrong with the settings: one readable line for each fault, which names the key and the remedy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from connector.connection import Connection
from connector.settings import PATH_VARIABLE, Settings, SettingsError, load_settings
from tests.conftest import PAGE_A, SECRET_A, SECRET_B, connection
from tests.connector.settings_file import MINIMUM, SettingsFile, assert_one_line, refusal, whsec

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
    ("graph.app_id", {"graph": {"app_id": "my app"}}, "digits only"),
    ("connections[0].page_id", {"connections": [connection("10738 1679", SECRET_A)]}, "digits only"),
    ("connections[0].app_secret", {"connections": [connection(PAGE_A, "abc")]}, "Settings, Basic"),
    ("connections[0].app_secret", {"connections": [connection(PAGE_A, 32 * "g")]}, "must be 32 digits"),
    (
        "connections[0].page_access_token",
        {"connections": [connection(PAGE_A, SECRET_A, page_access_token="")]},
        "must not be empty while the connection is active",
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
    (
        "connections[0].language",
        {"connections": [connection(PAGE_A, SECRET_A, language="de")]},
        "must be 'en' or 'pl'",
    ),
    (
        "connections[0].remind_before",
        {"connections": [connection(PAGE_A, SECRET_A, remind_before=24)]},
        "must be less than 24, the hours for which Messenger allows a reply",
    ),
    (
        "connections[0].remind_before",
        {"connections": [connection(PAGE_A, SECRET_A, remind_before=-1)]},
        "must be at least 0",
    ),
    (
        "connections[0].history_days",
        {"connections": [connection(PAGE_A, SECRET_A, history_days=31)]},
        "must be at most 30",
    ),
    ("events.reacton", {"events": {"reacton": "open_ticket"}}, "is no kind of event; write one of"),
    ("events.reaction", {"events": {"reaction": "never"}}, "must be 'open_ticket' or 'join_ticket'"),
    ("connections", {"connections": "none"}, "connections"),
]


@pytest.mark.parametrize(("key", "changes", "words"), FAULTS)
def test_a_fault_is_one_line_that_names_the_key(
    file: SettingsFile, key: str, changes: dict[str, Any], words: str
) -> None:
    (fault,) = file.faults(**changes)
    assert fault.startswith(f"{key}: ")
    assert words in fault
    assert "\n" not in fault


def test_a_missing_token_is_named(file: SettingsFile) -> None:
    helpdesk = {key: value for key, value in MINIMUM["helpdesk"].items() if key != "api_token"}
    (fault,) = file.faults(helpdesk=helpdesk)
    assert fault.startswith("helpdesk.api_token: is missing")


def test_every_fault_has_its_line(file: SettingsFile) -> None:
    faults = file.faults(port=0, prot=1, public_url="x", graph={"version": "1"})
    assert sorted(fault.partition(":")[0] for fault in faults) == [
        "graph.version",
        "port",
        "prot",
        "public_url",
    ]


def test_a_missing_file_is_one_line_that_says_what_to_do(file: SettingsFile) -> None:
    (fault,) = refusal()
    assert fault.startswith(f"{file.path}: there is no such file; name yours with CONNECTOR_SETTINGS")


@pytest.mark.parametrize("text", ["helpdesk: [", "a: b: c", "\tx: 1", "port: 'x", "\0"])
def test_broken_yaml_is_one_line_that_names_the_file(file: SettingsFile, text: str) -> None:
    file.write(text)
    assert_one_line(refusal(), str(file.path))


@pytest.mark.parametrize("text", ["- port: 1", "just words", "8000"])
def test_yaml_that_is_no_map_is_one_line_that_names_the_file(file: SettingsFile, text: str) -> None:
    file.write(text)
    assert_one_line(refusal(), str(file.path))


def test_a_file_that_is_no_text_is_one_line_that_names_it(file: SettingsFile) -> None:
    file.path.write_bytes(b"port: \xff\xfe")
    assert_one_line(refusal(), str(file.path))


def test_an_empty_file_lacks_the_helpdesk(file: SettingsFile) -> None:
    file.write("")
    assert_one_line(refusal(), "helpdesk")


def test_a_folder_is_one_line_that_says_what_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(tmp_path))
    (fault,) = refusal()
    assert fault == f"{tmp_path}: is a folder; name the settings file in it, such as {tmp_path}/settings.yaml"


def test_a_file_that_cannot_be_read_is_one_line(file: SettingsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert refusal() == [f"{file.path}: cannot be read: Permission denied"]


def test_a_section_that_stands_twice_is_told_with_its_lines(file: SettingsFile) -> None:
    file.write(f"{yaml.safe_dump(MINIMUM)}graph: {{}}\nport: 1\nhelpdesk:\n  base_url: http://127.0.0.1\n")
    assert_one_line(refusal(), "helpdesk: stands twice, in line 1 and in line 7; keep one")


def test_a_key_that_stands_twice_is_told_wherever_it_is(file: SettingsFile) -> None:
    file.write("connections:\n- page_id: 1\n- page_id: 2\n  desk_id: 7\n  page_id: 3\n")
    assert_one_line(refusal(), "connections[1].page_id: stands twice, in line 3 and in line 5")


def test_the_same_key_in_two_sections_is_no_fault(file: SettingsFile) -> None:
    page, other = connection("1", SECRET_A), connection("2", SECRET_A)
    assert len(file.load(connections=[page, other]).connections) == 2


def test_what_is_written_once_may_be_meant_twice(file: SettingsFile) -> None:
    page = "&one {page_id: 1, desk_id: 7, active: false}"
    file.write(f"{yaml.safe_dump(MINIMUM)}connections: [{page}, {{<<: *one, page_id: 2}}, *one]\n")
    assert [one.page_id for one in load_settings().connections] == ["1", "2", "1"]


def test_yaml_that_holds_itself_is_refused(file: SettingsFile) -> None:
    file.write("graph: &graph\n  options: *graph\n")
    assert "graph.options: is not a known key" in "\n".join(refusal())


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
    if path[0] == "connections" and path[1:]:
        settings["connections"] = [settings["connections"]]
    return settings


PATHS = [*_leaves(Settings), *_leaves(Connection, "connections")]


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_each_fault_of_each_key_is_said_in_plain_words(file: SettingsFile, path: tuple[str, ...]) -> None:
    for wrong in WRONG:
        file.write(yaml.safe_dump(_settings_with(path, wrong)))
        try:
            load_settings()
        except SettingsError as error:
            said = [fault.partition(": ")[2] for fault in error.faults]
            assert not [words for words in said if not words or any(one in words for one in PYDANTICS_WORDS)]


def test_a_variable_that_is_no_list_is_told_how_to_be_written(
    file: SettingsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTOR_GRAPH__MEDIA_HOSTS", "fbcdn.net")
    (fault,) = file.faults()
    assert fault.startswith("graph")
    assert "a list" in fault
