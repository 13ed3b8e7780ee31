"""What adapters for HTTP APIs share: the calls, and fetching files without giving the token away."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import httpx

from clients.errors import ClientError, FileRefused
from clients.helpdesk import Attachment, Helpdesk
from clients.http import HttpClient, RestClient
from clients.media import File, safe_filename, spool


class HttpHelpdesk(RestClient, Helpdesk):
    """The part of an adapter that does not depend on whose API it is.

    `authorization` is the header of every call, and of fetching a file from the helpdesk's own origin.
    """

    service = "the helpdesk"

    def __init__(self, http: HttpClient, base_url: str, authorization: Mapping[str, str]) -> None:
        super().__init__(http, base_url, authorization, "helpdesk")
        self._authorization = authorization
        self._origin = _origin(base_url)

    def now(self) -> datetime | None:
        """Return the time by the helpdesk's own clock, as its last answer told it."""
        return self.remote_now()

    @contextmanager
    def open_attachment(self, attachment: Attachment, max_bytes: int) -> Iterator[File]:
        """Fetch a file. The token goes to the helpdesk's own origin and nowhere else."""
        with ExitStack() as opened:
            # Not around the yield: what the caller does with the file is the caller's own.
            with self._file_failures(attachment):
                response = opened.enter_context(self._get_file(attachment))
                if response.status_code != 200 or _is_a_login_page(response, attachment):
                    raise self._not_fetched(response)
                stream, size = opened.enter_context(spool(response.iter_bytes(), max_bytes))
            name = safe_filename(attachment.filename, attachment.content_type)
            yield File(name, attachment.content_type, size, stream)

    def _get_file(self, attachment: Attachment) -> AbstractContextManager[httpx.Response]:
        url = self._address(attachment)
        headers = self._authorization if self._is_ours(url) else {}
        return self._http.stream("GET", url, headers=headers, follow_redirects=True)

    @contextmanager
    def _file_failures(self, attachment: Attachment) -> Iterator[None]:
        """Blame the helpdesk for its own origin only: a file may be on a host that is not its."""
        try:
            with self.failures():
                yield
        except ClientError as error:
            if not self._is_ours(self._address(attachment)):
                error.side = ""
            raise

    def _address(self, attachment: Attachment) -> str:
        try:
            url = urljoin(self._base_url + "/", attachment.url)
            is_of_the_web = _origin(url)[0] in {"http", "https"}
        except ValueError:
            is_of_the_web = False
        if not is_of_the_web:
            raise FileRefused("its address is not one of the web")
        return url

    def _is_ours(self, url: str) -> bool:
        return _origin(url) == self._origin

    def _not_fetched(self, response: httpx.Response) -> ClientError:
        ours = self._is_ours(str(response.request.url))
        if (
            response.status_code >= 500
            or response.status_code == 429
            or (ours and response.status_code == 401)
        ):
            return self.error(response)
        return FileRefused(f"the helpdesk did not hand out the file ({response.status_code})")


def _is_a_login_page(response: httpx.Response, attachment: Attachment) -> bool:
    """Tell whether a redirect led to a page for people, as some helpdesks do where a token is missing."""
    got = response.headers.get("content-type", "").partition(";")[0]
    return bool(response.history) and got == "text/html" != attachment.content_type


def _origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port: what has to be the same for a token to be sent."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port
