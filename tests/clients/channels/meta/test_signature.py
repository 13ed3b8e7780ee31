"""Meta's signature: the raw bytes, SHA-256, and nothing else."""

import json

import pytest

from clients.channels.meta.signature import is_signed, sign

# The vector of the fact sheet: Meta signs its own escaped form of the JSON.
SECRET = "0123456789abcdef0123456789abcdef"
BODY = (
    rb'{"object":"page","entry":[{"time":1795383000123,"id":"102208592487070","messaging":[{"sender":'
    rb'{"id":"7623554920995436"},"recipient":{"id":"102208592487070"},"timestamp":1795382999900,"message":'
    rb'{"mid":"m_TEST","text":"\u00e4\u00f6\u00e5 \u003Cb> 50\u0025 a\u0040b\/c \ud83d\ude00"}}]}]}'
)
DIGEST = "cf9d8bfc8b7dd33e74df7ed5eb55731e699a78137b3cfb75a4367568885ca712"
HEADER = f"sha256={DIGEST}".encode()
SHA1 = "sha1=be78dd2262f797de78b54c2e3142699ea8a84022"


def test_a_body_that_meta_signed_passes() -> None:
    assert is_signed(BODY, HEADER, SECRET)


def test_signing_gives_metas_header() -> None:
    assert sign(BODY, SECRET) == f"sha256={DIGEST}"


def test_the_same_json_written_otherwise_is_refused() -> None:
    again = json.dumps(json.loads(BODY), ensure_ascii=False, separators=(",", ":")).encode()
    assert not is_signed(again, HEADER, SECRET)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha256=",
        DIGEST,
        f"sha256={DIGEST[:-1]}0",
        f"sha256={DIGEST[:-1]}",
        f"sha256={DIGEST}0",
        f"sha256={DIGEST.upper()}",
        f"SHA256={DIGEST}",
        SHA1,
        f"sha1={DIGEST}",
        f"sha256=ä{DIGEST[1:]}",
        "sha256=\U0001f600",
    ],
)
def test_any_other_header_is_refused(header: str) -> None:
    assert not is_signed(BODY, header.encode(), SECRET)


def test_a_changed_body_is_refused() -> None:
    assert not is_signed(BODY.replace(b"m_TEST", b"m_TESU"), HEADER, SECRET)


def test_another_secret_is_refused() -> None:
    assert not is_signed(BODY, sign(BODY, SECRET[::-1]).encode(), SECRET)


def test_without_a_secret_nothing_passes() -> None:
    assert not is_signed(BODY, sign(BODY, "").encode(), "")
