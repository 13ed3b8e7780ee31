"""Commands that are run inside the process of a test."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator

import click.testing
import pytest
import structlog

from connector.cli.main import main
from connector.settings import get_settings

THREAD = "in:facebook_messenger:107381679302250:7623554920995436"

Run = Callable[..., click.testing.Result]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Put back the logging that a command configures for its process."""
    root, hang_up = logging.getLogger(), signal.getsignal(signal.SIGHUP)
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    signal.signal(signal.SIGHUP, hang_up)
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)
    _forget_cached_loggers()


def _forget_cached_loggers() -> None:
    """Have loggers that were used meanwhile follow the configuration again."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {"connector", "tasks"} and hasattr(module, "log"):
            vars(module.log).pop("bind", None)


@pytest.fixture
def run() -> Run:
    """Give a function that runs a command."""

    def run(*arguments: str, input: str | None = None) -> click.testing.Result:  # noqa: A002 - click's own name
        get_settings.cache_clear()
        return click.testing.CliRunner().invoke(main, arguments, input=input)

    return run
