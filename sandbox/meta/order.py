"""What an order for the sandbox Meta itself is, and how it is answered."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.meta.errors import GraphError, refused
from sandbox.meta.state import Page, Person, Platform
from sandbox.meta.webhooks import Webhooks

T = TypeVar("T")


class Order:
    """One order: where it goes and what it brings."""

    def __init__(self, request: Request, body: bytes) -> None:
        self.request, self._body = request, body
        self.platform: Platform = request.app.state.platform
        self.webhooks: Webhooks = request.app.state.webhooks

    @property
    def page(self) -> Page:
        """Return the page in the path."""
        page = self.platform.pages.get(self.path("page_id"))
        if page is None:
            raise HTTPException(404, "no such page")
        return page

    @property
    def origin(self) -> str:
        """Return where the caller reaches us."""
        return str(self.request.base_url).rstrip("/")

    def path(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def known_person(self) -> Person:
        """Return the person in the path, who must be known to the page."""
        person = self.page.people.get(self.path("psid"))
        if person is None:
            raise HTTPException(404, "no such person")
        return person

    def read(self, shape: type[T]) -> T:
        """Return the body."""
        return msgspec.json.decode(self._body, type=shape)


def route(path: str, method: str, act: Callable[[Order], Awaitable[Any]]) -> Route:
    """Return a route that answers what `act` returns, and 400 to what is not understood."""

    async def endpoint(request: Request) -> Response:
        try:
            answer = await act(Order(request, await request.body()))
        except (msgspec.ValidationError, msgspec.DecodeError) as exc:
            return JSONResponse({"error": str(exc)}, 400)
        except HTTPException as exc:
            return JSONResponse({"error": exc.detail}, exc.status_code)
        except GraphError as exc:
            return refused(request, exc)
        return JSONResponse(answer)

    return Route(path, endpoint, methods=[method])
