"""The log of a process, as its terminal shows it."""

import subprocess
import sys

LINES = """
import logging
from connector import logs
logs.configure("web")
logs.get("here").info("relayed", thread="in:1:\\x1b[2J\\u202e\\x9b", name="Zażółć 😀", other="a\\nb")
logging.getLogger("elsewhere").warning("two\\nlines\\x1b]0;x\\x07")
"""


def test_no_line_does_anything_to_the_terminal() -> None:
    ran = subprocess.run([sys.executable, "-c", LINES], capture_output=True, check=True)
    told = ran.stderr.decode()

    assert all(char.isprintable() or char == "\n" for char in told)
    assert r"thread=in:1:\x1b[2J\u202e\x9b" in told
    assert "Zażółć 😀" in told
    assert r"a\nb" in told
    assert "two\nlines" in told
