"""A seeded mutator: JSON trees of other shapes, with strange values, and broken bytes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True)
class Literal:
    """A piece of JSON as it stands: what no Python value can say."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """A JSON object by its pairs, so that a key may come twice."""

    pairs: Sequence[tuple[str, Any]]


_VALUES = r"""
null true false 0 -1 1.5 -0 -0.0 1.0 1E-400 1e400 -1e400 NaN Infinity -Infinity 1795382999900.5
2147483648 9007199254740993 9223372036854775808 18446744073709551616 10000000000000000000000000000000000000000
"" "0" "-1" "+5" "0x10" "1_000" "٣" "null" "true" "NaN" "1e400" "1795382999900" "2026-11-22T20:15:03Z"
"0001-01-01T00:00:00+23:59" "9999-12-31T23:59:59-23:59" "__proto__" "constructor" "../../etc/passwd" "a/b?c#d"
"%2e%2e%2f" "a:b:c" "in:1:2" "\u0020" "\u0000" "a\u0000b" "\r\nX-Injected:1" "\ufeff" "\u202egnp.exe" "😀😀😀"
"\ud83d" "\udcff\ud800" "\ud83d\ude00" "http://127.0.0.1:9/x" "https://[::1" "http://\udcff"
"file:///etc/passwd" "javascript:alert(1)" "https://\u0000/"
[] {} [[]] [null] [0,"",{}] {"":""} {"id":null} {"id":{"id":[]}}
"""
SHALLOW = [
    *map(Literal, _VALUES.split()),
    *(Literal(f'"{character * 3000}"') for character in "aż"),
    *(Literal(digits) for digits in ("1" + "0" * 400, "9" * 5000, "0." + "3" * 3000)),
    *(Literal(opening * 40 + "1" + closing * 40) for opening, closing in (("[", "]"), ('{"a":', "}"))),
]
"""Values that another is replaced by, as JSON; nothing here is nested too deep to be read."""
DEEP = [
    Literal(opening * depth + inner + closing * depth)
    for depth in (500, 1200, 10_000)
    for opening, inner, closing in (("[", "", "]"), ('{"a":', "1", "}"), ("[", '"\\u0000"', "]"))
]
STRANGE_KEYS = [
    "\ud83d",
    *["id", "mid", "message", "sender", "timestamp", "a.b", "$where", "__proto__", "\x00"],
    "",
]
PIECES_OF_BYTES = [
    b"1e999",
    b"\xc0\xaf",
    b"\xed\xa0\xbd",
    b"\xef\xbb\xbf",
    *(bytes([one]) for one in b'\0\xff{}[]"\\,'),
]


def write(value: Any) -> bytes:
    """Write a tree as JSON; halves of surrogate pairs are escaped, as JSON allows."""
    return _written(value).encode()


def _written(value: Any) -> str:
    match value:
        case Literal(text=text):
            return text
        case Pairs(pairs=pairs):
            return "{" + ",".join(f"{json.dumps(key)}:{_written(one)}" for key, one in pairs) + "}"
        case dict():
            return _written(Pairs([*value.items()]))
        case list():
            return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


class Mutator:
    """Mutates what it is given. The same `random` mutates in the same way."""

    def __init__(self, random: Random, *, deep: bool = False) -> None:
        """With `deep` there may be values that are nested too deep for any parser."""
        self._random = random
        self._pool = [*SHALLOW, *DEEP] if deep else [*SHALLOW]

    def tree(self, value: Any, times: int) -> Any:
        """Change a JSON tree at as many places."""
        for _ in range(times):
            value = self._changed(value)
        return value

    def _changed(self, value: Any) -> Any:
        """Go down to a random place, mostly, and change what stands there."""
        if isinstance(value, dict) and value and self._random.random() < 0.85:
            key = self._random.choice([*value])
            return self._pairs(value, key) or value | {key: self._changed(value[key])}
        if isinstance(value, list) and value and self._random.random() < 0.85:
            place = self._random.randrange(len(value))
            return [*value[:place], *self._items(value[place]), *value[place + 1 :]]
        return self._replaced(value)

    def _pairs(self, value: dict[str, Any], key: str) -> Any:
        """Lose a key, rename it, write it twice, or add a strange one; nothing is to go further down."""
        chance = self._random.random()
        if chance < 0.08:
            return {name: one for name, one in value.items() if name != key} or {"": None}
        if chance < 0.14:
            return {
                self._random.choice(STRANGE_KEYS) if name == key else name: one for name, one in value.items()
            }
        if chance < 0.2:
            twice = [(key, self._random.choice(self._pool)), *value.items()]
            return Pairs(twice if self._random.random() < 0.5 else twice[::-1])
        if chance < 0.26:
            return value | {self._random.choice(STRANGE_KEYS): self._random.choice(self._pool)}
        return None

    def _items(self, item: Any) -> list[Any]:
        chance = self._random.random()
        if chance < 0.08:
            return []
        if chance < 0.18:
            return [item] * self._random.choice((2, 3, 40))
        if chance < 0.28:
            return [item, self._random.choice(self._pool)]
        return [self._changed(item)]

    def _replaced(self, value: Any) -> Any:
        chance = self._random.random()
        if chance < 0.1:
            return [value]
        if chance < 0.2:
            return {"id": value}
        if chance < 0.3 and isinstance(value, int | float | str):
            return str(value) if not isinstance(value, str) else len(value)
        return self._random.choice(self._pool)

    def broken(self, body: bytes, times: int) -> bytes:
        """Change a body at as many places, without knowing what it says."""
        for _ in range(times):
            at, length = self._random.randrange(len(body) + 1), self._random.choice((0, 1, 2, 16, 400))
            piece = self._random.choice(
                (b"", body[:length], self._random.randbytes(length), *PIECES_OF_BYTES)
            )
            body = body[:at] + piece + body[at + length :]
        return body

    def encoded(self, body: bytes) -> bytes:
        """Write the same text in another encoding, or with what must not be before or behind it."""
        ways: list[Callable[[], bytes]] = [
            lambda: b"\xef\xbb\xbf" + body,
            lambda: body.decode(errors="replace").encode("utf-16"),
            lambda: body.decode(errors="replace").encode("utf-32-be"),
            lambda: body + b"\x00",
            lambda: b" \n" * 1000 + body,
            lambda: body + body,
            lambda: body[: self._random.randrange(len(body) + 1)],
        ]
        return self._random.choice(ways)()
