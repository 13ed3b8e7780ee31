"""Stores that tests start themselves, and what is said of one at start."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from connector.settings import Settings
from tasks.services import store_check_of
from tasks.store_check import Unusable

Serve = Callable[..., str]


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
