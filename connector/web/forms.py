"""What people enter in forms of ours."""

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from connector.web.body import BodyReader

MAX_FORM = 64 * 1024
"""How large what a form sends may be, in bytes."""


async def read_form(request: Request, body_reader: BodyReader) -> dict[str, list[str]]:
    """Return the fields of a form, each with its values; none without a value. Raises `HTTPException`."""
    headers = dict(request.scope["headers"])
    body = await body_reader.read(headers, request.receive, MAX_FORM)
    body_reader.release(body)
    try:
        return parse_qs(body.decode(), max_num_fields=10_000)
    except ValueError:
        raise HTTPException(400) from None
