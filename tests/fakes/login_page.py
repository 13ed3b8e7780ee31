"""A connector with the login, beside the sandbox Meta, and people who log in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from connector.cipher import new_key
from sandbox.stack import free_port
from tests.conftest import MakeSettings
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.login import APP, APP_SECRET, Person
from tests.fakes.web import serving

KEY = new_key()


def settings_of(make: MakeSettings, store_url: str, meta: httpx.Client, port: int, **changes: Any) -> Any:
    graph = {"base_url": str(meta.base_url).rstrip("/"), "app_id": APP, "app_secret": APP_SECRET}
    known = {"secret_key": KEY, "admin_token": ADMIN_TOKEN, "graph": graph}
    return make(redis_url=store_url, public_url=f"http://127.0.0.1:{port}", **known | changes)


@contextmanager
def connector(make: MakeSettings, store_url: str, meta: httpx.Client, **changes: Any) -> Iterator[str]:
    port = free_port()
    with serving(settings_of(make, store_url, meta, port, **changes), port) as url:
        yield url


@contextmanager
def person_with(url: str, meta: httpx.Client, pages: int = 1) -> Iterator[Person]:
    meta.delete("/sandbox/faults")
    meta.put("/sandbox/behaviour", json={"code_lifetime": 600})
    person = Person(url, meta, pages)
    try:
        yield person
    finally:
        person.close()
