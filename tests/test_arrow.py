"""The arrow: doors use work, work uses dialects, never back; a foreign key stands in a dialect only."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from clients.channels.registry import CHANNELS

ROOT = Path(__file__).parent.parent
PACKAGES = ("connector", "tasks", "clients", "conformance", "sandbox")
MAY_IMPORT = {
    "connector": {"connector", "tasks", "clients", "conformance"},
    "tasks": {"tasks", "clients"},
    # These two read the settings; all else is handed in.
    "tasks/celery.py": {"tasks", "connector.settings", "connector.logs"},
    "tasks/services.py": {"tasks", "clients", "connector.settings"},
    "clients": {"clients"},
    "conformance": {"conformance", "clients", "tasks"},
    "sandbox": {"sandbox"},
    # No side of ours, but the connector's own adapter with a journal, and who looks on through it.
    "sandbox/vendor": {
        "sandbox",
        "clients",
        "tasks.services",
        "connector.app",
        "connector.settings",
        "conformance.rest",
    },
}
MODULES = ("connector", "tasks", "clients", "conformance")
"""What the product is made of."""
FOREIGN_KEYS = frozenset(
    {
        *("entry", "messaging", "standby", "changes", "message", "mid", "is_echo", "watermark", "postback"),
        *("message_id", "attachment_id", "recipient_id", "error_subcode", "participants"),
        *("ticket", "tickets", "comment", "comments", "attachment", "webhook-id", "webhook-signature"),
        *("config", "requester", "source", "page_id", "page_name", "sender_id", "sender_name"),
        *("sender_first_name", "sender_last_name", "sender_profile_pic", "delivery"),
    }
)


OF_CHANNELS = frozenset({"key_prefix", "title", "nameless"})
"""Attributes of a channel: a comparison of one with a text is a branch on which channel it is."""


def _imports(source: str) -> Iterator[str]:
    """Yield the modules of our own that a module imports, as `package.module` where that can be told."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "our own modules are imported by their full name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in {*PACKAGES, "tests"})


def _package(module: Path) -> str:
    """Return the narrowest place that has a rule of its own."""
    places = [module.as_posix(), module.parent.as_posix(), module.parts[0]]
    return next(place for place in places if place in MAY_IMPORT)


def _against_the_arrow(package: str, source: str) -> list[str]:
    allowed = MAY_IMPORT[package]
    return [
        name
        for name in _imports(source)
        if not any(name == one or name.startswith(f"{one}.") for one in allowed)
    ]


def _circles(imports: Mapping[str, set[str]]) -> list[str]:
    """Return the modules that import themselves, by way of others."""
    reached = {name: set(there) for name, there in imports.items()}
    for between in imports:
        for there in reached.values():
            if between in there:
                there.update(reached[between])
    return sorted(name for name, there in reached.items() if name in there)


def _foreign_keys(source: str) -> list[str]:
    """Return the foreign keys that a module looks up in a dictionary."""
    looked_up: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(slice=ast.expr() as key, ctx=ast.Load()):
                looked_up.append(key)
            case ast.Call(func=ast.Attribute(attr="get" | "pop" | "setdefault"), args=[key, *_]):
                looked_up.append(key)
            case ast.MatchMapping(keys=keys):
                looked_up.extend(keys)
    return [
        key.value
        for key in looked_up
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value in FOREIGN_KEYS
    ]


def _of_one_channel(source: str) -> list[str]:
    """Return where a module knows a channel: imports one, names it, or compares what is its own."""
    found = [name for name in _imports(source) if re.match(r"clients\.channels\.(?!registry\b)", name)]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(value=str(text)) if text in CHANNELS:
                found.append(text)
            case ast.Compare(left=left, comparators=others):
                sides = [left, *others]
                of_channel = any(isinstance(one, ast.Attribute) and one.attr in OF_CHANNELS for one in sides)
                texts = (one.value for one in sides if isinstance(one, ast.Constant))
                found += [text for text in texts if of_channel and isinstance(text, str)]
    return found


def _modules(*packages: str) -> list[Path]:
    return [file.relative_to(ROOT) for package in packages for file in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("module", _modules(*PACKAGES), ids=str)
def test_imports_follow_the_arrow(module: Path) -> None:
    assert _against_the_arrow(_package(module), (ROOT / module).read_text()) == []


# What the settings call a connection's key is its own word, whatever else is called so.
OF_SETTINGS = {Path("connector/environment.py")}
# A channel's own pages are about it: what people enter there, and what they do at its site.
ROOMS = (("clients", "channels"), ("connector", "messenger"))


def _is_of_a_channel(module: Path) -> bool:
    return module.parts[:2] in ROOMS


@pytest.mark.parametrize(
    "module",
    sorted(one for one in {*_modules("connector", "tasks")} - OF_SETTINGS if not _is_of_a_channel(one)),
    ids=str,
)
def test_foreign_keys_stand_in_the_dialects_only(module: Path) -> None:
    assert _foreign_keys((ROOT / module).read_text()) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_modules_to_check(package: str) -> None:
    assert len(_modules(package)) > 5


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("clients", "from tasks import inbox"),
        ("clients", "import connector.settings"),
        ("clients", "def f():\n    from connector.settings import Settings"),
        ("tasks", "from connector.web.webhooks import Doors"),
        ("tasks", "from connector import app"),
        ("tasks", "import connector"),
        ("tasks", "from connector.settings import Settings"),
        ("tasks/celery.py", "from connector.app import app"),
        ("connector", "from sandbox.stack import Stack"),
        ("connector", "import tests.conftest"),
        ("sandbox", "from clients import events"),
        ("sandbox", "from connector.settings import Settings"),
        ("sandbox/vendor", "from tasks import inbox"),
    ],
)
def test_an_import_against_the_arrow_would_be_found(package: str, source: str) -> None:
    assert _against_the_arrow(package, source)


@pytest.mark.parametrize(
    "source",
    [
        'item["message"]["text"]',
        'item.get("mid")',
        'answer.get("ticket", {})',
        'ticket.config.get("source")',
        'match item:\n    case {"message": text}:\n        pass',
    ],
)
def test_a_foreign_key_would_be_found(source: str) -> None:
    assert _foreign_keys(source)


def test_keys_of_our_own_are_no_foreign_keys() -> None:
    assert not _foreign_keys('settings["graph"]; {"comment": 1}; known.get("body"); letter["message"] = 1')


WORDS = [
    "messenger",
    "facebook",
    "instagram",
    "whatsapp",
    "meta",
    "watermark",
    "human.agent",
    "psid",
    "mids?",
    r"hub\.",
]
OF_A_CHANNEL = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)
BETWEEN_WORDS = re.compile(r"_|(?<=[a-z0-9])(?=[A-Z])|<meta (?=name|charset)")
"""Where a word ends within an identifier. HTML has an element that is called like the company."""


def _words_of_a_channel(text: str) -> list[str]:
    return OF_A_CHANNEL.findall(BETWEEN_WORDS.sub(" ", text))


def _core() -> list[Path]:
    others = [*(ROOT / "tasks").rglob("*.lua"), *(ROOT / "connector" / "web" / "templates").iterdir()]
    return [*_modules("tasks", "connector/web"), *sorted(file.relative_to(ROOT) for file in others)]


@pytest.mark.parametrize("module", _core(), ids=str)
def test_the_core_names_nothing_of_one_channel(module: Path) -> None:
    assert _words_of_a_channel((ROOT / module).read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "Facebook says so",
        'say("board_facebook_page")',
        "class MessengerTab:",
        "from connector.messenger import tab",
        "HUMAN_AGENT = 1",
        "human_agent: bool",
        "person.psid",
    ],
)
def test_a_word_of_one_channel_would_be_found(text: str) -> None:
    assert _words_of_a_channel(text)


def test_words_of_our_own_that_hold_one_of_a_channels_are_none() -> None:
    assert not _words_of_a_channel('echo_metadata = amid(permitted)  # <meta name="robots">')


# These two are about the only channel there is: its connections, and the address of its webhooks.
LISTING = {Path("connector/connection.py"), Path("connector/cli/run.py")}


def _others() -> list[Path]:
    """Return the modules outside the channels' folders that do not list the channels."""
    everything = {*_modules("connector", "tasks", "clients")} - LISTING
    return sorted(one for one in everything if not _is_of_a_channel(one))


@pytest.mark.parametrize("module", _others(), ids=str)
def test_no_channel_is_known_outside_its_folder(module: Path) -> None:
    assert _of_one_channel((ROOT / module).read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "from clients.channels import meta",
        "from clients.channels.meta import messenger",
        'if channel.key_prefix == "x":\n    pass',
        'if channel.name == "facebook_messenger":\n    pass',
        'found = CHANNELS["facebook_messenger"]',
        'match channel:\n    case "facebook_messenger":\n        pass',
    ],
)
def test_a_channel_that_is_known_would_be_found(source: str) -> None:
    assert _of_one_channel(source)


# Two are named by the libraries that they extend; a connection's section of the settings becomes the core's
# connection; Meta's envelope and its entries are a channel's; docs/glossary.md tells parts apart.
TWICE = {"Channel", "Transport", "Connection", "Entry", "Envelope", "Part"}


def test_no_two_classes_have_one_name() -> None:
    sources = ((ROOT / module).read_text() for module in _modules(*MODULES))
    names = Counter(name for source in sources for name in re.findall(r"^class (\w+)", source, re.MULTILINE))
    assert {name for name, count in names.items() if count > 1} == TWICE


def _unlike_the_others(source: str) -> list[str]:
    """Return the dataclasses without slots, and the Structs that can be changed."""
    return re.findall(
        r"^@dataclass\b(?!.*slots=True).*|^class .*msgspec\.Struct(?!.*frozen=True).*", source, re.MULTILINE
    )


@pytest.mark.parametrize("module", _modules("connector", "tasks", "clients"), ids=str)
def test_values_are_of_two_sorts(module: Path) -> None:
    assert _unlike_the_others((ROOT / module).read_text()) == []


@pytest.mark.parametrize(
    "source",
    ["@dataclass\nclass A: ...", "@dataclass(frozen=True)\nclass A: ...", "class A(msgspec.Struct): ..."],
)
def test_a_value_of_another_sort_would_be_found(source: str) -> None:
    assert _unlike_the_others(source)


def test_no_module_imports_itself_by_way_of_others() -> None:
    names = {
        ".".join(module.with_suffix("").parts).removesuffix(".__init__"): module
        for module in _modules(*MODULES)
    }
    imports = defaultdict[str, set[str]](set)
    for name, module in names.items():
        for what in _imports((ROOT / module).read_text()):
            found = what if what in names else what.rpartition(".")[0]
            if found in names and found != name:
                imports[name].add(found)
    assert sum(map(len, imports.values())) > 500
    assert _circles(imports) == []


def test_a_circle_would_be_found() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert _circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


TESTS = [file.relative_to(ROOT) for file in sorted((ROOT / "tests").rglob("test_*.py"))]


@pytest.mark.parametrize("module", TESTS, ids=str)
def test_a_module_of_tests_is_short_and_no_other_imports_it(module: Path) -> None:
    source = (ROOT / module).read_text()
    assert source.count("\n") <= 600
    assert not re.search(r"^(from|import) tests\.([\w.]+\.)?test_", source, re.MULTILINE)
