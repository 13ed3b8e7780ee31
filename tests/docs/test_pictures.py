"""The pictures in docs show what the code makes of events and replies today; there is one for each kind."""

import json
import re
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path

import pytest

from clients.channels.meta.attachments import _FILES, _TYPES
from clients.channels.meta.kinds import ECHO, ROWS, STANDBY
from clients.jsons import decode
from clients.notices import is_known, notice, say
from tests.conftest import payload
from tests.docs import screens
from tests.docs.pictures import (
    ATTACHMENTS,
    EVENTS,
    FOLDER,
    MANIFEST,
    OUTCOMES,
    PICTURES,
    RECEIPTS,
    Gallery,
    gallery,
)
from tests.docs.screens import DIGESTS, ROOT, SCREENS, Screen, essence
from tests.fakes.situations import SITUATIONS, path_of

GO_ON = {"tried", "reply_partly_delivered", "retry_reply", "send_again"}
"""Sentences that stand behind another one in a note."""
UNTRACEABLE = "reply_untraceable"
"""What is told of channels that do not show what was sent: Messenger does."""
STALE = "it looks different now: run `make pictures`, look at what changed, and commit it"


@pytest.fixture(scope="module")
def shows(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with gallery(tmp_path_factory.mktemp("gallery"), valkey) as shows:
        yield shows


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_what_agents_see_today(shows: Gallery, name: str) -> None:
    photographed = json.loads(MANIFEST.read_text()).get(name)
    assert photographed == shows.show(name).digest, STALE


def test_every_picture_is_there_and_none_is_left_over() -> None:
    there = {file.name for file in FOLDER.iterdir()} - {MANIFEST.name, DIGESTS.name}
    assert there == {f"{name}.png" for name in (*PICTURES, *SCREENS)}, "run `make pictures`"
    assert list(json.loads(MANIFEST.read_text())) == PICTURES, "run `make pictures`"


@pytest.mark.parametrize("name", SCREENS)
def test_a_picture_of_a_page_is_taken_anew_when_what_it_is_made_of_changes(name: str) -> None:
    assert json.loads(DIGESTS.read_text()).get(name) == SCREENS[name].digest, STALE


@pytest.mark.parametrize(
    ("name", "made_of"),
    [
        ("board", ("connector/web/templates/*", "connector/web/board*.py", "connector/web/words.py")),
        ("messenger-tab", ("connector/messenger/*.py", "connector/*/templates/*", "connector/web/words.py")),
        ("playground", ("sandbox/playground/*.py", "sandbox/playground/static/*")),
    ],
)
def test_all_that_makes_the_picture_of_a_page_is_watched(name: str, made_of: Sequence[str]) -> None:
    files = {path for pattern in made_of for path in ROOT.glob(pattern) if path.is_file()}
    assert files - set(SCREENS[name].sources()) == set()
    assert not [path for path in SCREENS[name].sources() if path.suffix in {".pyc", ""}]


def test_a_remark_or_an_import_in_a_module_makes_no_picture_stale(tmp_path: Path) -> None:
    bare, remarked = tmp_path / "bare.py", tmp_path / "remarked.py"
    bare.write_text('SAYS = "## all is well"\n\n\ndef show():\n    return SAYS\n')
    remarked.write_text(
        '"""What is shown."""\n\nimport a\nfrom a.b import (\n    c,  # noqa: X1 - so\n)\n\n'
        'SAYS = "## all is well"  # noqa: X1 - so\n# Said once.\n\n\n'
        'def show():\n    """Show it.\n\n    Twice.\n    """\n    return SAYS\n'
    )
    assert essence(remarked) == essence(bare)
    bare.write_text(bare.read_text().replace("well", "good"))
    assert essence(remarked) != essence(bare)


def test_a_file_that_moves_makes_no_picture_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "ROOT", tmp_path)
    screen = Screen((1, 1), lambda *_: b"", ("*/*.html",))
    for folder in ("a", "z"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "one.html").write_text("first")
    (tmp_path / "a" / "two.html").write_text("second")
    before = screen.digest
    (tmp_path / "a" / "one.html").rename(tmp_path / "z" / "moved.html")
    assert screen.digest == before
    (tmp_path / "z" / "moved.html").write_text("third")
    assert screen.digest != before


def test_every_kind_of_event_that_becomes_a_comment_has_a_picture() -> None:
    shown = {kind for name in SITUATIONS for kind in _kinds_shown(name)}
    kinds = {kind if kind in ROWS else "any_other" for kind in shown}
    assert set(EVENTS) == kinds | {STANDBY, ECHO}


def test_every_receipt_has_a_picture() -> None:
    assert set(RECEIPTS) == {kind for kind, row in ROWS.items() if row.is_receipt}


def test_every_sentence_that_begins_a_note_about_a_reply_has_a_picture(shows: Gallery) -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tasks/outbound").glob("*.py"))
    words = {*re.findall(r'"(\w+)"', sources)} - {*GO_ON, UNTRACEABLE}
    notes = {word: say(notice(word)) for word in words if is_known(notice(word))}
    begin = {code: said for code, said in notes.items() if said[0].isupper() and said.endswith(".")}
    told = [unescape(re.sub(r"<[^>]*>", "", shows.show(name).html)) for name in OUTCOMES]

    def is_shown(sentence: str) -> bool:
        return any(all(part in one for part in sentence.split("…")) for one in told)

    assert len(begin) > 5
    assert [code for code, said in begin.items() if not is_shown(said)] == []


@pytest.mark.parametrize("kind", EVENTS)
def test_the_picture_of_a_kind_of_event_is_of_that_kind(kind: str) -> None:
    (shown,) = _kinds_shown(EVENTS[kind])
    marked = {STANDBY: '"standby"', ECHO: '"is_echo"'}
    assert shown == kind or (kind == "any_other" and shown not in ROWS) or kind in marked
    assert marked.get(kind, "").encode() in payload(f"messenger/{EVENTS[kind]}")


def test_every_type_of_attachment_has_a_picture() -> None:
    assert set(ATTACHMENTS) == {*_FILES, *_TYPES, "any_other_attachment"}


@pytest.mark.parametrize("kind", ATTACHMENTS)
def test_the_picture_of_an_attachment_is_of_its_type(kind: str) -> None:
    (entry,) = decode(payload(f"messenger/{ATTACHMENTS[kind]}"))["entry"]
    (attachment,) = entry["messaging"][0]["message"]["attachments"]
    assert attachment["type"] == kind or not {kind, attachment["type"]} & (_FILES | _TYPES.keys())


def _kinds_shown(name: str) -> list[str]:
    """Return the kinds of the events of a situation that become a comment."""
    becomes = path_of(name).read_text().partition("\n---\n")[0]
    return re.findall(r"^(\w+): (?:opens|joins) ", becomes, re.MULTILINE)
