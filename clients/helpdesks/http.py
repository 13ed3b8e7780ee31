"""What adapters for HTTP APIs share: calls, lists in pages, sorted errors, files, what texts begin with."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, ClassVar
from urllib.parse import unquote

import httpx

from clients.errors import (
    ClientError,
    FileRefused,
    NotFound,
    RejectedError,
    RetryableError,
    ServiceDown,
    Unauthorized,
    Unavailable,
)
from clients.helpdesk import Attachment, Helpdesk, NewComment
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
from clients.notices import N_, add_sentences
from clients.text.markdown import to_markdown
from clients.transport import PrivateAddress

DATED_AFTER = timedelta(minutes=1)
"""From when on a comment says when its message was written, where the helpdesk dates it itself."""
_REFUSED_FILES = {413: "helpdesk_file_too_large", 415: "helpdesk_refuses_kind"}
_pinging: ContextVar[bool] = ContextVar("pinging", default=False)


class HttpHelpdesk(RestClient, Helpdesk):
    """The part of an adapter that does not depend on whose API it is.

    `authorization` is the header of every call, and of fetching a file from the helpdesk's own origin.
    """

    service = "helpdesk"
    if_untrusted = "untrusted_helpdesk"
    always_there: ClassVar[Sequence[str]] = ()
    """Paths of the API's lists: a 404 there means that the helpdesk is being deployed."""

    def __init__(self, http: HttpClient, base_url: str, authorization: Mapping[str, str]) -> None:
        super().__init__(http, base_url, authorization, "helpdesk")
        self._authorization = authorization
        self._origin = _origin(httpx.URL(base_url))

    def now(self) -> datetime | None:
        """Return the time by the helpdesk's own clock, as its last answer gave it."""
        return self.remote_now()

    def pages(
        self, path: str, params: Mapping[str, str] | None = None, *, following: str = "next"
    ) -> Iterator[Any]:
        """Walk a list: return each page's JSON, as long as it names the next page's address in `following`.

        Of that address only the query is taken. Behind a proxy, many helpdesks name a wrong host.
        """
        query = httpx.QueryParams(params)
        while True:
            page = self.call("GET", path, params=query)
            yield page
            if not (address := page.get(following)):
                return
            last, query = query, httpx.URL(address).params
            if query == last:
                raise Unavailable("helpdesk_endless_list")

    def signed(self, comment: NewComment) -> str:
        """Return the comment's text for a helpdesk where all comments are the connector's own and of now.

        It begins with the author's name, and the time, if that is past.
        """
        if comment.author.type == "system":
            return comment.body
        when, now = comment.created_at.astimezone(UTC), self.now() or datetime.now(UTC)
        late = f", {when:%Y-%m-%d %H:%M} UTC" if now - when > DATED_AFTER else ""
        return f"**{to_markdown(comment.author.name)}**{late}:\n\n{comment.body}"

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an error by its status. Override it for what else your API distinguishes."""
        status = response.status_code
        if status in {404, 405} and self.asked_for(response) in self.always_there:
            return ServiceDown("helpdesk_api_missing")
        if status in {404, 410}:
            return NotFound("helpdesk_not_found")
        if status in _REFUSED_FILES:
            return FileRefused(_REFUSED_FILES[status])
        if status == 403:
            return self._forbidden(response)
        return super().error(response)

    def _forbidden(self, response: httpx.Response) -> ClientError:
        """Return what a 403 means, by a ping: the token may do nothing, or may not see this ticket."""
        if _pinging.get():
            return Unauthorized("helpdesk_forbids")
        began = _pinging.set(True)
        try:
            self.ping()
        except RetryableError as error:
            return error
        except RejectedError:
            pass  # it was answered
        finally:
            _pinging.reset(began)
        kind = Unavailable if self.asked_for(response) in self.always_there else NotFound
        return kind("helpdesk_forbids")

    @contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        """Fetch a file. The token goes to the helpdesk's own origin, and not after a redirect elsewhere.

        Elsewhere a file is fetched without it, and from public addresses only, unless the settings name the
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
            raise FileRefused("not_a_web_address")
        host = url.raw_host.decode("ascii")
        transport = self._http.transport if host in self._http.file_hosts else self._http.public
        return Route(file_request(url), transport, check_answer, lambda: _foreign_failures(host))

    def _check_own(self, response: httpx.Response) -> None:
        if response.status_code >= 500 or response.status_code in {401, 429}:
            raise self.error(response)
        if response.status_code != 200:
            raise FileRefused("helpdesk_file_not_provided", status=response.status_code)


def digest(external_id: str) -> str:
    """Return a short name for an external id: 16 letters and digits, which any field and query takes."""
    return blake2b(external_id.encode(errors="replace"), digest_size=8).hexdigest()


def id_in_location(response: httpx.Response) -> str:
    """Return the id of what a call made by its `Location` header: the last segment of the path.

    Raises `Unavailable` if there is none.

    https://www.rfc-editor.org/rfc/rfc9110#field.location
    """
    path = response.headers.get("location", "").partition("?")[0].rstrip("/")
    if not (id_ := unquote(path.rpartition("/")[2])):
        raise Unavailable("helpdesk_bad_answer", field="Location")
    return id_


def _without_login_pages(route: Route, attachment: Attachment) -> Route:
    """Refuse a page for people, to which some helpdesks redirect where a token is missing."""

    def check(response: httpx.Response) -> None:
        route.check(response)
        got = response.headers.get("content-type", "").partition(";")[0]
        if got == "text/html" != attachment.content_type:
            raise FileRefused("helpdesk_login_page")

    return Route(route.request, route.transport, check, route.failures)


@contextmanager
def _foreign_failures(host: str) -> Iterator[None]:
    try:
        with errors_of(host):
            yield
    except PrivateAddress as error:
        raise FileRefused("helpdesk_file_host", host=host) from error


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    """Return scheme, host and port: what has to be the same for a token to be sent."""
    return url.scheme, url.raw_host, url.port


add_sentences(
    {
        "helpdesk": N_("the helpdesk"),
        "untrusted_helpdesk": N_("{cause}; if your own authority signed it, name it in helpdesk.ca_file"),
        "helpdesk_api_missing": N_("the helpdesk's API was not found; check base_url if this persists"),
        "helpdesk_not_found": N_("it does not exist in the helpdesk (any more)"),
        "helpdesk_forbids": N_("the helpdesk denied access to the connector's user (HTTP 403)"),
        "helpdesk_refused": N_("the helpdesk rejected the request (HTTP {status}: {detail})"),
        "helpdesk_bad_answer": N_("the helpdesk sent an incomplete response (no valid “{field}”)"),
        "helpdesk_endless_list": N_("the helpdesk sent a list that never ends"),
        "helpdesk_still_busy": N_("the helpdesk is still processing the same request"),
        "ticket_closed": N_("the ticket is closed"),
        "helpdesk_file_too_large": N_("the file is too large for the helpdesk"),
        "helpdesk_refuses_kind": N_("the helpdesk does not accept files of this type"),
        "helpdesk_file_not_provided": N_("the helpdesk did not provide the file (HTTP {status})"),
        "helpdesk_login_page": N_("the helpdesk sent a web page in its place, perhaps a login page"),
        "helpdesk_file_host": N_(
            "its address leads to a private network ({host}); if that host belongs to the helpdesk, "
            "an administrator can add it to helpdesk.file_hosts"
        ),
        "file_left_out": N_("The file “{filename}” could not be added: {reason}."),
    }
)
