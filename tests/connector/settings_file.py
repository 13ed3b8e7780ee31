"""A settings file that is in use, for tests of what the settings say."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from connector.settings import Settings, SettingsError, load_settings
from tests.conftest import WEBHOOK_SECRET

MINIMUM: dict[str, Any] = {
    "helpdesk": {
        "base_url": "https://acme.example.com/api/v1",
        "api_token": "desk-token",
        "webhook_secret": WEBHOOK_SECRET,
    }
}


class SettingsFile:
    """A settings file; it is not there before something is written into it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: str) -> None:
        """Write the file as it is given."""
        self.path.write_text(text)

    def load(self, **changes: Any) -> Settings:
        """Write what is needed at least, with changes, and return what the settings say."""
        self.write(yaml.safe_dump(MINIMUM | changes))
        return load_settings()

    def faults(self, **changes: Any) -> list[str]:
        """Write what is needed at least, with changes, and return why it is refused."""
        self.write(yaml.safe_dump(MINIMUM | changes))
        return refusal()


def refusal() -> list[str]:
    """Return why the settings are refused: a line for each fault."""
    with pytest.raises(SettingsError) as refused:
        load_settings()
    return refused.value.faults


def assert_one_line(faults: list[str], key: str) -> None:
    """Check that there is one fault, in one line of modest length that names the key."""
    (fault,) = faults
    assert key in fault
    assert "\n" not in fault
    assert len(fault) < 300


def whsec(size: int) -> str:
    """Return a secret of Standard Webhooks of so many bytes."""
    return "whsec_" + base64.b64encode(bytes(size)).decode()
