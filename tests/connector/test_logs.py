"""The log of a process, as its terminal shows it."""

import json
import subprocess
import sys

LINES = """
import logging
import structlog
from connector import logs
logs.configure("web")
log = structlog.get_logger("here")
log.info("relayed", queue="in:1:\\x1b[2J\\u202e\\x9b", name="Zażółć 😀", other="a\\nb")
logging.getLogger("elsewhere").warning("two\\nlines\\x1b]0;x\\x07")
"""

JSON_LINES = """
import logging
import structlog
from connector import logs
logs.configure("web", form="json")
structlog.get_logger("here").info("relayed", id=7)
try:
    secret = "hush"
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("here").exception("broken")
"""


AUDIT = """
import structlog
from connector import logs
logs.configure("web", "error")
structlog.get_logger("here").warning("slow")
logs.audit.info("dead_letter_opened", id=7)
"""


def test_what_people_opened_is_logged_at_every_level() -> None:
    ran = subprocess.run([sys.executable, "-c", AUDIT], capture_output=True, check=True, text=True)

    assert "dead_letter_opened" in ran.stderr
    assert "id=7" in ran.stderr
    assert "slow" not in ran.stderr


def test_no_line_does_anything_to_the_terminal() -> None:
    ran = subprocess.run([sys.executable, "-c", LINES], capture_output=True, check=True)
    told = ran.stderr.decode()

    assert all(char.isprintable() or char == "\n" for char in told)
    assert r"queue=in:1:\x1b[2J\u202e\x9b" in told
    assert "Zażółć 😀" in told
    assert r"a\nb" in told
    assert "two\nlines" in told


def test_a_program_reads_an_object_a_line() -> None:
    ran = subprocess.run([sys.executable, "-c", JSON_LINES], capture_output=True, check=True)
    told, failed = (json.loads(line) for line in ran.stderr.splitlines())

    assert (told["event"], told["part"], told["level"], told["id"]) == ("relayed", "web", "info", 7)
    assert failed["event"] == "broken"
    assert "ZeroDivisionError" in failed["exception"]
    assert "hush" not in ran.stderr.decode()
