"""How much of its limits a page has used, as the headers of each answer say."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.meta.errors import usage_headers
from sandbox.meta.state import Page, Platform


class SaysUsage:
    """ASGI middleware that adds what `Behaviour.usage` says of the page that called."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def answer(message: Message) -> None:
            page = scope.get("state", {}).get("page")
            if message["type"] == "http.response.start" and page:
                headers = MutableHeaders(scope=message)
                for name, value in _usage_of(page, scope["app"].state.platform).items():
                    headers.setdefault(name, value)  # an answer that refuses says so itself
            await send(message)

        await self._app(scope, receive, answer)


def _usage_of(page: Page, platform: Platform) -> dict[str, str]:
    behaviour = platform.behaviour
    return usage_headers(page.id, behaviour.usage.get(page.id), behaviour.app_usage)
