"""Pages of the connector in a browser without scripts: what they say, and their forms."""

import html
import re
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin

import httpx
import lxml.html

from connector import links
from connector.links import Link
from tests.fakes.admin import ADMIN_TOKEN


def tab_link(url: str, desk_id: str = "7", *, key: str = ADMIN_TOKEN, seconds: int = 600, **said: str) -> str:
    """Return a link to the Messenger tab of a desk, as the helpdesk's back end signs it."""
    link = Link(desk_id, int(time.time()) + seconds, **said)
    return links.address(link, url, links.tab_path(desk_id), key)


def leaked(answers: Iterable[httpx.Response], secrets: Iterable[str]) -> list[tuple[str, str]]:
    """Return what secrets stand in answers: each with the path. What was streamed is not looked at."""
    whole = [one for one in answers if hasattr(one, "_content")]
    said = [(one.url.path, one.text + repr(one.headers.multi_items())) for one in whole]
    return [(path, secret) for path, text in said for secret in secrets if secret in text]


class Shown:
    """A page that was answered."""

    def __init__(self, browser: httpx.Client, answer: httpx.Response) -> None:
        self._browser, self.answer = browser, answer
        self.status = answer.status_code
        self.tree = lxml.html.document_fromstring(answer.text)

    @property
    def said(self) -> str:
        """What the page says, without its markup."""
        return html.unescape(
            " ".join(re.sub(r"<[^>]*>", " ", self.answer.text.partition("<main>")[2]).split())
        )

    def field(self, name: str, form: str) -> Any:
        """Return a field of the form whose address ends so (without what proves the link)."""
        return self._form(form).inputs[name]

    def action(self, form: str) -> str:
        """Return the address of the form whose address ends so."""
        return str(self._form(form).action)

    def send(self, form: str, **fields: Any) -> "Shown":
        """Send a form, changed by these fields; None leaves one out. Return where that leads."""
        found = self._form(form)
        values = dict(found.form_values()) | fields
        given = {name: value for name, value in values.items() if value is not None}
        address = urljoin(str(self.answer.url), found.action)
        return Shown(self._browser, self._browser.request(found.method, address, data=given))

    def follow(self, words: str) -> "Shown":
        """Follow the first link that says so."""
        (link, *_) = [one for one in self.tree.iter("a") if words in one.text_content()]
        return Shown(self._browser, self._browser.get(urljoin(str(self.answer.url), link.get("href"))))

    def buttons(self) -> list[str]:
        """Return what the buttons say."""
        return [one.text_content().strip() for one in self.tree.iter("button")]

    def _form(self, end: str) -> Any:
        found = [one for one in self.tree.forms if str(one.action).partition("?")[0].endswith(end)]
        assert found, [one.action for one in self.tree.forms]
        return found[0]
