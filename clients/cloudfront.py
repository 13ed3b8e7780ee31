"""Signed CloudFront URLs: an address of a private file that works for a while.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from clients.errors import FileRefused
from clients.media import proper_url


def signed_url(url: str, key_pair_id: str, private_key_file: str, expires_in: int) -> str:
    """Sign a URL for `expires_in` seconds with the RSA key in a PEM file. Raises `FileRefused`.

    What is signed is the address as it is asked for, encoded: CloudFront compares it letter by letter.
    """
    url = str(proper_url(url))
    # Imported here because they are slow to load, and few installations use CloudFront.
    from botocore.signers import CloudFrontSigner  # type: ignore[import-untyped]  # noqa: PLC0415
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
    signer = CloudFrontSigner(key_pair_id, lambda text: key.sign(text, padding.PKCS1v15(), hashes.SHA256()))
    expires = datetime.now(UTC) + timedelta(seconds=expires_in)
    # botocore does not name the hash, and CloudFront takes SHA-1 where none is named.
    return str(signer.generate_presigned_url(url, date_less_than=expires)) + "&Hash-Algorithm=SHA256"
