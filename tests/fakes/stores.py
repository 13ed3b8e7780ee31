"""Stores that tests start themselves, and what is said of one at start."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from connector.settings import Settings
from tasks.services import store_check_of
from tasks.store import connect
from tasks.store_check import Unusable

Serve = Callable[..., str]


@contextmanager
def empty(url: str) -> Iterator[None]:
    """Empty a store, before and afterwards: the mark of one installation stops the start of another."""
    with connect(url) as store:
        store.flushall()
        yield
        store.flushall()


def refusal(settings: Settings) -> str:
    """Return why a store cannot be used."""
    with pytest.raises(Unusable) as unusable:
        store_check_of(settings)()
    return str(unusable.value)


def outage(settings: Settings) -> str:
    """Return why a store is said to be away."""
    with capture_logs() as logs:
        store_check_of(settings)()
    (line,) = logs
    assert line["event"] == "store_away"
    return f"{line['setting']}: {line['reason']}"
