"""`make demo` with a helpdesk of a vendor's own: the example of docs/build-the-helpdesks-side.md."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sandbox.demo import FOLDER
from sandbox.samples import photo
from sandbox.stack import free_port
from tests.fakes.vendor import PAGE, SECRET, TOKEN, Example, example

Agent = Callable[[str], None]


class Demo:
    """A run of the demo beside an example, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.door = f"http://127.0.0.1:{self.port}/social_media/webhooks/helpdesk"

    def run(self, desk: Example, agent: Agent, *options: str, **secrets: str) -> tuple[int, str]:
        """Play it, with an agent who is told each line that says what to do; return exit code and output."""
        command = [sys.executable, "-m", "sandbox.vendor", f"{desk.url}/api/v1", "--once"]
        environment = {**os.environ, "TOKEN": TOKEN, "SECRET": SECRET, **secrets}
        with subprocess.Popen(
            [*command, "--port", str(self.port), *options],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "▶" in line:
                    agent(line)
        return process.returncode, "".join(lines)


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


@pytest.fixture
def desk(demo: Demo, tmp_path: Path) -> Iterator[Example]:
    with example(tmp_path, demo.door) as desk:
        yield desk


def diligent(desk: Example) -> Agent:
    """Return an agent who does what the demo asks for."""

    def act(line: str) -> None:
        found = re.search(r"ticket (\d+)", line)
        assert found
        if "internal comment" in line:
            desk.act(found[1], text="The carrier lost it.", internal="on")
        elif "answer" in line:
            picture = photo("label.png")
            file = (picture.filename, picture.data, picture.content_type)
            desk.act(found[1], [file], text="We send it **again**, 🙂")
        else:
            desk.act(found[1], do="close")

    return act


def idle(line: str) -> None:
    """Do nothing."""


def test_the_story_holds_with_a_helpdesk_of_ones_own(demo: Demo, desk: Example) -> None:
    code, said = demo.run(desk, diligent(desk))

    assert code == 0, said
    assert "✘" not in said
    assert demo.door in said
    assert "It works" in said
    promised = re.findall(r"^\| \d \|.*“(.+)” \|$", PAGE.read_text(), re.MULTILINE)
    assert len(promised) == 5
    assert [one for one in promised if one not in said] == []


def test_who_takes_part_writes_here_and_answers_in_the_helpdesk(demo: Demo, desk: Example) -> None:
    said: list[str] = []

    def take_part(line: str) -> None:
        if "close" in line:
            for words in (["write", "Hurry up!"], ["show"], ["reply", "Yes."]):
                command = [sys.executable, "-m", "sandbox", *words]
                run = subprocess.run(
                    command, cwd=demo.folder, capture_output=True, text=True, timeout=30, check=False
                )
                said.append(run.stdout + run.stderr)
        diligent(desk)(line)

    demo.run(desk, take_part)

    written, shown, replied = said
    assert "Anna wrote." in written
    assert "person  Hurry up!" in shown
    assert "page  We send it again" in shown
    assert "your own: do it there" in replied


def test_the_secrets_stand_in_no_file_no_output_and_on_no_command_line(demo: Demo, desk: Example) -> None:
    seen: list[str] = []

    def look(line: str) -> None:
        seen.extend(" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True))
        diligent(desk)(line)

    code, said = demo.run(desk, look)

    files = [file for file in (demo.folder / FOLDER).rglob("*") if file.is_file()]
    assert code == 0, said
    assert any("sandbox.vendor" in command for command in seen)
    for secret in (TOKEN, SECRET):
        assert secret not in said
        assert not [command for command in seen if secret in command]
        assert not [file for file in files if secret.encode() in file.read_bytes()]


def test_an_agent_who_does_nothing_is_waited_for_only_so_long(demo: Demo, desk: Example) -> None:
    code, said = demo.run(desk, idle, "--patience", "3")

    assert code == 1
    assert "an agent's internal comment stands on the ticket (waited 3 s)" in said
    assert "comments that are not the connector's: none" in said
    assert "Nobody did it in time" in said


def test_a_call_that_fails_is_named_with_its_answer_and_its_place(demo: Demo, desk: Example) -> None:
    code, said = demo.run(desk, diligent(desk), "--desk", "99")

    assert code == 1
    assert "POST /tickets: 422" in said
    assert '"field":"ticket.desk_id"' in said
    assert re.search(r"docs/helpdesk-api.yaml:\d+, createTicket", said)


def test_webhooks_with_a_wrong_signature_are_told_as_such(demo: Demo, desk: Example) -> None:
    code, said = demo.run(desk, diligent(desk), SECRET="whsec_" + "A" * 32)

    assert code == 1
    assert "it reaches Anna in Messenger" in said
    assert "refused: its signature is wrong" in said


def test_a_wrong_token_is_told_at_once(demo: Demo, desk: Example) -> None:
    code, said = demo.run(desk, idle, TOKEN="another")

    assert code == 1
    assert "GET /tickets?external_id=ping: 401" in said


def test_without_a_token_it_says_how_to_give_one(demo: Demo, desk: Example) -> None:
    code, said = demo.run(desk, idle, TOKEN="")

    assert code == 1
    assert "export TOKEN=" in said


def test_a_port_that_is_in_use_is_told(demo: Demo, desk: Example) -> None:
    demo.port = int(desk.url.rpartition(":")[2])
    code, said = demo.run(desk, idle)

    assert code == 1
    assert "is in use" in said
