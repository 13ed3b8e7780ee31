"""Meta's webhook signature.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks#validate-payloads
"""

import hmac
import re

_HEADER = re.compile(r"sha256=[0-9a-f]{64}")


class InvalidSignature(Exception):
    """The body was not signed with the secret that it has to be signed with."""


def sign(body: bytes, secret: str) -> str:
    """Return the `X-Hub-Signature-256` of a body: `sha256=` and the HMAC in lower-case hex."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def is_well_formed(header: str) -> bool:
    """Return whether a header can be a signature at all, so that a body without one need not be read."""
    return _HEADER.fullmatch(header) is not None


def verify(body: bytes, header: str | None, secret: str) -> None:
    """Check the raw bytes of a body against its header, in constant time. Raises `InvalidSignature`.

    The bytes must be the ones on the wire: Meta signs its own escaped form of the JSON.
    """
    if not secret or not hmac.compare_digest((header or "").encode(), sign(body, secret).encode()):
        raise InvalidSignature
