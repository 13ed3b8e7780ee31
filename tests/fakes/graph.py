"""A Graph API made of one function, and the people in the recordings of the sandbox's."""

from typing import Any

from clients.channel import NewMessage
from clients.channels.meta.graph import Page
from clients.http import HttpClient
from clients.media import MediaFetcher
from tests.conftest import PAGE_A, SECRET_A
from tests.fakes import site
from tests.fakes.recording import META

TOKEN = "EAApage-token-that-nobody-may-see"
PSID, NAMELESS, PROFILELESS = "7623554920995436", "7623554920995437", "7623554920995438"
SILENT = "7623554920995439"
"""Who wrote last more than a day ago."""


def messenger_at(http: HttpClient, site: str = META, *, human_agent: bool = False) -> Page:
    return Page(
        http,
        f"{site}/v26.0",
        page_id=PAGE_A,
        token=TOKEN,
        app_secret=SECRET_A,
        media=MediaFetcher(http, [], 0),
        human_agent=human_agent,
    )


class Site(site.Site):
    """A Graph API made of one function; it keeps the requests."""

    def __init__(self, answer: site.Answer) -> None:
        super().__init__(answer)
        self.messenger = messenger_at(self.http)


def answering(status: int, body: Any = None, **headers: str) -> Page:
    return Site(site.always(status, body, **headers)).messenger


def send_hello(messenger: Page) -> str:
    return messenger.send(PSID, NewMessage("connector:981:0", "Hello"))
