"""The checks as tests of a vendor's own."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from conformance.checks import CHECKS
from sandbox.stack import free_port
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN, Desk, social_media_desk

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    url = f"http://127.0.0.1:{free_port()}/social_media/webhooks/helpdesk"
    with social_media_desk(tmp_path_factory.mktemp("helpdesk"), url) as desk:
        yield desk


VENDORS = f"""
import pytest
from clients.helpdesks.rest import RestHelpdesk
from conformance.testing import HelpdeskConformance

class Own(RestHelpdesk):
    cannot = {{"coffee": "there is tea"}}

    def get_ticket(self, ticket_id):
        raise RuntimeError("not written yet")

class TestOwn(HelpdeskConformance):
    desk_id = "7"

    @pytest.fixture
    def helpdesk(self, http):
        return Own(http, base_url="URL/api/v1", api_token="{TOKEN}", webhook_secret="{SECRET}")
"""


def vendors_tests(folder: Path, source: str) -> str:
    """Run tests as a vendor does, and return what pytest prints."""
    (folder / "test_own.py").write_text(source)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "conformance.pytest_plugin",
            "-W",
            "error",
            "-rfs",
            "--color=no",
        ],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_vendor_gets_each_check_as_a_test(desk: Desk, tmp_path: Path) -> None:
    printed = vendors_tests(tmp_path, VENDORS.replace("URL", desk.url))
    assert f"collected {len(CHECKS)} items" in printed
    assert "FAILED test_own.py::TestOwn::test_conformance[a new ticket says whom it is about]" in printed
    assert "RuntimeError: not written yet" in printed
    assert "To fix it: This call has to work; see its error." in printed
    assert "nobody is there to reply as an agent" in printed
    assert "What the helpdesk cannot do, and what happens instead" in printed
    assert "\ncoffee: there is tea\n" in printed


WITHOUT_A_HELPDESK = """
from conformance.testing import HelpdeskConformance

class TestOwn(HelpdeskConformance):
    pass
"""

SOMEBODY_ELSES = """
import sys

def test_nothing():
    assert not {"clients", "httpx", "conformance.check"} & {*sys.modules}
"""


def test_a_class_without_a_helpdesk_says_so(tmp_path: Path) -> None:
    printed = vendors_tests(tmp_path, WITHOUT_A_HELPDESK)
    assert "NotImplementedError: the class needs a fixture `helpdesk`" in printed


def test_other_peoples_tests_are_left_alone(tmp_path: Path) -> None:
    printed = vendors_tests(tmp_path, SOMEBODY_ELSES)
    assert "1 passed" in printed
    assert "helpdesk" not in printed


def test_the_entry_point_leads_to_the_plugin() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert hasattr(import_module(declared["messenger_connector"]), "pytest_terminal_summary")
