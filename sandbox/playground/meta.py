"""The orders that the page gives to the sandbox Meta."""

from typing import Any

import httpx

from sandbox.stack import Stack
from sandbox.staff import Refused


class Meta:
    """A client of `sandbox.meta`. Raises `Refused` with its words, and `httpx.TransportError`."""

    def __init__(self, stack: Stack) -> None:
        self._url = f"{stack.meta_url}/sandbox"
        self._http = httpx.Client(timeout=30, trust_env=False)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Give an order."""
        return self._answered(self._http.request(method, f"{self._url}{path}", json=body))

    def pass_on(self, method: str, path: str, body: bytes) -> Any:
        """Give an order whose body is JSON already."""
        headers = {"Content-Type": "application/json"}
        return self._answered(self._http.request(method, f"{self._url}{path}", content=body, headers=headers))

    def _answered(self, response: httpx.Response) -> Any:
        if response.is_error:
            raise Refused(response.status_code, response.text)
        return response.json()
