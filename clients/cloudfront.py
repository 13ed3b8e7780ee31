"""Signed CloudFront URLs: an address of a private file that works for a while.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html
"""

import json
from base64 import b64encode
from pathlib import Path
from time import time

from clients.errors import FileRefused
from clients.media import proper_url

_URL_SAFE = bytes.maketrans(b"+=/", b"-_~")
"""CloudFront's own base64: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-linux-openssl.html"""


def signed_url(url: str, key_pair_id: str, private_key_file: str, expires_in: int) -> str:
    """Sign a URL for `expires_in` seconds with the RSA key in a PEM file. Raises `FileRefused`.

    What is signed is the address as it is asked for, encoded: CloudFront compares it letter by letter.
    """
    url = str(proper_url(url))
    expires = int(time()) + expires_in
    # CloudFront builds the same policy from the URL that it is asked for, in this order and without spaces.
    condition = {"DateLessThan": {"AWS:EpochTime": expires}}
    policy = json.dumps({"Statement": [{"Resource": url, "Condition": condition}]}, separators=(",", ":"))
    signature = b64encode(_sign(policy.encode(), private_key_file)).translate(_URL_SAFE).decode()
    # CloudFront takes SHA-1 where no hash is named.
    query = f"Expires={expires}&Signature={signature}&Key-Pair-Id={key_pair_id}&Hash-Algorithm=SHA256"
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _sign(text: bytes, private_key_file: str) -> bytes:
    # Imported here: only those who use CloudFront have it installed.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415

    try:
        key = serialization.load_pem_private_key(Path(private_key_file).read_bytes(), password=None)
    except (
        OSError,
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
    ):  # no file, no key, or a key behind a password
        raise FileRefused("bad_cloudfront_key") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise FileRefused("cloudfront_key_not_rsa")
    return key.sign(text, padding.PKCS1v15(), hashes.SHA256())
