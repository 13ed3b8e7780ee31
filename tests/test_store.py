"""The store: what is said of one that does not work, what is tried of it, and whose it is."""

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import redis
import trustme
from structlog.testing import capture_logs

from connector.embedded import binary
from connector.line import Line
from connector.settings import Settings
from sandbox.stack import Process, free_port, until
from tasks.celery import app
from tasks.inbox import Inbox
from tasks.installation import MARKED_FOR, Installation
from tasks.store import Outage, connect
from tasks.store_check import StoreCheck, Unusable, try_broker
from tests.conftest import MakeSettings
from tests.fakes.proxy import Proxy

Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Give a function that starts a store with options, and returns its address."""
    servers: list[Process] = []

    def start(*options: str, scheme: str = "redis", ready: bool = True) -> str:
        port = free_port()
        command = [binary(), "--port", str(port), "--dir", str(tmp_path), "--save", "", *options]
        servers.append(Process(command, tmp_path / "valkey.log", {}))
        url = f"{scheme}://127.0.0.1:{port}/0"
        if ready:
            until("it answers", lambda: _answers(url))
        return url

    yield start
    for server in servers:
        server.stop()


def _answers(url: str) -> bool:
    with closing(connect(url, patient=False)) as store:
        try:
            return bool(store.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False


def with_user(url: str, user: str) -> str:
    return url.replace("://", f"://{user}@")


def allow(url: str, *rules: str) -> str:
    """Add a user who may do only what the rules say, and return the address with that user."""
    with closing(connect(url)) as store:
        store.acl_setuser("limited", enabled=True, passwords=["+hush"], reset=True)
        store.execute_command("ACL SETUSER", "limited", *rules)  # type: ignore[no-untyped-call]
    return with_user(url, "limited:hush")


# --- What is tried at start. ------------------------------------------------------------------------------


def refusal(settings: Settings) -> str:
    """Return why a store cannot be used."""
    with pytest.raises(Unusable) as unusable:
        StoreCheck(settings)()
    return str(unusable.value)


def outage(settings: Settings) -> str:
    """Return why a store is said to be away."""
    with capture_logs() as logs:
        StoreCheck(settings)()
    (line,) = logs
    assert line["event"] == "store_away"
    return f"{line['setting']}: {line['reason']}"


def test_a_store_that_works_is_left_as_it_was(store_url: str, make_settings: MakeSettings) -> None:
    with capture_logs() as logs:
        StoreCheck(make_settings(redis_url=store_url))()

    assert logs == []
    with closing(connect(store_url)) as store:
        left = {key.decode() for key in cast("Iterator[bytes]", store.scan_iter())}
    assert left == {"mc:installation"}


def test_a_store_is_tried_until_it_answers_and_then_no_more(
    store_url: str, make_settings: MakeSettings
) -> None:
    check = StoreCheck(make_settings(redis_url=store_url))
    check()
    with closing(connect(store_url)) as store:
        store.delete("mc:installation")
        check()

        assert store.keys() == []


def test_a_user_who_may_use_our_keys_and_nothing_dangerous_is_enough(
    serve: Serve, make_settings: MakeSettings
) -> None:
    url = allow(serve(), "+@all", "-@dangerous", "~mc:*")
    StoreCheck(make_settings(redis_url=url))()


def test_a_user_with_a_prefix_needs_no_key_without(serve: Serve, make_settings: MakeSettings) -> None:
    url = allow(serve(), "+@all", "~acme:*")
    StoreCheck(make_settings(redis_url=url, key_prefix="acme:"))()


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (["+@all", "~mc:*", "-evalsha"], "'evalsha'"),
        (["+@all", "~mc:*", "-zadd"], "'zadd'"),
        (["+@all", "~mc:*", "-brpop"], "'brpop'"),
        (["+@all", "~other:*"], "access a key"),
    ],
)
def test_a_user_who_may_not_do_what_is_needed_is_refused(
    serve: Serve, make_settings: MakeSettings, rules: list[str], reason: str
) -> None:
    said = refusal(make_settings(redis_url=allow(serve(), *rules)))

    assert said.startswith("redis_url: the store cannot be used: ")
    assert reason in said.lower()
    assert "hush" not in said


def test_a_broker_of_its_own_is_tried_and_named(
    store_url: str, serve: Serve, make_settings: MakeSettings
) -> None:
    broker = allow(serve(), "+@all", "~mc:*", "-lpush")

    assert refusal(make_settings(redis_url=store_url, broker_url=broker)).startswith("broker_url: ")


def test_a_password_that_is_wrong_is_named(serve: Serve, make_settings: MakeSettings) -> None:
    url = with_user(serve("--requirepass", "hush"), ":wrong")

    said = refusal(make_settings(redis_url=url))
    assert said.startswith("redis_url: the store cannot be used: it does not accept the password")
    assert "hush" not in said
    assert ":wrong" not in said


def test_a_database_that_is_not_there_is_named(serve: Serve, make_settings: MakeSettings) -> None:
    url = serve().replace("/0", "/99")

    assert refusal(make_settings(redis_url=url)).endswith("DB index is out of range")


def test_a_node_of_a_cluster_is_refused(serve: Serve, make_settings: MakeSettings) -> None:
    url = serve("--cluster-enabled", "yes")

    assert "not clustered" in refusal(make_settings(redis_url=url))


def test_a_store_that_is_a_replica_now_may_be_the_primary_soon(
    serve: Serve, make_settings: MakeSettings
) -> None:
    url = serve("--replicaof", "127.0.0.1 1")

    assert outage(make_settings(redis_url=url)) == "redis_url: it is a read-only replica; name the primary"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "redis://127.0.0.1:1/0",
            "it cannot be reached: Error 111 connecting to 127.0.0.1:1. Connection refused",
        ),
        ("redis://nobody.invalid:6379/0", "it cannot be reached: Error -"),
    ],
)
def test_a_store_that_is_away_is_waited_for(url: str, reason: str, make_settings: MakeSettings) -> None:
    assert outage(make_settings(redis_url=url)).startswith(f"redis_url: {reason}")


def test_a_database_in_the_query_is_that_of_the_broker_too(
    store_url: str, make_settings: MakeSettings
) -> None:
    url = store_url.replace("/0", "?db=3")
    make_settings(redis_url=url)
    with closing(connect(url)) as store, app.connection_for_write(url) as broker:
        app.send_task("relay", connection=broker)
        assert store.llen("mc:celery:wake-ups") == 1
        store.flushdb()


@pytest.fixture
def authority() -> trustme.CA:
    """Give an authority that nobody trusts who is not told to."""
    return trustme.CA()


@pytest.fixture
def encrypted(store_url: str, authority: trustme.CA) -> Iterator[str]:
    """Give the address of a store that talks TLS."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with Proxy(store_url, tls) as proxy:
        yield proxy.url


def test_a_certificate_that_nobody_signed_who_is_trusted_is_refused(
    encrypted: str, make_settings: MakeSettings
) -> None:
    said = refusal(make_settings(redis_url=encrypted))

    assert said.startswith("redis_url: the store cannot be used: its certificate is not trusted")
    assert "?ssl_ca_certs=" in said


def test_celery_verifies_a_certificate_as_the_inbox_does(
    encrypted: str, authority: trustme.CA, make_settings: MakeSettings, tmp_path: Path
) -> None:
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        try_broker(make_settings(redis_url=encrypted))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    try_broker(make_settings(redis_url=f"{encrypted}?ssl_ca_certs={tmp_path}/ca.pem"))


# --- A store that moves. ----------------------------------------------------------------------------------


@pytest.fixture
def moving(serve: Serve) -> Iterator[tuple[str, Callable[[], None]]]:
    """Give an address, and a function that makes the store there a replica, and leads to another."""
    old, new = serve("--replica-serve-stale-data", "no"), serve()
    with Proxy(old) as proxy, closing(connect(old)) as primary:

        def move() -> None:
            primary.replicaof("127.0.0.1", 1)
            proxy.lead(new)

        yield proxy.url, move


@pytest.mark.parametrize(
    "call",
    [lambda store: store.set("a", "b"), lambda store: store.exists("a") == 0],
    ids=["READONLY", "MASTERDOWN"],
)
def test_a_patient_connection_goes_where_the_address_leads(
    moving: tuple[str, Callable[[], None]], call: Callable[[redis.Redis], bool]
) -> None:
    url, move = moving
    with closing(connect(url)) as store:
        store.ping()
        move()

        assert call(store)


def test_a_connection_without_patience_fails_once(moving: tuple[str, Callable[[], None]]) -> None:
    url, move = moving
    with closing(connect(url, patient=False)) as store:
        store.ping()
        move()
        with pytest.raises(redis.ReadOnlyError):
            store.set("a", "b")

        assert store.set("a", "b")


@pytest.mark.parametrize("command", [("SET", "a", "b"), ("EXISTS", "a")], ids=["READONLY", "MASTERDOWN"])
def test_a_line_of_the_doors_fails_once(
    moving: tuple[str, Callable[[], None]], command: tuple[str, ...]
) -> None:
    url, move = moving

    async def talk() -> object:
        line = Line(url)
        await line.call("PING")
        move()
        with pytest.raises(redis.ResponseError):
            await line.call(*command)
        answer = await line.call(*command)
        await line.close()
        return answer

    assert asyncio.run(talk()) in {b"OK", 0}


# --- Whose store it is. -----------------------------------------------------------------------------------


def test_an_installation_that_finds_anothers_mark_does_not_start(
    store_url: str, make_settings: MakeSettings
) -> None:
    StoreCheck(make_settings(redis_url=store_url, public_url="https://one.example.com"))()

    said = refusal(make_settings(redis_url=store_url, public_url="https://two.example.com"))
    assert "another installation uses this database (https://one.example.com with the helpdesk" in said
    assert "key_prefix" in said


@pytest.mark.parametrize(
    "changes", [{"public_url": "https://one.example.com"}, {"key_prefix": "two:"}], ids=["same", "prefix"]
)
def test_processes_of_one_installation_and_others_with_a_prefix_share_a_database(
    store_url: str, make_settings: MakeSettings, changes: dict[str, str]
) -> None:
    StoreCheck(make_settings(redis_url=store_url, public_url="https://one.example.com"))()
    StoreCheck(make_settings(redis_url=store_url, **{"public_url": "https://two.example.com"} | changes))()


@pytest.fixture
def installations(store_url: str, make_settings: MakeSettings) -> Iterator[tuple[Installation, Installation]]:
    with closing(connect(store_url)) as store:
        inbox = Inbox(store)
        names = ("https://one.example.com", "https://two.example.com")
        one, two = (
            Installation(make_settings(public_url=name, redis_url=store_url), inbox) for name in names
        )
        yield one, two


def test_an_embedded_store_stays_that_of_a_run_under_another_name(
    store_url: str, make_settings: MakeSettings
) -> None:
    with closing(connect(store_url)) as store:
        for name in ("https://one.example.com", "https://two.example.com"):
            assert Installation(make_settings(public_url=name), Inbox(store)).other() is None


def test_the_mark_of_an_installation_that_ended_goes(
    installations: tuple[Installation, Installation], store_url: str
) -> None:
    one, two = installations
    assert one.other() is None
    with closing(connect(store_url)) as store:
        left: Any = store.pttl("mc:installation")
        assert MARKED_FOR - 5 < left / 1000 <= MARKED_FOR
        store.delete("mc:installation")

    assert two.other() is None


def test_an_installation_that_runs_keeps_its_mark(
    installations: tuple[Installation, Installation], store_url: str
) -> None:
    one, _ = installations
    one.other()
    with closing(connect(store_url)) as store:
        store.pexpire("mc:installation", 1000)
        one.keep()
        left: Any = store.pttl("mc:installation")

    assert left > 1000


def test_two_installations_that_run_are_told_once_a_minute(
    installations: tuple[Installation, Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = installations
    one.keep()
    with capture_logs() as logs:
        for second in range(0, 130, 10):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            two.keep()

    assert [line["event"] for line in logs] == ["store_shared"] * 3
    assert "https://one.example.com" in logs[0]["reason"]


# --- What the log tells. ----------------------------------------------------------------------------------


def test_a_store_that_is_away_is_told_once_a_minute_and_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outage = Outage("redis_url")
    with capture_logs() as logs:
        for second in range(100):
            monkeypatch.setattr(time, "monotonic", lambda second=second: 1e6 + second)
            outage.note(redis.TimeoutError())
        outage.note(None)
        outage.note(None)

    told = [(line["event"], line["setting"]) for line in logs]
    assert told == [("store_away", "redis_url")] * 2 + [("store_back", "redis_url")]


def test_a_store_that_comes_and_goes_is_not_told_each_time() -> None:
    outage = Outage("redis_url")
    with capture_logs() as logs:
        for _ in range(10):
            outage.note(redis.ReadOnlyError())
            outage.note(None)

    assert [line["event"] for line in logs] == ["store_away", "store_back"]


# --- Processes that are started without us. ---------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "celery", "-A", "tasks", "worker"],
        ["-m", "celery", "-A", "tasks", "beat"],
        ["-m", "uvicorn", "connector.app:app", "--port", "0"],
        ["-m", "connector", "up"],
        ["-m", "connector", "web"],
        ["-m", "connector", "worker"],
        ["-m", "connector", "beat"],
    ],
    ids=" ".join,
)
def test_what_cannot_use_its_store_ends_with_one_line(
    serve: Serve, make_settings: MakeSettings, command: list[str]
) -> None:
    make_settings(redis_url=with_user(serve("--requirepass", "hush"), ":wrong"), port=free_port())
    run = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)

    assert run.returncode == 1
    said = [line for line in run.stderr.splitlines() if "redis_url" in line]
    assert len(said) == 1, run.stderr
    assert said[0].startswith("redis_url: the store cannot be used: it does not accept the password")
    assert "Traceback" not in run.stderr
