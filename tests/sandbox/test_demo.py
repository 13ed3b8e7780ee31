"""What the demo does for a person, besides its story."""

import webbrowser

import pytest

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
