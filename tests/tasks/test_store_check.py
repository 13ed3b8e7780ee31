"""What is tried of a store at start, and what is said of one that does not work."""

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
import redis
import trustme
from structlog.testing import capture_logs

from sandbox.stack import free_port
from tasks.celery import app
from tasks.inbox.job import Step
from tasks.inbox.lease import Lease
from tasks.services import store_check_of
from tasks.store import connect
from tasks.store_check import try_broker
from tests.conftest import MakeSettings
from tests.fakes.proxy import Proxy
from tests.fakes.stores import Serve, outage, refusal


def with_user(url: str, user: str) -> str:
    return url.replace("://", f"://{user}@")


def allow(url: str, *rules: str) -> str:
    """Add a user who may do only what the rules say, and return the address with that user."""
    with closing(connect(url)) as store:
        store.acl_setuser("limited", enabled=True, passwords=["+hush"], reset=True)
        store.execute_command("ACL SETUSER", "limited", *rules)  # type: ignore[no-untyped-call]
    return with_user(url, "limited:hush")


def test_a_store_that_works_is_left_as_it_was(store_url: str, make_settings: MakeSettings) -> None:
    with capture_logs() as logs:
        store_check_of(make_settings(redis_url=store_url))()

    assert logs == []
    with closing(connect(store_url)) as store:
        left = {key.decode() for key in cast("Iterator[bytes]", store.scan_iter())}
    assert left == {"mc:format", "mc:installation"}


def test_a_store_is_tried_until_it_answers_and_then_no_more(
    store_url: str, make_settings: MakeSettings
) -> None:
    check = store_check_of(make_settings(redis_url=store_url))
    check()
    with closing(connect(store_url)) as store:
        store.delete("mc:installation", "mc:format")
        check()

        assert store.keys() == []


def test_a_store_that_loses_what_it_just_stored_is_tried_again(
    store_url: str, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = store_check_of(make_settings(redis_url=store_url))
    renew = Lease.renew

    def renew_too_late(lease: Lease) -> None:
        with closing(connect(store_url)) as store:
            store.flushall()
        renew(lease)
        lease.save_step(Step.call(), "1")

    with monkeypatch.context() as failover, capture_logs() as logs:
        failover.setattr(Lease, "renew", renew_too_late)
        check()
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("store_away", "it lost what it had just stored")
    ]
    with capture_logs() as logs:
        check()
    assert [line["event"] for line in logs] == ["store_back"]


def test_a_user_who_may_use_our_keys_and_nothing_dangerous_is_enough(
    serve: Serve, make_settings: MakeSettings
) -> None:
    url = allow(serve(), "+@all", "-@dangerous", "~mc:*")
    store_check_of(make_settings(redis_url=url))()


def test_a_user_with_a_prefix_needs_no_key_without(serve: Serve, make_settings: MakeSettings) -> None:
    url = allow(serve(), "+@all", "~acme:*")
    store_check_of(make_settings(redis_url=url, key_prefix="acme:"))()


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
    # Else the port for the other nodes is 10,000 above, where there may be none, or another server.
    url = serve("--cluster-enabled", "yes", "--cluster-port", str(free_port()))

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
    make_settings(redis_url=encrypted)
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        try_broker(encrypted, "")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    try_broker(f"{encrypted}?ssl_ca_certs={tmp_path}/ca.pem", "")


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
