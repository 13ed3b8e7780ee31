"""What the environment says of the settings: by variables, by files they name, and by a folder of secrets.

A setting is called here as its variable is, without the prefix and in lower case: `helpdesk__api_token`.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_settings import BaseSettings

CONNECTION = "connections__"
"""What begins each setting of one connection; its page id and a key follow."""

_SECRETS_DIR = "secrets_dir"
_NO_SETTINGS = {"settings", _SECRETS_DIR, "part", "heartbeat"}
_NEEDED = ("desk_id", "page_access_token", "app_secret", "verify_token")


@dataclass(frozen=True, slots=True)
class Given:
    """A setting that the environment gives: `text`, or what stands in `file`. Faults call it `name`."""

    setting: str
    name: str
    text: str = ""
    file: Path | None = None

    @property
    def section(self) -> str:
        """Return the first part of the setting's name."""
        return self.setting.partition("__")[0]


def read(model: type[BaseSettings], faults: list[str]) -> dict[str, Given]:
    """Return what is given to a model, by setting, with the texts of files. Adds a line for each fault."""
    given: dict[str, Given] = {}
    for one in _all(model, faults):
        if one.section not in model.model_fields:
            continue
        if one.setting in given:
            faults.append(f"{one.name}: {given[one.setting].name} sets the same key; keep one of the two")
            continue
        given[one.setting] = one
        if one.file:
            try:
                given[one.setting] = replace(one, text=_text_of(one.file), file=None)
            except ValueError as error:
                faults.append(f"{one.name}: {error}")
    return given


def unknown(model: type[BaseSettings]) -> list[str]:
    """Return the variables, and the files in the folder of secrets, that look like settings and are none."""
    return [one.name for one in _all(model, []) if one.section not in model.model_fields]


def connections(
    listed: Sequence[Any], given: Mapping[str, Given], keys: Collection[str], faults: list[str]
) -> list[Any]:
    """Return the listed connections, each with what is given to its page. Adds a line for each fault.

    `keys` are those that a connection may be given. A page that is not listed is added if it is given all
    that it needs.
    """
    pages: dict[str, dict[str, Given]] = {}
    for setting, one in given.items():
        page, _, key = setting.removeprefix(CONNECTION).partition("__")
        pages.setdefault(page, {})[key] = one
    result = list(listed)
    for page, values in sorted(pages.items()):
        places = [place for place, item in enumerate(listed) if _page_id(item) == page]
        if fault := _fault(page, len(places), values.keys(), keys):
            faults.append(f"{', '.join(one.name for one in values.values())}: {fault}")
            continue
        texts = {key: one.text for key, one in values.items()}
        if places:
            result[places[0]] = listed[places[0]] | texts
        else:
            result.append({"page_id": page} | texts)
    return result


def _page_id(item: Any) -> str | None:
    return str(item.get("page_id")).strip() if isinstance(item, dict) else None


def _fault(page: str, times: int, given: Collection[str], keys: Collection[str]) -> str | None:
    """Say why a page that is listed so many times cannot be given these keys."""
    if not set(given) <= set(keys):
        return f"the page id must be followed by one of {', '.join(sorted(keys)).upper()}"
    if times > 1:
        return (
            f"connections lists page {page} {times} times, so it is not clear which is meant; "
            "keep one of them, or write the value into the list"
        )
    missing = [key.upper() for key in _NEEDED if key not in given]
    if times == 0 and missing:
        return (
            f"connections lists no page {page}; correct the page id, add the page there, "
            f"or let the environment give the rest that it needs: {', '.join(missing)}"
        )
    return None


def _all(model: type[BaseSettings], faults: list[str]) -> Iterator[Given]:
    """Find all that looks like a setting. What stands in files is not read yet."""
    prefix = model.model_config["env_prefix"]
    for variable, text in os.environ.items():
        setting = variable[len(prefix) :].lower()
        if not variable.upper().startswith(prefix) or setting in _NO_SETTINGS:
            continue
        if in_file := _setting_in_file(model, setting):
            yield Given(in_file, variable, file=Path(text))
        else:
            yield Given(setting, variable, text)
    folder = f"{prefix}{_SECRETS_DIR.upper()}"
    if folder in os.environ:
        for file in _files(Path(os.environ[folder]), folder, faults):
            yield Given(file.name.lower(), f"{folder}/{file.name}", file=file)


def _files(folder: Path, variable: str, faults: list[str]) -> list[Path]:
    if not folder.is_absolute():
        faults.append(f"{variable}: must be the whole path of a folder, such as /run/secrets")
        return []
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        faults.append(f"{variable}: {folder} cannot be read ({error.strerror}); name the folder of secrets")
        return []
    return [file for file in files if not file.name.startswith(".")]  # Kubernetes keeps its versions in such


def _setting_in_file(model: type[BaseSettings], setting: str) -> str | None:
    """Return the setting that a variable such as `helpdesk__api_token_file` names a file for, if it does."""
    inner = setting.removesuffix("_file")
    if inner == setting or _is_setting(model, setting.split("__")):
        return None
    return inner if _is_setting(model, inner.split("__")) else None


def _is_setting(annotation: Any, path: Sequence[str]) -> bool:
    if not path:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(path[0])
        return field is not None and _is_setting(field.annotation, path[1:])
    if get_origin(annotation) is tuple:  # of connections: the page id, then a key
        return _is_setting(get_args(annotation)[0], path[1:])
    return get_origin(annotation) is dict


def _text_of(file: Path) -> str:
    """Return what a file holds, without the line break at its end. Raises `ValueError` with the remedy."""
    if not file.is_absolute():  # perhaps it is the secret itself, so it is not shown
        raise ValueError("must be the whole path of a file, such as /run/secrets/api_token")
    try:
        text = file.read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        raise ValueError(f"there is no file {file}; correct the path, or take it away") from None
    except OSError as error:
        raise ValueError(
            f"{file} cannot be read ({error.strerror}); make it a file that the connector's user may read"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text in UTF-8; save it as such") from None
    if not text:
        raise ValueError(f"{file} is empty; write the value into it, or take it away")
    return text
