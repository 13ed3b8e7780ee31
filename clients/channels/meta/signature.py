"""Meta's webhook signature.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks#validate-payloads
"""

import hmac
import re

_HEADER = re.compile(rb"sha256=[0-9a-f]{64}")


def sign(body: bytes, secret: str) -> str:
    """Return the `X-Hub-Signature-256` of a body: `sha256=` and the HMAC in lower-case hex."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def is_well_formed(header: bytes) -> bool:
    """Return whether a header can be a signature at all, so that a body without one need not be read."""
    return _HEADER.fullmatch(header) is not None


def is_signed(body: bytes, header: bytes, secret: str) -> bool:
    """Return whether the raw bytes of a body were signed with a secret, in constant time.

    The bytes must be the ones on the wire: Meta signs its own escaped form of the JSON.
    """
    return bool(secret) and hmac.compare_digest(header, sign(body, secret).encode())
