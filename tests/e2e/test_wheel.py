"""The product as people install it: its wheel, in an environment that has nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
import yaml

from sandbox.stack import free_port, until
from tests.conftest import WEBHOOK_SECRET

SOURCE = Path(__file__).parents[2]
NOT_PACKED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "benchmarks", "build", "docs", "tests", "var"
)
PACKAGES = {"clients", "conformance", "connector", "tasks"}
ONLY_FOR_EXTRAS = [
    "botocore",
    "lxml",
    "pytest",
    "python_multipart",
    "watchfiles",
    "websockets",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, beside a fresh environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(SOURCE, source, ignore=NOT_PACKED)  # a build leaves its traces where it takes place
    _do(folder, sys.executable, "-m", "venv", "venv")
    python = str(folder / "venv" / "bin" / "python")
    _do(folder, python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", str(source))
    (wheel,) = (folder / "dist").iterdir()
    shutil.rmtree(source)
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path) -> Path:
    """Install the wheel into the environment, and give the folder of its programs."""
    programs = wheel.parents[1] / "venv" / "bin"
    _do(wheel.parent, str(programs / "python"), "-m", "pip", "install", "--quiet", str(wheel))
    return programs


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Write the shortest settings that start, with a store of their own."""
    file = tmp_path / "settings.yaml"
    helpdesk = {"base_url": "http://127.0.0.1:9", "api_token": "t", "webhook_secret": WEBHOOK_SECRET}
    file.write_text(yaml.safe_dump({"port": free_port(), "helpdesk": helpdesk}))
    return file


def _do(folder: Path, *command: str) -> str:
    """Run a command in a folder and return what it said; in the repository its packages would come first."""
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def _connector(programs: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(programs / "connector"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_wheel_holds_the_product_whole_without_its_sandbox(wheel: Path) -> None:
    with ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
    product = (path for package in PACKAGES for path in (SOURCE / package).rglob("*") if path.is_file())
    wanted = {path.relative_to(SOURCE).as_posix() for path in product if path.suffix != ".pyc"}

    assert {name for name in names if not name.endswith(".mo")} == {
        name for name in wanted if not name.endswith(".mo")
    }
    assert {name for name in names if name.endswith(".mo")} >= {
        f"{name.removesuffix('.po')}.mo" for name in wanted if name.endswith(".po")
    }


@pytest.mark.parametrize("arguments", [["--help"], ["conformance", "--help"]])
def test_the_installed_command_says_what_it_does(
    programs: Path, tmp_path: Path, arguments: list[str]
) -> None:
    said = _connector(programs, tmp_path, *arguments)

    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("Usage: connector")


def test_the_installed_product_speaks_polish(programs: Path, tmp_path: Path) -> None:
    code = "from clients.notices import notice, say; print(say(notice('empty_message'), 'pl'))"
    code = f"import clients.text, tasks.words\n{code}"
    said = _do(tmp_path, str(programs / "python"), "-c", code)

    assert "wiadomość" in said.lower()


def test_the_installed_product_runs_and_stops(programs: Path, tmp_path: Path, settings_file: Path) -> None:
    address = f"http://127.0.0.1:{yaml.safe_load(settings_file.read_text())['port']}"
    log = tmp_path / "connector.log"
    with log.open("w") as output:
        running = subprocess.Popen([programs / "connector", "up"], cwd=tmp_path, stderr=output)

    def ready() -> bool:
        assert running.poll() is None, log.read_text()
        return httpx.get(f"{address}/readyz").status_code == 200

    try:
        until("the product is ready", ready, 60)
        listed = _connector(programs, tmp_path, "dead", "list")
    finally:
        running.terminate()
        code = running.wait(60)

    assert (listed.returncode, listed.stderr) == (0, "")
    assert code == 0, log.read_text()


def test_the_product_brings_nothing_that_only_its_extras_need(programs: Path, tmp_path: Path) -> None:
    find = f"from importlib.util import find_spec; print([*filter(find_spec, {ONLY_FOR_EXTRAS})])"
    command = [str(programs / "python"), "-c", find]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)

    assert found.stdout == "[]\n"
