"""One call of the sandbox's Graph API: its parameters, wherever they came, and who calls."""

import hashlib
import hmac
import json
import re
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from sandbox.meta import errors
from sandbox.meta.errors import GraphError
from sandbox.meta.refusals import check_refused
from sandbox.meta.state import App, File, Page, Platform, Rate, UserToken


@dataclass(frozen=True)
class Call:
    """A call; `params` are those of the query, the form or JSON body; `file` is the part `filedata`."""

    request: Request
    params: dict[str, Any]
    file: File | None

    @property
    def platform(self) -> Platform:
        """Return the Meta that is called."""
        platform: Platform = self.request.app.state.platform
        return platform

    @property
    def origin(self) -> str:
        """Return where the caller reaches us, such as `http://127.0.0.1:9001`."""
        return str(self.request.base_url).rstrip("/")

    @property
    def object_id(self) -> str:
        """Return the id in the path."""
        return str(self.request.path_params.get("id", ""))

    def text(self, name: str) -> str:
        """Return a parameter that must be given."""
        if self.params.get(name) in (None, ""):
            raise GraphError(errors.REQUIRED, name=name)
        return str(self.params[name])

    def object(self, name: str) -> dict[str, Any]:
        """Return a parameter that is a JSON object; a form brings it as JSON text."""
        value = self.params.get(name)
        if value in (None, ""):
            raise GraphError(errors.REQUIRED, name=name)
        value = _decoded(value) if isinstance(value, str) else value
        if not isinstance(value, dict):
            raise GraphError(errors.NOT_AN_OBJECT, name=name)
        return value

    def names(self, name: str, default: str = "") -> list[str]:
        """Return a comma-separated parameter, without the `.limit(5){fields}` of a field."""
        value = self.params.get(name) or default
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        text = re.sub(r"\{(?:[^{}]|\{[^{}]*\})*\}|\.limit\(\d+\)", "", text)
        return [part.strip() for part in text.split(",") if part.strip()]

    def expanded(self, field: str) -> tuple[int, list[str]]:
        """Return how many objects of a field are asked for, and which fields of theirs, if any are named.

        It stands as `field.limit(5){id,name}` in `fields` (Graph API, "Field Expansion").
        """
        asked = str(self.params.get("fields", ""))
        found = re.search(rf"\b{field}(?:\.limit\((\d+)\))?(?:\{{([^{{}}]*)\}})?", asked)
        limit, names = found.groups() if found else (None, None)
        return int(limit or 25), [name.strip() for name in (names or "").split(",") if name.strip()]

    def token(self) -> str:
        """Return the access token."""
        scheme, _, bearer = self.request.headers.get("authorization", "").partition(" ")
        token = str(self.params.get("access_token") or (bearer if scheme.lower() == "bearer" else ""))
        if not token:
            raise GraphError(errors.TOKEN_MISSING)
        return token

    def page(self) -> Page:
        """Return the page whose token this is."""
        token = self.token()
        for page in self.platform.pages.values():
            if token in page.revoked:
                raise GraphError(errors.TOKEN_REVOKED)
            if grant := page.grant_of(token):
                if grant.is_over:
                    raise GraphError(errors.TOKEN_EXPIRED, now=int(time.time()))
                self.request.state.page = page
                self._check_proof(self.platform.apps[grant.app_id or page.app_id], token)
                is_action, regain = "sender_action" in self.params, self.platform.behaviour.regain
                check_refused(page, self.request, regain, is_action=is_action)
                return page
        raise GraphError(errors.TOKEN_INVALID)

    def user(self) -> UserToken:
        """Return the user's token that this is."""
        token = self.token()
        found = self.platform.user_tokens.get(token)
        if found is None:
            raise GraphError(errors.TOKEN_INVALID)
        if found.expires_at <= time.time():
            raise GraphError(errors.TOKEN_EXPIRED, now=int(time.time()))
        self._check_proof(self.platform.apps[found.app_id], token)
        return found

    def own_page(self) -> Page:
        """Return the page whose token this is, which the path must mean, by its id or as `me`."""
        page = self.page()
        if self.object_id not in ("me", page.id):
            raise self.no_such_object()
        return page

    def app_id(self, page: Page) -> str:
        """Return the app that the page's token belongs to."""
        grant = page.grant_of(self.token())
        return (grant.app_id if grant else "") or page.app_id

    def check_scope(self, page: Page, scope: str) -> None:
        """Refuse the call unless the page's token has this permission."""
        grant = page.grant_of(self.token())
        if grant is None or scope not in grant.scopes:
            raise GraphError(errors.NO_SCOPE, scope=scope)

    def app(self) -> App:
        """Return the app whose token `APP_ID|APP_SECRET` this is."""
        app_id, _, secret = self.token().partition("|")
        app = self.platform.apps.get(app_id)
        if app is None or not hmac.compare_digest(app.secret.encode(), secret.encode()):
            raise GraphError(errors.TOKEN_INVALID if secret else errors.NOT_THE_APP)
        return app

    def no_such_object(self) -> GraphError:
        """Return the error for an id that does not lead anywhere with this token."""
        return GraphError(errors.NO_SUCH_OBJECT, method=self.request.method.lower(), id=self.object_id)

    def _check_proof(self, app: App, token: str) -> None:
        """Check `appsecret_proof` (Graph API, "Secure Graph API Calls")."""
        proof = self.params.get("appsecret_proof")
        if proof is None and app.require_proof:
            raise GraphError(errors.PROOF_MISSING)
        expected = hmac.new(app.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if proof is not None and not hmac.compare_digest(str(proof).encode(), expected.encode()):
            raise GraphError(errors.PROOF_INVALID)


async def read_call(request: Request) -> Call:
    """Read a call of any `/vNN.N/` path; a body that is not understood brings no parameters, as with Meta."""
    if not re.fullmatch(r"v\d+\.\d+", request.path_params["version"]):
        raise GraphError(errors.NO_SUCH_PATH, path=request.url.path)
    params: dict[str, Any] = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        body = _decoded(await request.body())
        return Call(request, params | body if isinstance(body, dict) else params, None)
    async with request.form() as form:
        params |= {name: value for name, value in form.items() if isinstance(value, str)}
        return Call(request, params, await _file(form.get("filedata")))


def check_rate(call: Call, page: Page, bucket: str, per_second: int, refusal: errors.Refusal) -> None:
    """Refuse the call when the page made as many within the last second; a refused one does not count."""
    calls, now = page.calls.setdefault(bucket, deque()), time.monotonic()
    rate = page.rates.setdefault(bucket, Rate())
    while calls and calls[0] <= now - 1:
        calls.popleft()
    if len(calls) >= per_second:
        rate.refused += 1
        raise GraphError(refusal, errors.usage_header(page.id, call.platform.behaviour.regain))
    calls.append(now)
    rate.accepted, rate.most = rate.accepted + 1, max(rate.most, len(calls))


async def _file(part: UploadFile | str | None) -> File | None:
    if not isinstance(part, UploadFile):
        return None
    return File(part.filename or "file", part.content_type or "application/octet-stream", await part.read())


def _decoded(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
