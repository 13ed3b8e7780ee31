"""A settings file of a test's own, and a store of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.settings import PATH_VARIABLE, PREFIX
from tests.conftest import Valkey
from tests.connector.settings_file import SettingsFile


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFile:
    """Give the settings file that is in use. The environment says nothing else of the settings."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    path = tmp_path / "connector.yaml"
    monkeypatch.setenv(PATH_VARIABLE, str(path))
    return SettingsFile(path)


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[Valkey]:
    """Give a store that the test may stop."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    store = Valkey(folder)
    yield store
    store.stop()
