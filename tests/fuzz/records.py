"""What the product logs, as text: exceptions that it caught, and whatever must not stand there."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from tests.conftest import PAGE_A, PAGE_B, SECRET_A, SECRET_B, WEBHOOK_SECRET
from tests.fuzz.runs import Fault

CONFIDENTIAL = "GEHEIM"
"""Stands in the texts of the inputs, and nowhere else."""
_NEVER_LOGGED = (
    CONFIDENTIAL,
    SECRET_A,
    SECRET_B,
    WEBHOOK_SECRET,
    f"EAA{PAGE_A}",
    f"EAA{PAGE_B}",
    "desk-token",
)


class Records(logging.Handler):
    """The lines that were logged since the last look."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: list[tuple[str, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of a library, or of a logger of ours that is bound to the standard library's."""
        told = record.msg if isinstance(record.msg, dict) else {}
        unexpected = bool(record.exc_info or told.get("exc_info"))
        self._lines.append((logging.Formatter().format(record), unexpected))

    def __call__(self, logger: object, name: str, event: structlog.typing.EventDict) -> Any:
        """Take a line of ours."""
        self._lines.append((repr(event), "exception" in event))
        raise structlog.DropEvent

    def look(self) -> None:
        """Raise `Fault` if something was logged that must not be, or an exception that nobody expected."""
        lines, self._lines = self._lines, []
        for line, unexpected in lines:
            if any(secret in line for secret in _NEVER_LOGGED):
                raise Fault(f"the log tells a text or a secret: {line[:400]}")
            if unexpected:
                raise Fault(f"an exception was logged: {line[:300]} … {line[-300:]}")


@contextmanager
def recorded() -> Iterator[Records]:
    """Keep what is logged meanwhile."""
    records, root, known = Records(), logging.getLogger(), structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, records],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root.addHandler(records)
    try:
        yield records
    finally:
        root.removeHandler(records)
        structlog.configure(**known)
