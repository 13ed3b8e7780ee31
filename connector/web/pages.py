"""Pages for people: made here, usable without scripts, and with nothing that comes from elsewhere."""

import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates

from clients.notices import ENGLISH, Notice, Value, notice
from connector.links import LANGUAGES
from connector.web import words  # noqa: F401 - their sentences
from tasks.words import say

_FOLDER = Path(__file__).with_name("templates")
_LOADER = FileSystemLoader([_FOLDER])
_STYLE = (_FOLDER / "style.css").read_text()
_STYLE_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    # Addresses here hold codes and signatures.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    # nginx keeps an answer back until it is whole, and would show no step of a test before the last.
    # https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
    "X-Accel-Buffering": "no",
}
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)
_NOBODY = ("'none'",)
_UNITS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("moment", 0))
_ASSETS = Path(__file__).with_name("assets")
HTMX = "htmx-2.0.11.min.js"
"""https://htmx.org: it brings parts of a page up to date. Its name changes with its version."""
COPY = "copy-1.js"
"""Copies what a field holds; it gets another name with each change."""
HELD = "held-1.js"
"""Exchanges no part of a page between press and release; it gets another name with each change."""
templates = Jinja2Templates(
    env=Environment(
        loader=_LOADER,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
)


def add_templates(folder: Path) -> None:
    """Let pages be made of the templates in a channel's own folder as well."""
    _LOADER.searchpath.append(str(folder))


class Stopped(Exception):
    """A person cannot go on from here: what they are told, and the status."""

    def __init__(self, status: int, what: Notice) -> None:
        super().__init__(what)
        self.status, self.what = status, what


def language_of(request: Request, wanted: str = "") -> str:
    """Return the language for a person: the one that is wanted, or else the browser's first that is known."""
    accepted = re.findall(r"(?:^|,)\s*([a-z]{2})\b", request.headers.get("accept-language", "").lower())
    return next((one for one in (wanted, *accepted) if one in LANGUAGES), ENGLISH)


def page(  # noqa: PLR0913 - what there is of a page
    request: Request,
    template: str,
    language: str,
    context: Mapping[str, Any],
    status: int = 200,
    *,
    framed_by: Sequence[str] = (),
) -> Response:
    """Return a page. In its template `say` words a code with values, and `said` a notice.

    Pages of the origins `framed_by` may show it in a frame, and no other.
    """
    return templates.TemplateResponse(
        request,
        template,
        worded(language) | dict(context),
        status_code=status,
        headers=headers(framed_by),
    )


def tell(  # noqa: PLR0913 - what there is of a page
    request: Request,
    stopped: Stopped,
    page: Callable[..., Response],
    language: str,
    title: str,
    *,
    root: str,
    every: int,
    return_url: str = "",
) -> Response:
    """Tell what stops somebody; a page that is open already tells it, and asks again if that may help.

    htmx shows no answer with the status of an error, so what it asked for is answered 200. What an open page
    was told already, and readers were read aloud, is not exchanged for the same. `root` is the path that a
    proxy has put in front of ours.
    """
    if "hx-request" not in request.headers:
        shown = {"title": title, "sentences": [stopped.what], "return_url": return_url}
        return page(request, "message.html", language, shown, stopped.status)
    asked = dict(parse_qsl(request.url.query)) | {"seen": "", "told": stopped.what.code}
    live = f"{root}{request.scope['path']}?{urlencode(asked)}" if stopped.status == 503 else ""
    known = {"what": stopped.what, "live": live, "every": every, "now": time.time()}
    if live and request.query_params.get("told") == stopped.what.code:
        return only_time(page(request, "board_time.html", language, known))
    return page(request, "alert.html", language, known)


def only_time(answer: Response) -> Response:
    """Have htmx exchange nothing but as of when a page is: all else is as it was."""
    answer.headers.update({"HX-Retarget": "#as-of", "HX-Reswap": "outerHTML"})
    return answer


def leading_to(address: str) -> Response:
    """Lead a browser to a page, after a form as well."""
    return RedirectResponse(address, 303, _HEADERS)


def headers(framed_by: Sequence[str] = ()) -> dict[str, str]:
    """Return the headers of a page that these origins may show in a frame."""
    policy = f"{_POLICY}; frame-ancestors {' '.join(framed_by or _NOBODY)}"
    return _HEADERS | {"Content-Security-Policy": policy}


def worded(language: str) -> dict[str, Any]:
    """Return what every template has: the language, the style, and what words codes and notices."""

    def say_code(code: str, **values: Value) -> str:
        return say(notice(code, **values), language)

    def ago(at: float | None, now: float) -> str:
        if at is None:
            return say_code("never")
        seconds = max(0, int(now - at))
        unit, size = next(one for one in _UNITS if seconds >= one[1])
        return say_code(f"ago_{unit}", count=seconds // max(1, size))

    def lasting(at: float, now: float) -> str:
        return how_long(now, at, language, lasts=True)

    return {
        "language": language,
        "style": _STYLE,
        "say": say_code,
        "said": partial(say, language=language),
        "ago": ago,
        "lasting": lasting,
        "moment": moment,
        "iso": iso,
        "sentence": _sentence,
    }


def how_long(now: float, at: float, language: str, *, lasts: bool = False) -> str:
    """Say how long ago a time was, or for how long it `lasts` since then."""
    seconds, end = max(0, int(now - at)), "_long" if lasts else ""
    for size, code in ((86_400, "board_days"), (3600, "board_hours"), (60, "board_minutes")):
        if seconds >= size:
            return say(notice(code + end, count=seconds // size), language)
    return say(notice("board_moments" + end), language)


def moment(at: float) -> str:
    """Write a time as people compare it with logs."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at: float) -> str:
    """Write a time as browsers read it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _sentence(text: str) -> str:
    """Make a sentence of words that stand within one elsewhere."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


async def asset(request: Request) -> Response:
    """Answer `GET /assets/{name}`: a file of ours that never changes under its name."""
    name = request.path_params["name"]
    if name not in {HTMX, COPY, HELD}:
        raise HTTPException(404)
    lasting = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return FileResponse(_ASSETS / name, headers=lasting, media_type="text/javascript")
