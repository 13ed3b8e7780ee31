"""Words and links that are planted in what Meta sends, to see that they stay readable."""

import json
import re
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from tests.conftest import PAGE_A

_PLANTED = re.compile(r"Planted words \d+|https://planted\.example/\d+")
NOT_SHOWN = frozenset(
    {"id", "mid", "timestamp", "sender", "recipient", "is_echo"}
    | {"metadata", "seq", "nlp", "tags", "traits", "num_edit", "screen_id", "user_ref"}
    | {"sharable", "image_aspect_ratio", "top_element_style", "webview_height_ratio", "fallback_url"}
    | {"messenger_extensions", "webview_share_button"}
)
"""Keys of what says nothing to people."""
RECEIPTS = frozenset({"delivery", "read"})
JOINING = frozenset(
    {"reaction", "pass_thread_control", "take_thread_control", "request_thread_control", "app_roles"}
    | {"policy_enforcement", "account_linking", "response_feedback"}
)
"""Kinds of events that are shown on an open ticket only."""
OPENING = frozenset(
    {"message", "message_edit", "postback", "referral", "optin", "messaging_feedback", "lead", "order"}
    | {"form", "calls", "message_request"}
)
SECRET = re.compile("token|secret|password|credential|authorization|sdp|app_id", re.IGNORECASE)


def plant(random: Random, envelope: Any, number: int) -> Any:
    """Plant words and a link: in an item, under a key of theirs or instead of a text, or beside the items."""
    copy, words = json.loads(json.dumps(envelope)), f"Planted words {number} https://planted.example/{number}"
    entries, chance = _all(copy["entry"]), random.random()
    holders = [holder for entry in entries for item in _items(entry) for holder in _objects(item)]
    if chance < 0.05:
        random.choice(entries)["remarks"] = random.choice((words, [words], {"deep": [{"words": words}]}))
    elif chance < 0.1:
        random.choice(entries)["changes"] = [{"field": "feed", "value": {"message": words}}]
    elif chance < 0.15:
        random.choice(entries)["messaging"] = [*_items(random.choice(entries)), words]
    elif holders:
        holder = random.choice(holders)
        texts = [key for key, one in holder.items() if isinstance(one, str) and _is_shown(key)]
        holder[random.choice([*texts, "remarks"])] = words
    return copy


def planted_in(bodies: Iterable[bytes]) -> Iterator[str]:
    """Yield what has to be readable of webhooks, whether there is a ticket or not.

    Nothing of the product reads them here: what it loses must be missed.
    """
    known: set[tuple[str, str]] = set()
    for body in bodies:
        envelope = _read(body)
        if not isinstance(envelope, dict) or envelope.get("object") != "page":
            continue
        for entry in _all(envelope.get("entry")):
            if (
                isinstance(entry, dict)
                and isinstance(entry.get("id"), str | int)
                and str(entry["id"]) == PAGE_A
            ):
                for text in _readable(entry, known):
                    yield from _PLANTED.findall(text)


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _readable(entry: dict[str, Any], known: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the texts of an entry that have to be readable."""
    for item in _items(entry):
        yield from _readable_item(item, known) if isinstance(item, dict) else _texts(item)
    rest = {key: one for key, one in entry.items() if key not in {"id", "time", "messaging", "standby"}}
    if rest.keys() & {"sender", "recipient"}:
        yield from _readable_item({key: one for key, one in rest.items() if key != "changes"}, known)
        rest = {"changes": rest.get("changes")}
    for key, one in rest.items():
        if key not in JOINING | RECEIPTS:
            yield from _texts({key: one})


def _readable_item(item: dict[str, Any], known: set[tuple[str, str]]) -> Iterator[str]:
    """Yield the texts of an item, unless it only joins a ticket, or came before, or is our own."""
    held = {key for key, one in item.items() if one is not None}
    came = [_is_known(item, kind, known) for kind in ("message", "postback")]
    if any(came) or _is_not_for_agents(item) or (held & JOINING and not held & OPENING):
        return
    yield from _texts({key: one for key, one in item.items() if key not in JOINING | RECEIPTS})


def _is_known(item: dict[str, Any], kind: str, known: set[tuple[str, str]]) -> bool:
    """Return whether an event with this message id came before: then it is a redelivery, whatever it says."""
    content = item.get(kind)
    mid = str(content.get("mid") or "") if isinstance(content, dict) else ""
    name = (kind, mid if mid.startswith(("m_", "mid.")) else f"m_{mid}")
    if not mid or name not in known:
        known.add(name)
        return False
    return True


def _is_not_for_agents(item: dict[str, Any]) -> bool:
    """Return whether a message was deleted, or is a part of ours that came back."""
    message = item.get("message")
    if not isinstance(message, dict):
        return False
    is_ours = str(message.get("metadata")).startswith("connector:")
    return is_ours or str(message.get("is_deleted")).lower() in {"true", "1"}


def _is_shown(key: str) -> bool:
    return key not in NOT_SHOWN and not SECRET.search(key)


def _all(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _items(entry: dict[str, Any]) -> list[Any]:
    return [item for key in ("messaging", "standby") for item in _all(entry.get(key))]


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
