"""How a body is read: what is too large, too slow, or cannot be signed."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

from clients.channels.meta.signature import sign
from connector.web.body import MAX_BODY, BodyReader
from tests.conftest import SECRET_A
from tests.fakes.web import HELPDESK, MESSAGE, MESSENGER, Doors, mids


def test_a_body_of_four_mebibytes_is_taken(doors: Doors) -> None:
    assert doors.meta(MESSAGE + b" " * (MAX_BODY - len(MESSAGE))) == 200
    assert mids(doors.queue()) == ["m_1"]


SIGNED = (
    f"X-Hub-Signature-256: sha256={'0' * 64}\r\n"
    "webhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\n"
)
"""Headers that may be those of a signed request."""


@pytest.mark.parametrize("path", [MESSENGER, HELPDESK])
@pytest.mark.parametrize("header", ["", "X-Hub-Signature-256: sha1=00\r\n", "webhook-id: 1\r\n"])
def test_a_body_that_cannot_be_signed_is_refused_before_it_is_sent(
    doors: Doors, path: str, header: str
) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(doors.url).port or 0), timeout=10) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{header}\r\n".encode())
        answer = client.recv(1024)
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 401 "))
    assert b"connection: close" in answer.lower()


def test_a_body_counts_as_held_until_it_is_done_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.web.body.MAX_WAITING", 150_000)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b" " * 100_000}

    async def story() -> None:
        bodies = BodyReader()
        first = await bodies.read({}, receive)
        with pytest.raises(HTTPException) as refusal:
            await bodies.read({}, receive)
        assert refusal.value.status_code == 503
        bodies.release(first)
        await bodies.read({}, receive)

    asyncio.run(story())


def test_what_was_refused_is_held_no_more(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.web.body.MAX_WAITING", 150_000)
    body = MESSAGE + b" " * 100_000
    assert [doors.meta(body, "wrong") for _ in range(3)] == [403, 403, 403]
    assert [doors.helpdesk(body, signature="v1,wrong") for _ in range(3)] == [401, 401, 401]
    assert doors.meta(body) == 200


def test_a_larger_body_is_refused_before_it_is_sent(doors: Doors) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(doors.url).port or 0), timeout=10) as client:
        head = (
            f"POST {MESSENGER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_BODY + 1}\r\n{SIGNED}\r\n"
        )
        client.sendall(head.encode())
        assert client.recv(1024).startswith(b"HTTP/1.1 413 ")


def _chunked(body: bytes) -> Iterator[bytes]:
    """Give a body in pieces: its length is then not told in advance."""
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


def test_a_larger_body_of_unknown_length_is_refused(doors: Doors) -> None:
    body = MESSAGE + b" " * (MAX_BODY - len(MESSAGE) + 1)
    signed = {"X-Hub-Signature-256": sign(body, SECRET_A)}
    assert doors.http.post(MESSENGER, content=_chunked(body), headers=signed).status_code == 413
    assert doors.stored() == set()


def test_a_body_of_unknown_length_is_taken(doors: Doors) -> None:
    signed = {"X-Hub-Signature-256": sign(MESSAGE, SECRET_A)}
    assert doors.http.post(MESSENGER, content=_chunked(MESSAGE), headers=signed).status_code == 200


def test_a_client_that_hangs_up_leaves_the_door_open(doors: Doors) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(doors.url).port or 0)) as client:
        client.sendall(
            f"POST {MESSENGER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{".encode()
        )
    assert doors.meta(MESSAGE) == 200


@pytest.mark.parametrize(("path", "endpoint"), [(MESSENGER, "facebook_messenger"), (HELPDESK, "helpdesk")])
def test_a_body_that_takes_too_long_is_given_up_and_counted(
    own_doors: Doors, monkeypatch: pytest.MonkeyPatch, path: str, endpoint: str
) -> None:
    monkeypatch.setattr("connector.web.body.BODY_WITHIN", 0.05)
    with socket.create_connection(("127.0.0.1", httpx.URL(own_doors.url).port or 0), timeout=10) as client:
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n{SIGNED}\r\n{{".encode()
        )
        assert client.recv(1024).startswith(b"HTTP/1.1 408 ")
    assert own_doors.refused(endpoint, "slow") == 1
