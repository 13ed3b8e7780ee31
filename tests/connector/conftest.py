"""What tests of the settings need."""

import os
from pathlib import Path

import pytest

from connector.settings import PATH_VARIABLE, PREFIX
from tests.connector.settings_file import SettingsFile


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFile:
    """Give the settings file that is in use. The environment says nothing else of the settings."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    path = tmp_path / "connector.yaml"
    monkeypatch.setenv(PATH_VARIABLE, str(path))
    return SettingsFile(path)
