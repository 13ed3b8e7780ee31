"""The three fuzzers, each with what it needs: settings, a store that holds nothing else, and the log."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from connector.settings import Settings
from tests.conftest import MakeSettings
from tests.fuzz.door import Door
from tests.fuzz.records import recorded
from tests.fuzz.runs import Fuzzer
from tests.fuzz.texts import Texts
from tests.fuzz.worker import Worker

Opened = Callable[[MakeSettings, str], AbstractContextManager[Fuzzer[Any]]]


def _settings(make: MakeSettings, store_url: str) -> Settings:
    """Return settings under which nothing waits for an echo, and no file is fetched from the internet.

    Wake-ups go elsewhere: they come when they like.
    """
    broker_url = store_url.removesuffix("/0") + "/1"
    graph = {"media_hosts": ["127.0.0.1"]}
    return make(redis_url=store_url, broker_url=broker_url, worker={"echo_wait": 0}, graph=graph)


@contextmanager
def _door(make: MakeSettings, store_url: str) -> Iterator[Door]:
    with recorded() as records, Door(_settings(make, store_url), records) as door:
        yield door


@contextmanager
def _worker(make: MakeSettings, store_url: str) -> Iterator[Worker]:
    with recorded() as records, Worker(_settings(make, store_url), records) as worker:
        yield worker


@contextmanager
def _texts(make: MakeSettings, store_url: str) -> Iterator[Texts]:
    yield Texts()


BY_NAME: Mapping[str, Opened] = {"door": _door, "worker": _worker, "texts": _texts}
