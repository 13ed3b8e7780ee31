"""A signed CloudFront URL: the policy that CloudFront itself would build, signed with the key pair."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from clients.cloudfront import signed_url
from clients.errors import FileRefused

URL = "https://d111111abcdef8.cloudfront.net/att/a%20b.pdf"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PASSWORD = serialization.BestAvailableEncryption(b"secret")


def _pem(folder: Path, key: PrivateKeyTypes, *, locked: bool = False) -> str:
    file = folder / "key.pem"
    encryption = PASSWORD if locked else serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(pem, pkcs8, encryption))
    return str(file)


def _query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def _check(url: str, resource: str) -> None:
    """Check a signed URL as CloudFront does: against the canned policy, written without white space."""
    query = _query(url)
    policy = (
        f'{{"Statement":[{{"Resource":"{resource}",'
        f'"Condition":{{"DateLessThan":{{"AWS:EpochTime":{query["Expires"]}}}}}}}]}}'
    )
    signature = base64.b64decode(query["Signature"].translate(str.maketrans("-_~", "+=/")))
    KEY.public_key().verify(signature, policy.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_the_signature_holds_for_the_canned_policy(tmp_path: Path) -> None:
    _check(signed_url(URL, "K2JCJMDEHXQW5F", _pem(tmp_path, KEY), 600), URL)


def test_the_signature_does_not_hold_for_another_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidSignature):
        _check(signed_url(URL, "K2JCJMDEHXQW5F", _pem(tmp_path, KEY), 600), URL + "x")


def test_the_url_keeps_its_own_query(tmp_path: Path) -> None:
    resource = f"{URL}?v=2"
    url = signed_url(resource, "K2JCJMDEHXQW5F", _pem(tmp_path, KEY), 600)
    assert url.startswith(f"{resource}&")
    _check(url, resource)


def test_the_url_names_the_key_pair_and_the_hash(tmp_path: Path) -> None:
    query = _query(signed_url(URL, "K2JCJMDEHXQW5F", _pem(tmp_path, KEY), 600))
    assert (query["Key-Pair-Id"], query["Hash-Algorithm"]) == ("K2JCJMDEHXQW5F", "SHA256")


def test_the_url_expires_when_it_should(tmp_path: Path) -> None:
    before = datetime.now(UTC).timestamp()
    expires = int(_query(signed_url(URL, "K", _pem(tmp_path, KEY), 600))["Expires"])
    assert int(before) + 600 <= expires <= datetime.now(UTC).timestamp() + 600


def test_a_key_file_that_is_missing_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="bad_cloudfront_key"):
        signed_url(URL, "K", str(tmp_path / "none.pem"), 600)


def test_a_key_file_that_is_no_key_refuses_the_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("no key")
    with pytest.raises(FileRefused, match="bad_cloudfront_key"):
        signed_url(URL, "K", str(file), 600)


def test_a_key_behind_a_password_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileRefused):
        signed_url(URL, "K", _pem(tmp_path, KEY, locked=True), 600)


def test_a_key_that_is_not_rsa_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="cloudfront_key_not_rsa"):
        signed_url(URL, "K", _pem(tmp_path, ec.generate_private_key(ec.SECP256R1())), 600)


@pytest.mark.parametrize(
    ("url", "resource"),
    [
        ("umowa nr 7.pdf", "umowa%20nr%207.pdf"),
        ("zażółć.pdf", "za%C5%BC%C3%B3%C5%82%C4%87.pdf"),
        ("100% pewne.pdf", "100%25%20pewne.pdf"),
        (
            "x.pdf?response-content-disposition=attachment; filename=umowa 7.pdf",
            "x.pdf?response-content-disposition=attachment;%20filename=umowa%207.pdf",
        ),
        ("a%20b%25.pdf", "a%20b%25.pdf"),
    ],
)
def test_what_is_signed_is_the_address_that_is_asked_for(tmp_path: Path, url: str, resource: str) -> None:
    folder = "https://d111111abcdef8.cloudfront.net/att/"
    signed = signed_url(folder + url, "K2JCJMDEHXQW5F", _pem(tmp_path, KEY), 600)
    assert signed.startswith(folder + resource)
    _check(signed, folder + resource)
