"""Pages for people: made here, without scripts, and with nothing that comes from elsewhere."""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from clients.notices import ENGLISH, Value, notice
from connector.links import LANGUAGES
from connector.web import words  # noqa: F401 - their sentences
from tasks.words import say

_FOLDER = Path(__file__).with_name("templates")
_STYLE = (_FOLDER / "style.css").read_text()
_STYLE_DIGEST = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    # Addresses here hold codes and signatures.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_templates = Jinja2Templates(
    env=Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
)


def language_of(request: Request, wanted: str = "") -> str:
    """Return the language for a person: the one that is wanted, or else the browser's first that is known."""
    accepted = re.findall(r"(?:^|,)\s*([a-z]{2})\b", request.headers.get("accept-language", "").lower())
    return next((one for one in (wanted, *accepted) if one in LANGUAGES), ENGLISH)


def page(
    request: Request, template: str, language: str, context: Mapping[str, Any], status: int = 200
) -> Response:
    """Return a page. In its template `say` words a code with values, and `said` a notice."""

    def say_code(code: str, **values: Value) -> str:
        return say(notice(code, **values), language)

    known = {
        "language": language,
        "style": _STYLE,
        "say": say_code,
        "said": partial(say, language=language),
    }
    return _templates.TemplateResponse(
        request, template, known | dict(context), status_code=status, headers=_HEADERS
    )
