"""All that a store holds, as text."""

from collections.abc import Callable, Mapping
from typing import Any

_READ: Mapping[bytes, Callable[[Any, bytes], object]] = {
    b"string": lambda store, key: store.get(key),
    b"hash": lambda store, key: store.hgetall(key),
    b"zset": lambda store, key: store.zrange(key, 0, -1),
    b"set": lambda store, key: store.smembers(key),
    b"list": lambda store, key: store.lrange(key, 0, -1),
}


def contents(store: Any) -> dict[str, str]:
    """Return each key, of any type, and what it holds."""
    return {key.decode(): repr(_READ[store.type(key)](store, key)) for key in store.scan_iter()}


def mentions(store: Any, *words: str) -> list[str]:
    """Return the keys in whose names or contents one of these words stands."""
    return sorted(
        key for key, held in contents(store).items() if any(word in key or word in held for word in words)
    )
