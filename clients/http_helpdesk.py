"""What adapters for HTTP APIs share: the calls, and fetching files without giving the token away."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime

import httpx

from clients.errors import ClientError, FileRefused, NotFound, RejectedError
from clients.helpdesk import Attachment, Helpdesk
from clients.http import HttpClient, RestClient
from clients.media import (
    File,
    Route,
    check_answer,
    errors_of,
    fetched,
    file_request,
    proper_url,
    safe_filename,
)
from clients.transport import PrivateAddress


class HttpHelpdesk(RestClient, Helpdesk):
    """The part of an adapter that does not depend on whose API it is.

    `authorization` is the header of every call, and of fetching a file from the helpdesk's own origin.
    """

    service = "the helpdesk"
    if_untrusted = "; if an authority of your own signed it, name that in helpdesk.ca_file"

    def __init__(self, http: HttpClient, base_url: str, authorization: Mapping[str, str]) -> None:
        super().__init__(http, base_url, authorization, "helpdesk")
        self._authorization = authorization
        self._origin = _origin(httpx.URL(base_url))

    def now(self) -> datetime | None:
        """Return the time by the helpdesk's own clock, as its last answer told it."""
        return self.remote_now()

    def forbidden(self) -> ClientError:
        """Sort a 403 to one ticket: the token may not see it, which is as if it were gone.

        Raises what a ping raises: some helpdesks say 403 to all calls when a token has expired.
        """
        with suppress(RejectedError):  # it answers
            self.ping()
        return NotFound("the helpdesk does not let the connector see the ticket (403)")

    @contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        """Fetch a file. The token goes to the helpdesk's own origin, and not after a redirect elsewhere.

        Elsewhere a file is fetched as a stranger's: from public addresses only, unless the settings name the
        host in `helpdesk.file_hosts`. An outage there is not the helpdesk's.
        """
        hops: list[bool] = []

        def route(url: httpx.URL) -> Route:
            hops.append(_origin(url) == self._origin)
            route = self._own_route(url) if all(hops) else self._foreign_route(url)
            return route if len(hops) == 1 else _without_login_pages(route, attachment)

        with fetched(self._http, self._address(attachment), route, max_bytes) as (_, _, size, stream):
            name = safe_filename(attachment.filename, attachment.content_type)
            yield File(name, attachment.content_type, size, stream)

    def _address(self, attachment: Attachment) -> httpx.URL:
        return proper_url(attachment.url, self._base_url)

    def _own_route(self, url: httpx.URL) -> Route:
        request = file_request(url, self._authorization)
        return Route(request, self._http.transport, self._check_own, self.failures)

    def _foreign_route(self, url: httpx.URL) -> Route:
        if url.scheme not in {"http", "https"}:
            raise FileRefused("its address is not one of the web")
        host = url.raw_host.decode("ascii")
        transport = self._http.transport if host in self._http.file_hosts else self._http.public
        return Route(file_request(url), transport, check_answer, lambda: _foreign_failures(host))

    def _check_own(self, response: httpx.Response) -> None:
        if response.status_code >= 500 or response.status_code in {401, 429}:
            raise self.error(response)
        if response.status_code != 200:
            raise FileRefused(f"the helpdesk did not hand out the file ({response.status_code})")


def _without_login_pages(route: Route, attachment: Attachment) -> Route:
    """Refuse a page for people, to which some helpdesks redirect where a token is missing."""

    def check(response: httpx.Response) -> None:
        route.check(response)
        got = response.headers.get("content-type", "").partition(";")[0]
        if got == "text/html" != attachment.content_type:
            raise FileRefused("a page is shown in its place, perhaps for logging in")

    return Route(route.request, route.transport, check, route.failures)


@contextmanager
def _foreign_failures(host: str) -> Iterator[None]:
    try:
        with errors_of(host):
            yield
    except PrivateAddress as error:
        remedy = "if it belongs to the helpdesk, an administrator can name it in helpdesk.file_hosts"
        raise FileRefused(f"{error}; {remedy}") from error


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    """Return scheme, host and port: what has to be the same for a token to be sent."""
    return url.scheme, url.raw_host, url.port
