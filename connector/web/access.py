"""What a person may see and do by a signed link: for an hour, and without a cookie.

The pages are framed by the helpdesk, where browsers keep no cookies of others. So every address in a page has
what proves that its reader had a good link. Nobody else knows it, so no other site can send our forms.
"""

import time
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from connector import links
from connector.links import Link

OPENED_FOR = 3600
"""How long a page may be used once it was opened, in seconds."""
_OPENED = "#opened"
"""Behind the path in what is signed for a page that was opened: no link of the helpdesk's is one for that."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a reader of a page may see and do: what the `link` says, until it expires."""

    link: Link
    path: str
    key: str

    @property
    def query(self) -> str:
        """Return what stands behind each address of the page."""
        said = msgspec.structs.asdict(self.link)
        said["opened"] = links.sign(self.link, self.path + _OPENED, self.key)
        return urlencode({name: value for name, value in said.items() if value and name != "desk_id"})


def read(request: Request, path: str, key: str, desk_id: str = "") -> Access:
    """Return what a request may see and do. Raises `InvalidLink`.

    A link of the helpdesk's opens a page; what stands on the page is good as long as that.
    """
    query, now = request.query_params, time.time()
    if opened := query.get("opened"):
        signed = dict(query) | {"signature": opened}
        return Access(links.read(signed, path + _OPENED, key, now, desk_id), path, key)
    link = links.read(query, path, key, now, desk_id)
    return Access(msgspec.structs.replace(link, expires=int(now) + OPENED_FOR), path, key)
