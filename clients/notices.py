"""What people read: a code and values until somebody reads it, then a sentence in their language.

The English sentence of each code stands beside what uses it (`add_sentences`), and is the msgid of the
catalogues in `locale/`. `make messages` brings those up to date.
"""

import functools
import gettext
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Union

import msgspec

LOCALE = Path(__file__).with_name("locale")
DOMAIN = "connector"
ENGLISH = "en"

Value = Union[str, int, float, "Notice", list["Notice"]]


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What there is to say. `str()` is for logs, `code name=value …`; `say` is for people.

    A value may be a notice of its own, or a list of them. One whose name ends in `_bytes` is said in MB;
    `words` are somebody's own, and not logged; `count` chooses the plural; `reference` names it as its vendor
    does, behind the sentence.
    """

    code: str
    values: dict[str, Value] = {}

    def __str__(self) -> str:
        shown = (f"{name}={_logged(value)}" for name, value in self.values.items() if name != "words")
        return " ".join([self.code, *shown])


class Plural(NamedTuple):
    """A sentence that depends on the value `count`."""

    one: str
    other: str


Sentence = str | Plural
_sentences: dict[str, Sentence] = {}


def notice(code: str, **values: Value) -> Notice:
    """Return a notice."""
    return Notice(code, values)


def N_(sentence: str) -> str:  # noqa: N802 - the name by which gettext's tools find what is to be translated
    """Mark a sentence for the catalogues."""
    return sentence


def add_sentences(sentences: Mapping[str, Sentence]) -> None:
    """Register the English sentence of each code. Raises `ValueError` for a code that is taken."""
    for code, sentence in sentences.items():
        if _sentences.setdefault(code, sentence) != sentence:
            raise ValueError(f"the code {code} has a sentence already")


def say(what: Notice, language: str = ENGLISH) -> str:
    """Return the sentence of a notice; a code that has none is shown as logs have it."""
    sentence, catalogue = _sentences.get(what.code), _catalogue(language)
    if sentence is None:
        return str(what)
    if isinstance(sentence, Plural):
        text = catalogue.ngettext(*sentence, what.values.get("count", 0))  # type: ignore[arg-type]
    else:
        text = catalogue.gettext(sentence)
    said = _Said({name: _said(name, value, language) for name, value in what.values.items()})
    text = text.format_map(said)
    return f"{text} ({said['reference']})" if "reference" in said else text


def is_known(what: Notice) -> bool:
    """Return whether a notice has a sentence, so that its code is one of a few."""
    return what.code in _sentences


def encode(what: Notice) -> str:
    """Return a notice as the store keeps it: JSON, `{"code": …, "values": {…}}`."""
    return msgspec.json.encode(what).decode()


def decode(text: str | bytes) -> Notice:
    """Read what `encode` wrote. Any other text counts as a code of its own, so that it is shown."""
    try:
        return msgspec.json.decode(text, type=Notice)
    except msgspec.MsgspecError:
        return Notice(text if isinstance(text, str) else text.decode(errors="replace"))


class _Said(dict[str, str]):
    """Values of a sentence; another version of the connector may have stored fewer of them."""

    def __missing__(self, name: str) -> str:
        return "…"


def _said(name: str, value: Value, language: str) -> str:
    if isinstance(value, Notice):
        return say(value, language)
    if isinstance(value, list):
        return "; ".join(say(one, language) for one in value)
    if name.endswith("_bytes") and not isinstance(value, str):
        size = f"{value / 2**20:.4g} MB"
        return size if language == ENGLISH else size.replace(".", ",")  # as Polish writes decimals
    return str(value)


def _logged(value: Value) -> str:
    if isinstance(value, Notice):
        return f"({value})" if value.values else value.code
    if isinstance(value, list):
        return f"[{', '.join(map(_logged, value))}]"
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=') else text


@functools.cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE, [language], fallback=True)
