"""What the demo does for a person, besides its story."""

import webbrowser
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from click.testing import CliRunner

from sandbox import demo

SCREENS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the addresses that are opened, on a machine without a screen."""
    opened: list[str] = []
    for name in SCREENS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(webbrowser, "open", opened.append)
    return opened


@pytest.mark.parametrize("name", SCREENS)
def test_the_page_is_opened_where_there_is_a_screen(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, ":0")
    demo.open_browser("http://127.0.0.1:9003/")
    assert opened == ["http://127.0.0.1:9003/"]


def test_nothing_is_opened_where_there_is_none(opened: list[str]) -> None:
    demo.open_browser("http://127.0.0.1:9003/")
    assert opened == []


def test_a_mac_always_has_a_screen(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    demo.open_browser("http://127.0.0.1:9003/")
    assert opened == ["http://127.0.0.1:9003/"]


def test_its_pages_are_checked_before_a_person_looks_at_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is checked on schedule there, and tab and board are to know whether they work."""
    monkeypatch.chdir(tmp_path)
    steps = MagicMock()
    for name in ("heed_signals", "stack_with", "Story", "serving", "stay"):
        monkeypatch.setattr(demo, name, getattr(steps, name))
    stack = steps.stack_with()().__enter__()
    CliRunner().invoke(demo.main, [])

    done = [name.rpartition(".")[2] for name, _, _ in steps.mock_calls]
    assert stack.check_connections.called
    assert done.index("check_connections") < done.index("stay")
