"""Where the product's own pages of the running demo are: behind links, signed as its documents say."""

import hmac
import time
from urllib.parse import quote, urlencode

import httpx

from sandbox.stack import Stack

GOOD_FOR = 600
"""How long a link is good, in seconds."""


def links(stack: Stack) -> dict[str, str]:
    """Return links to the Messenger tab and to the operator's board, those that answer 200."""
    if not stack.admin_token:
        return {}
    desk_id = stack.pages[0].desk_id
    known = {
        "tab": _link(stack, f"/desks/{quote(desk_id, safe='')}/messenger", desk_id),
        "board": _link(stack, "/board", ""),
    }
    return {name: address for name, address in known.items() if _answers(stack, address)}


def _link(stack: Stack, path: str, desk_id: str) -> str:
    """Sign a link (docs/messenger-tab.md): path, desk, time, language, and nowhere to go back to."""
    expires, language = str(int(time.time()) + GOOD_FOR), "en"
    lines = f"{path}\n{desk_id}\n{expires}\n{language}\n"
    signature = hmac.new(stack.admin_token.encode(), lines.encode(), "sha256").hexdigest()
    said = {"expires": expires, "language": language, "signature": signature}
    return f"{stack.url}{path}?{urlencode(said)}"


def _answers(stack: Stack, address: str) -> bool:
    try:
        return stack.http.get(address, follow_redirects=True).status_code == 200
    except httpx.TransportError:
        return False
