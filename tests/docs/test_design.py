"""What docs/design.md and CONTRIBUTING.md say of the code is still in it."""

import re
from pathlib import Path

import pytest

from tasks.inbox.job import Step

ROOT = Path(__file__).parents[2]
CODE = ("clients", "connector", "tasks", "benchmarks", "tests")
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
LINES = [
    line.split("  #")[0].rstrip() for one in SNIPPETS if one.count("\n") < 3 for line in one.splitlines()
]


def _steps() -> set[str]:
    """Return the names of all steps, without what they are numbered by."""
    made = (vars(Step)[name] for name in vars(Step) if isinstance(vars(Step)[name], classmethod))
    steps = [one.__func__(Step, *["7"] * (one.__func__.__code__.co_argcount - 1)) for one in made]
    return {step.partition(":")[0] for step in steps}


def test_every_step_of_a_job_is_explained() -> None:
    _, _, rest = (ROOT / "docs" / "design.md").read_text().partition("## The steps of a job")
    table = rest.partition("\n## ")[0]
    explained = {name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in _named(cell)}

    assert explained == _steps()


def test_a_step_that_the_script_names_is_one() -> None:
    named = re.findall(r"'step:(\w+)'", (ROOT / "tasks" / "inbox" / "inbox.lua").read_text())

    assert named
    assert set(named) <= _steps()


def _named(cell: str) -> list[str]:
    return re.findall(r"^`(\w+)", cell)


PAGES = ("CONTRIBUTING.md", "docs/design.md", "docs/glossary.md", "docs/adapters.md")
FILE = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|lua|md|ya?ml|html|json|po|css))`|`((?:[\w.-]+/)+)`")
FILES = [(page, "".join(found)) for page in PAGES for found in FILE.findall((ROOT / page).read_text())]


def test_files_are_found_in_the_pages() -> None:
    assert {"CONTRIBUTING.md", "docs/design.md", "docs/glossary.md"} < {page for page, _ in FILES}


@pytest.mark.parametrize(("page", "file"), FILES)
def test_a_file_that_a_page_names_is_there(page: str, file: str) -> None:
    places = [ROOT / file, *(found for package in CODE for found in (ROOT / package).rglob(file))]

    assert any(one.exists() for one in places)


@pytest.mark.parametrize("line", LINES)
def test_a_line_to_copy_stands_in_the_code(line: str) -> None:
    modules = (file for package in CODE for file in (ROOT / package).rglob("*.py"))

    assert any(line.strip() in file.read_text() for file in modules if file != Path(__file__))
