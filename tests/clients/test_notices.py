"""What people are told: every code has its sentence, in every language, with the same values."""

import ast
import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import clients.errors
from clients.channels.meta.errors import ERRORS
from clients.errors import ClientError, NotConnected, OutsideWindow, Unavailable
from clients.notices import LOCALE, Notice, Plural, _sentences, add_sentences, decode, encode, notice, say
from connector.connection import Connection
from connector.messenger import words as messenger_words  # noqa: F401 - their sentences
from connector.web import words as web_words  # noqa: F401 - the same
from tasks import words

ROOT = Path(__file__).parent.parent.parent
PARTS = ("clients", "tasks", "connector")
LANGUAGES = sorted(path.name for path in LOCALE.iterdir())
CALLS = {
    *(name for name, kind in vars(clients.errors).items() if isinstance(kind, type)),
    *("notice", "finding", "InvalidLink", "PrivateAddress", "UnknownJob", "FileLeftOut", "_Unreadable"),
}


def _catalogue(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES" / "connector.po").open("rb") as file:
        return read_po(file, locale=language)


def _used() -> Iterator[tuple[str, str]]:
    """Yield each code that is written out in the code or in a template, and where."""
    for path in (ROOT / "connector").rglob("*.html"):
        yield from ((code, path.name) for code in re.findall(r'say\("(\w+)"[,)]', path.read_text()))
    for path in sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name, code = node.func.id if isinstance(node.func, ast.Name) else "", node.args[0]
            if name in CALLS and isinstance(code, ast.Constant):
                yield str(code.value), f"{path.relative_to(ROOT)}:{node.lineno}"


def _beginnings() -> set[str]:
    """Return what codes begin with that are put together, in a template or in an f-string."""
    found: set[str] = set()
    for path in (ROOT / "connector").rglob("*.html"):
        found |= {*re.findall(r'"(\w+_)" ~', path.read_text())}
    for path in (ROOT / "connector").rglob("*.py"):
        found |= {*re.findall(r'(?:notice|say_code)\(f"(\w+_)\{', path.read_text())}
    return found


def _forms(text: Any) -> Sequence[str]:
    """Return a text, or the forms of its plural."""
    return text if isinstance(text, list | tuple) else (text,)


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_code_has_an_english_sentence() -> None:
    used = [*_used(), *((code, "meta") for _, code in ERRORS.values())]
    assert len(used) > 100
    assert [(code, where) for code, where in used if code not in _sentences] == []


def test_no_sentence_is_left_without_a_use() -> None:
    files = (path for part in PARTS for end in ("py", "html") for path in (ROOT / part).rglob(f"*.{end}"))
    text = "".join(file.read_text() for file in files).replace("'", '"')
    built = {f"sent_{kind}" for kind in ("image", "video", "audio", "file", "sticker")} | {
        f"{who}_file_not_{what}" for who in ("customer", "page") for what in ("added", "downloaded")
    }
    codes = {code.partition(".")[0] for code in _sentences}  # what a finding means has its code before a dot
    built |= {code for code in codes if code.startswith(tuple(_beginnings()))}
    assert [code for code in codes if text.count(f'"{code}"') < 2 and code not in built] == []


def test_codes_that_are_put_together_have_sentences() -> None:
    assert [one for one in _beginnings() if not any(code.startswith(one) for code in _sentences)] == []


def test_a_code_has_one_sentence() -> None:
    with pytest.raises(ValueError, match="link_expired"):
        add_sentences({"link_expired": "another"})


def test_there_is_a_catalogue_for_every_language_that_the_settings_know() -> None:
    known = get_args(Connection.model_fields["language"].annotation)
    assert sorted(known) == sorted(["en", *LANGUAGES])


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated(language: str) -> None:
    catalogue = _catalogue(language)
    missing = []
    for sentence in _sentences.values():
        entry = catalogue.get(sentence if isinstance(sentence, str) else sentence.one)
        if entry is None or entry.fuzzy or not all(_forms(entry.string)):
            missing.append(sentence)
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_left_of_a_sentence_that_is_gone(language: str) -> None:
    english = {one if isinstance(one, str) else one.one for one in _sentences.values()}
    ids = (entry.id if isinstance(entry.id, str) else entry.id[0] for entry in _catalogue(language))
    assert [id_ for id_ in ids if id_ and id_ not in english] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_values_of_its_sentence(language: str) -> None:
    for entry in _catalogue(language):
        wanted = _names(_forms(entry.id)[-1])
        one, *several = [_names(text) for text in _forms(entry.string)]
        assert several == [wanted] * len(several)
        assert one == wanted or (several and one == wanted - {"count"})  # of one thing it may be left out


def test_the_tool_for_translators_finds_every_sentence() -> None:
    found = set()
    for part in PARTS:
        keywords = {"N_": None, "Plural": (1, 2)}
        found |= {id_ for _, _, id_, _, _ in extract_from_dir(ROOT / part, keywords=keywords)}
    english = {one if isinstance(one, str) else (one.one, one.other) for one in _sentences.values()}
    assert english - found == set()


def test_a_notice_is_a_code_and_values_in_logs() -> None:
    error = Unavailable("unreachable", service=notice("helpdesk"), cause=notice("host_not_found", host="a.b"))
    assert str(error) == "unreachable service=helpdesk cause=(host_not_found host=a.b)"
    assert str(ClientError("http_status", detail='a "b"')) == 'http_status detail="a \\"b\\""'


def test_a_notice_is_a_sentence_for_people() -> None:
    error = Unavailable("unreachable", service=notice("helpdesk"), cause=notice("host_not_found", host="a.b"))
    assert say(error.notice) == "the helpdesk cannot be reached: a.b was not found (DNS)"
    assert say(error.notice, "pl") == "helpdesk: brak połączenia: a.b: nie znaleziono adresu (DNS)"


def test_what_a_vendor_calls_an_error_is_told_behind_its_sentence() -> None:
    error = OutsideWindow("window_closed", reference=notice("facebook_error", error="10/2018278"))
    assert re.search(r"another way \(Facebook error 10/2018278\)$", say(error.notice))
    assert re.search(r"inaczej \(błąd Facebooka 10/2018278\)$", say(error.notice, "pl"))


@pytest.mark.parametrize(
    ("limit", "english", "polish"), [(26_214_400, "25 MB", "25 MB"), (1_572_864, "1.5 MB", "1,5 MB")]
)
def test_a_size_is_told_in_megabytes(limit: int, english: str, polish: str) -> None:
    assert say(notice("file_too_large", limit_bytes=limit)) == f"it is larger than {english}"
    assert say(notice("file_too_large", limit_bytes=limit), "pl") == f"rozmiar przekracza {polish}"


@pytest.mark.parametrize(
    ("count", "english", "polish"),
    [
        (1, "It was tried 1 time.", "Podjęto 1 próbę."),
        (2, "It was tried 2 times.", "Podjęto 2 próby."),
        (5, "It was tried 5 times.", "Podjęto 5 prób."),
        (12, "It was tried 12 times.", "Podjęto 12 prób."),
        (22, "It was tried 22 times.", "Podjęto 22 próby."),
    ],
)
def test_a_number_has_its_plural(count: int, english: str, polish: str) -> None:
    assert (say(notice("tried", count=count)), say(notice("tried", count=count), "pl")) == (english, polish)


def test_a_code_that_nobody_knows_is_shown_as_it_stands() -> None:
    assert say(notice("of_another_version", host="a.b"), "pl") == "of_another_version host=a.b"


def test_a_value_that_another_version_left_out_does_not_hide_the_sentence() -> None:
    assert say(Notice("not_connected")) == "the page … has no active connection"


def test_a_notice_is_kept_as_it_is() -> None:
    error = NotConnected("facebook_messenger", "1")
    assert encode(error.notice) == '{"code":"not_connected","values":{"page_id":"1"}}'
    nested = notice(
        "files_not_sent", count=1, files=[notice("file_not_sent", filename="a", reason=error.notice)]
    )
    assert decode(encode(nested)) == nested


def test_a_reason_that_is_no_notice_is_shown_all_the_same() -> None:
    assert words.described("it was of another version") == "it was of another version"
    assert words.described(encode(notice("link_expired"))) == "link_expired: its link has expired"


def test_a_plural_names_its_number() -> None:
    plurals = [one for one in _sentences.values() if isinstance(one, Plural)]
    assert plurals == [one for one in plurals if "{count}" in one.other]
