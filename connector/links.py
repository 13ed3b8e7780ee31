"""Links that the helpdesk's back end signs, so that a person may see and do something for a while."""

import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

import msgspec

LONGEST = 3600
"""How long a link may be good for, in seconds."""
LANGUAGES = ("en", "pl")
BOARD_PATH = "/board"
"""Where the operator's board is."""


class InvalidLink(Exception):
    """A link cannot be used; `code` says why, for `say`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Link(msgspec.Struct, frozen=True):
    """What a link says: the desk, until when it is good (seconds since 1970), and what may be left out.

    `language` is that of the pages, and of what is written on the tickets of new connections; `return_url` is
    where the helpdesk is. The desk is empty where the link is about all of them.
    """

    desk_id: str
    expires: int
    language: str = ""
    return_url: str = ""


def sign(link: Link, path: str, key: str) -> str:
    """Return the signature of a link to a path: HMAC-SHA256, in hex.

    What is signed are five lines: the path, the desk, the time, the language, and the address.
    """
    lines = (path, link.desk_id, str(link.expires), link.language, link.return_url)
    return hmac.digest(key.encode(), "\n".join(lines).encode(), "sha256").hex()


def address(link: Link, base_url: str, path: str, key: str) -> str:
    """Return a link's whole address; a desk that the path names is not named once more."""
    said = {name: value for name, value in msgspec.structs.asdict(link).items() if value}
    if path == tab_path(link.desk_id):
        del said["desk_id"]
    return f"{base_url}{path}?{urlencode(said | {'signature': sign(link, path, key)})}"


def tab_path(desk_id: str) -> str:
    """Return where the Messenger tab of a desk is."""
    return f"/desks/{quote(desk_id, safe='')}/messenger"


def read(query: Mapping[str, str], path: str, key: str, now: float, desk_id: str | None = None) -> Link:
    """Read a link to a path, which may name the desk already. Raises `InvalidLink`."""
    expires, desk = query.get("expires", ""), query.get("desk_id", "") if desk_id is None else desk_id
    if not re.fullmatch("[0-9]{1,12}", expires, re.ASCII) or (not desk and desk_id is None):
        raise InvalidLink("connect_link_incomplete")
    link = Link(desk, int(expires), query.get("language", ""), query.get("return_url", ""))
    signature = sign(link, path, key)
    said = (link.desk_id, link.language, link.return_url)
    # Values that could be read as two lines would have the signature of others.
    if any("\n" in one for one in said) or not hmac.compare_digest(
        signature.encode(), query.get("signature", "").encode()
    ):
        raise InvalidLink("connect_link_forged")
    if link.expires <= now:
        raise InvalidLink("connect_link_expired")
    if link.expires > now + LONGEST:
        raise InvalidLink("connect_link_too_long")
    if link.language not in ("", *LANGUAGES) or not _is_web(link.return_url):
        raise InvalidLink("connect_link_incomplete")
    return link


def _is_web(url: str) -> bool:
    try:
        return not url or urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False
