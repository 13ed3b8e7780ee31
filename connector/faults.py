"""What is wrong with the settings, in plain words: one line for each fault, with its key and the remedy."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_settings import SettingsError as UnreadVariable

_SECTION = "must be a section: its keys in lines of their own below it, each with a value"
_LIST = "must be a list: [one, two], or each in a line of its own behind a dash"
_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_TRUTH = "must be true or false"
_WORDS: Mapping[str, str] = {
    "missing": "is missing; add it (settings.yaml explains each key)",
    "extra_forbidden": "is not a known key; check its spelling in settings.yaml, or remove it",
    "string_type": 'must be a text; write it between quotes ("" if it is to be empty)',
    "path_type": "must be the path of a folder",
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "tuple_type": _LIST,
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "value_error": "{error}",
}
"""What is said of each kind of error that the settings can have."""


def of_values(error: ValidationError) -> list[str]:
    """Say what is wrong with values. None is quoted: it may be a secret."""
    return [f"{key or 'settings'}: {words}" for key, words in by_key(error)]


def by_key(error: ValidationError) -> list[tuple[str, str]]:
    """Say what is wrong with each key; the key is empty if it is not one's own fault. No value is quoted."""
    return [(_key(fault["loc"]), _what_is_wrong(fault)) for fault in error.errors(include_input=False)]


def _key(location: Iterable[int | str]) -> str:
    key = ""
    for part in location:
        if part == "[key]":  # pydantic's mark of a key that is wrong itself
            continue
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _what_is_wrong(fault: Any) -> str:
    words = _WORDS.get(fault["type"])
    return words.format_map(fault.get("ctx", {})) if words else str(fault["msg"])


def of_yaml(path: Path, error: yaml.YAMLError) -> str:
    """Say where the YAML is broken, without quoting the line: it may hold a token."""
    mark = getattr(error, "problem_mark", None)
    place = f" in line {mark.line + 1}" if mark else ""
    return f"{path}: is not proper YAML{place}: {getattr(error, 'problem', None) or 'it cannot be read'}"


def of_variable(error: UnreadVariable) -> str:
    """Say that a variable of the environment, which holds a list or a section, cannot be read."""
    named = re.search(r'field "(\w+)"', str(error))
    key = named[1] if named else "settings"
    return f'{key}: a variable of the environment that sets it is not proper JSON; a list is ["one", "two"]'


def of_file(path: Path, error: OSError) -> str:
    """Say why the file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: there is no such file; name yours with CONNECTOR_SETTINGS or --settings"
    if isinstance(error, IsADirectoryError):
        return f"{path}: is a folder; name the settings file in it, such as {path / 'settings.yaml'}"
    return f"{path}: cannot be read: {error.strerror}"


def doubled(node: yaml.Node) -> dict[str, str]:
    """Find the keys that stand twice in one map of a YAML document, and say where."""
    found: dict[str, str] = {}
    seen = set()

    def look(node: yaml.Node, path: tuple[int | str, ...]) -> None:
        if id(node) in seen:  # by an alias, which may even lead to what it stands in
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                look(item, (*path, index))
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                name, line = str(key.value), key.start_mark.line + 1
                if name in lines:
                    lead = _key((*path, name))
                    found[lead] = f"{lead}: stands twice, in line {lines[name]} and in line {line}; keep one"
                lines[name] = line
                look(value, (*path, name))

    look(node, ())
    return found
