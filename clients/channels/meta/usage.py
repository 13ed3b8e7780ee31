"""How much of its limits a page has used, as the headers of Meta's answers say.

https://developers.facebook.com/docs/graph-api/overview/rate-limiting
"""

from collections.abc import Iterator, Mapping
from typing import Any

from clients.channel import Usage
from clients.channels.meta.values import as_dict
from clients.jsons import decode_or_none

OF_PAGES, OF_APP = "x-business-use-case-usage", "x-app-usage"
_TYPES = ("messenger", "pages")
_PERCENTAGES = ("call_count", "total_cputime", "total_time")
_LONGEST = 16 * 1024
"""How long a header may be that is read, in bytes; Meta names 32 objects at most."""


def usage_of(headers: Mapping[str, str], page_id: str) -> Usage | None:
    """Read what a page and its app have used; None if no header says so. What is malformed is ignored.

    The app's pages share its limit, so what others of them used counts for the page as well.
    """
    uses = [use for use in _uses(headers, page_id) if isinstance(use, dict)]
    if not uses:
        return None
    percent = max(_number(use.get(name)) for use in uses for name in _PERCENTAGES)
    minutes = max(_number(use.get("estimated_time_to_regain_access")) for use in uses)
    of_app = max(_number(as_dict(_read(headers, OF_APP)).get(name)) for name in _PERCENTAGES)
    return Usage(min(percent / 100, 1.0), 60 * minutes, min(of_app / 100, 1.0))


def _uses(headers: Mapping[str, str], page_id: str) -> Iterator[Any]:
    yield _read(headers, OF_APP)
    pages = _read(headers, OF_PAGES)
    uses = pages.get(page_id) if isinstance(pages, dict) else None
    if isinstance(uses, list):
        yield from (use for use in uses if isinstance(use, dict) and use.get("type") in _TYPES)


def _read(headers: Mapping[str, str], name: str) -> Any:
    header = headers.get(name, "")
    return decode_or_none(header.encode(errors="replace")) if 0 < len(header) <= _LONGEST else None


def _number(value: Any) -> float:
    """Return a number that is more than 0; 0 for anything else."""
    try:
        return float(value) if type(value) in {int, float} and value > 0 else 0.0
    except OverflowError:
        return 0.0
