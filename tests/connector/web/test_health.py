"""Whether the process is alive and ready."""

from contextlib import closing

from sandbox.stack import until
from tasks.store import connect
from tests.conftest import MakeSettings, Valkey
from tests.fakes.web import Doors, doors_at, serving


def test_the_process_says_that_it_is_alive_and_ready(doors: Doors) -> None:
    assert [doors.http.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_a_process_is_not_ready_while_its_store_takes_no_writes(
    own_store: Valkey, make_settings: MakeSettings
) -> None:
    with (
        serving(make_settings(redis_url=own_store.url)) as url,
        doors_at(url, own_store.url) as doors,
        closing(connect(own_store.url)) as store,
    ):
        store.replicaof("127.0.0.1", 1)
        assert "read-only replica" in doors.http.get("/readyz").text
        store.replicaof("NO", "ONE")
        store.config_set("maxmemory", 1)
        until("it is full", lambda: doors.http.get("/readyz").text == "the store is full\n")
        assert doors.http.get("/readyz").status_code == 503
        store.config_set("maxmemory", 0)
        until("it has room", lambda: doors.http.get("/readyz").status_code == 200)
