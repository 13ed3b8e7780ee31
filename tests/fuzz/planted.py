"""Words and links that are planted in what Meta sends, to see that they stay readable."""

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

from clients.channel import Event, Receipt
from clients.channels.meta import events
from clients.jsons import NotUnderstood
from tests.conftest import PAGE_A

_PLANTED = re.compile(r"Planted words \d+|https://planted\.example/\d+")
NOT_SHOWN = frozenset(
    {"id", "mid", "timestamp", "sender", "recipient"}
    | {"metadata", "seq", "nlp", "tags", "traits", "num_edit", "screen_id", "user_ref"}
    | {"sharable", "image_aspect_ratio", "top_element_style", "webview_height_ratio", "fallback_url"}
    | {"messenger_extensions", "webview_share_button"}
)
"""Keys of what says nothing to people."""
SECRET = re.compile("token|secret|password|credential|authorization|sdp|app_id", re.IGNORECASE)


def plant(random: Random, envelope: Any, number: int) -> Any:
    """Plant words and a link in one of an envelope's items, under a key of theirs or instead of a text."""
    copy = json.loads(json.dumps(envelope))
    holders = [holder for item in _items(copy) for holder in _objects(item)]
    if holders:
        holder = random.choice(holders)
        texts = [key for key, one in holder.items() if isinstance(one, str) and _is_shown(key)]
        key = random.choice([*texts, "remarks"])
        holder[key] = f"Planted words {number} https://planted.example/{number}"
    return copy


def planted_in(body: bytes) -> Iterator[str]:
    """Yield what has to be readable: of the first item with a key, if it opens a ticket."""
    keys = set()
    try:
        items = [
            one for entry in events.split(body, 1) if entry.account_id == PAGE_A for one in entry.events()
        ]
    except NotUnderstood:
        return
    for item in items:
        known, is_ours = item.key in keys or not item.conversation, item.echo_metadata is not None
        keys.add(item.key)
        if not known and not is_ours and not item.is_receipt and _opens_ticket(events.parse(item.body)):
            for text in _texts(json.loads(item.body)):
                yield from _PLANTED.findall(text)


def _opens_ticket(event: Event) -> bool:
    return not isinstance(event, Receipt) and event.opens_ticket


def _is_shown(key: str) -> bool:
    return key not in NOT_SHOWN and not SECRET.search(key)


def _items(envelope: Any) -> Iterator[Any]:
    for entry in envelope.get("entry") or []:
        for key in ("messaging", "standby"):
            found = entry.get(key) or []
            yield from found if isinstance(found, list) else [found]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a value, all that people may read."""
    if isinstance(value, dict):
        yield value
        for key, one in value.items():
            if _is_shown(key):
                yield from _objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(one)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value that people may read."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if _is_shown(key):
                yield from _texts(one)
