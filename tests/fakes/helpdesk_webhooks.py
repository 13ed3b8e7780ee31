"""Webhooks of the helpdesk: signed as it signs them, and read by the adapter `rest`."""

import base64
import hashlib
import hmac
import time
from datetime import UTC, datetime

from clients.channel import Conversation
from clients.channels.meta.events import CHANNEL
from clients.helpdesk import AgentReply
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from tests.conftest import WEBHOOK_SECRET, payload

HELPDESK = RestHelpdesk(
    HttpClient(), base_url="http://127.0.0.1:9", api_token="token", webhook_secret=WEBHOOK_SECRET
)
PERSON = Conversation(CHANNEL, "107381679302250", "7623554920995436")
CONFIG = {"source": "facebook_messenger", "page_id": PERSON.account_id, "sender_id": PERSON.person_id}
AT = datetime(2026, 11, 22, 20, 15, 3, tzinfo=UTC)


def signature(body: bytes, id_: str = "msg_1", at: float | None = None, secret: str = WEBHOOK_SECRET) -> str:
    """Sign a body as https://www.standardwebhooks.com says."""
    timestamp = int(time.time() if at is None else at)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def headers(body: bytes, at: float | None = None, **changes: str) -> dict[str, str]:
    """Return the headers of a webhook, with some of them changed."""
    at = time.time() if at is None else at
    good = {"id": "msg_1", "timestamp": str(int(at)), "signature": signature(body, at=at)}
    return {f"webhook-{name}": value for name, value in (good | changes).items()}


def receive(name: str) -> AgentReply | None:
    """Receive a payload file, properly signed."""
    body = payload(f"helpdesk/{name}")
    return HELPDESK.receive(body, headers(body), "")


def received(name: str) -> AgentReply:
    """Receive a payload file that tells of a new comment."""
    reply = receive(name)
    assert reply
    return reply
