"""Values of Meta's JSON, whatever stands there. Nothing here raises."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

_MID_PREFIXES = ("m_", "mid.")
EARLIEST, LATEST = 100_000_000_000, 253_402_300_799_000
"""Between what a time is in milliseconds: below are seconds, and after the year 9999 datetime ends."""
_LARGEST_ID = 10**40
_REDIRECTS = re.compile(
    r"(?:(?:www|m|l|lm)\.)?facebook\.com/l\.php|(?:l\.)?messenger\.com/l\.php|l\.instagram\.com/(?:l\.php)?"
)
_PLACEHOLDER = "https://www.facebook.com/commerce/update"
"""Where Meta leads for what it shows only in its own apps: a page that says so."""


def as_text(value: Any) -> str:
    """Return ids and texts as text: Meta writes the same id as a string here and as a number there."""
    if isinstance(value, str):
        return value
    return repr(value) if type(value) in {int, float} and abs(value) < _LARGEST_ID else ""


def amount(value: Any) -> str:
    """Return an amount of money; a fraction has two digits."""
    return f"{value:.2f}" if type(value) is float and abs(value) < _LARGEST_ID else as_text(value)


def as_dict(value: Any) -> dict[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return an array, or an empty one."""
    return value if isinstance(value, list) else []


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of an array."""
    return [one for one in as_list(value) if isinstance(one, dict)]


def is_true(mark: Any) -> bool:
    """Read a mark; some relays write it as a text."""
    return str(mark).lower() in {"true", "1"}


def is_mark(value: Any) -> bool:
    """Return whether a value is a mark, set or not."""
    return str(value).lower() in {"true", "1", "false", "0"}


def milliseconds(value: Any) -> int:
    """Read a time; Meta gives milliseconds, at times seconds, and now and then either as a string."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    number = number * 1000 if number < EARLIEST else number
    return min(max(number, 0), LATEST)


def is_milliseconds(number: int) -> bool:
    """Return whether a number is a time in milliseconds as it stands."""
    return EARLIEST <= number <= LATEST


def proper_mid(mid: str) -> str:
    """Return a mid with its prefix, which Meta leaves out at times: it is the same wherever it comes."""
    return mid if not mid or mid.startswith(_MID_PREFIXES) else f"{_MID_PREFIXES[0]}{mid}"


def address(value: Any) -> str:
    """Return a web address, taken out of Meta's own redirects; nothing if there is none, or no use in it."""
    url = as_text(value)
    for _ in range(3):
        target = _redirected(url)
        if not target:
            break
        url = target
    found = _address(url)
    return "" if found.startswith(_PLACEHOLDER) else found


def _redirected(url: str) -> str:
    """Return where one of Meta's redirects leads, such as `l.facebook.com/l.php?u=`, or nothing."""
    try:
        parts = urlsplit(url.strip())
        is_web = _REDIRECTS.fullmatch(f"{parts.hostname}{parts.path}") and parts.scheme in {"http", "https"}
    except ValueError:
        return ""
    name = "u" if is_web else "target_url" if parts.scheme == "fbrpc" else ""
    query = parts.query or parts.path.partition("?")[2]
    return _address(next(iter(parse_qs(query).get(name, [])), ""))


def _address(value: Any) -> str:
    """Return a web address, or nothing if it is not one."""
    url = as_text(value).strip()
    try:
        return url if urlsplit(url).scheme in {"http", "https"} else ""
    except ValueError:
        return ""
