"""An agent, who works in the web pages of a django-helpdesk: forms and all, by plain HTTP."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx
from lxml import html
from lxml.html import FormElement, HtmlElement

from sandbox.django_helpdesk.host.accounts import AGENT, PASSWORDS
from sandbox.django_helpdesk.server import NOT_KEPT_ALIVE
from sandbox.samples import Sample
from sandbox.staff import Refused

REOPENED, CLOSED = "2", "4"


@dataclass(frozen=True)
class Comment:
    """A comment as the ticket's page shows it; `public` means marked as going to the submitter."""

    title: str
    text: str
    author: str
    public: bool
    files: tuple[str, ...] = ()


class Agent:
    """A member of staff with a browser. Logs in when a page asks for it."""

    def __init__(self, url: str, username: str = AGENT) -> None:
        self._url, self._username, self._password = url, username, PASSWORDS[username]
        self._http = httpx.Client(timeout=30, trust_env=False, limits=NOT_KEPT_ALIVE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def tickets(self, query: str = "") -> list[dict[str, Any]]:
        """Return the rows of the ticket list: the open ones, or those of a filter like `status=4&q=words`."""
        page = self._page(f"/tickets/?{query}")
        scripts = " ".join(script.text or "" for script in page.iter("script"))
        (address,) = re.findall(r'"url": "(/[^"]*/datatables_ticket_list/[^"]*)"', scripts)
        rows: list[dict[str, Any]] = self._get(
            f"{httpx.URL(self._url).join(address)}?draw=1&length=100"
        ).json()["data"]
        return rows

    def comments(self, ticket_id: int) -> list[Comment]:
        """Return what the page of a ticket shows below "Follow ups", the oldest first."""
        page = self._page(f"/tickets/{ticket_id}/")
        return [_comment(item) for item in page.xpath("//ul[@id='followup-list']/li")]

    def create(self, title: str, text: str, queue: str = "Messenger", **fields: str) -> int:
        """Write a ticket by hand. Return its id."""
        self._page("/tickets/")  # a stranger gets another form
        form = self._form("/tickets/submit/", "body")
        _fill(form, title=title, body=text, **fields)
        _choose(form, "queue", queue)
        return int(re.findall(r"/tickets/(\d+)/", self._submit(form))[0])

    def reply(
        self,
        ticket_id: int,
        text: str,
        *,
        public: bool = True,
        files: Sequence[Sample] = (),
        status: str | None = None,
    ) -> None:
        """Use the reply form, with all its fields as they stand there. Raises `Refused`."""
        self.send(self.reply_form(ticket_id), text, public=public, files=files, status=status)

    def reply_form(self, ticket_id: int) -> FormElement:
        """Open the page of a ticket; what `send` sends later has the fields as they stand there now."""
        return self._form(f"/tickets/{ticket_id}/", "comment")

    def send(
        self,
        form: FormElement,
        text: str,
        *,
        public: bool = True,
        files: Sequence[Sample] = (),
        status: str | None = None,
    ) -> None:
        """Fill in and send a reply form that was opened before. Raises `Refused`."""
        # To a checkbox, an empty value means that it is not ticked.
        _fill(form, comment=text, public="1" if public else "", **({"new_status": status} if status else {}))
        self._submit(form, files)

    def close(self, ticket_id: int, text: str = "") -> None:
        """Close a ticket in the reply form."""
        self.reply(ticket_id, text, status=CLOSED)

    def reopen(self, ticket_id: int, text: str = "") -> None:
        """Open a ticket again in the reply form."""
        self.reply(ticket_id, text, status=REOPENED)

    def assign(self, ticket_id: int, owner: str) -> None:
        """Use the small form for the owner at the top, which knows nothing of custom fields."""
        forms = self._page(f"/tickets/{ticket_id}/").forms
        form = next(form for form in forms if "owner" in form.fields and "comment" not in form.fields)
        _choose(form, "owner", owner)
        self._submit(form)

    def merge(self, into: int, *others: int) -> None:
        """Merge tickets into one, which keeps its own values. Raises `Refused`."""
        chosen = "&".join(f"tickets={ticket_id}" for ticket_id in (into, *others))
        form = self._form(f"/tickets/merge?{chosen}", "chosen_ticket")
        _fill(form, chosen_ticket=str(into))
        self._submit(form)

    def _page(self, path: str) -> HtmlElement:
        return html.fromstring(self._get(f"{self._url}{path}").text, base_url=f"{self._url}{path}")

    def _get(self, url: str) -> httpx.Response:
        response = self._http.get(url, follow_redirects=True)
        if response.url.path.endswith("/login/"):
            self._log_in(response)
            response = self._http.get(url, follow_redirects=True)
        if response.is_error:
            raise Refused(response.status_code, response.reason_phrase)
        return response

    def _log_in(self, page: httpx.Response) -> None:
        form = _form_with(html.fromstring(page.text, base_url=str(page.url)), "password")
        _fill(form, username=self._username, password=self._password)
        self._submit(form)

    def _form(self, path: str, field: str) -> FormElement:
        return _form_with(self._page(path), field)

    def _submit(self, form: FormElement, files: Sequence[Sample] = ()) -> str:
        """Send a form as a browser does. Return where its answer leads: what was taken is answered so."""
        form.make_links_absolute()
        data: dict[str, list[str]] = {}
        for name, value in form.form_values():
            data.setdefault(name, []).append(re.sub(r"\r\n?|\n", "\r\n", value))
        parts = [("attachment", (file.filename, file.data, file.content_type)) for file in files]
        headers = {"Referer": str(form.base_url)}
        address = str(form.action or form.base_url)
        response = self._http.post(address, data=data, files=parts or None, headers=headers)
        if not response.has_redirect_location:
            raise Refused(response.status_code, _errors(response))
        return response.headers["location"]


def _form_with(page: HtmlElement, field: str) -> FormElement:
    for form in page.forms:
        if field in form.fields:
            return form
    raise Refused(200, f"no form of the page has a field {field}")


def _fill(form: FormElement, **values: str) -> None:
    for name, value in values.items():
        form.fields[name] = value


def _choose(form: FormElement, field: str, label: str) -> None:
    """Choose an option by what a person sees of it."""
    options = form.xpath(".//select[@name=$field]/option", field=field)
    form.fields[field] = next(one.get("value") for one in options if one.text_content().strip() == label)


def _errors(response: httpx.Response) -> str:
    if response.is_error:
        return response.reason_phrase
    page = html.fromstring(response.text)
    shown = page.xpath("//*[contains(@class, 'errorlist') or contains(@class, 'alert')]")
    return " ".join(dict.fromkeys(" ".join(element.text_content().split()) for element in shown))


def _comment(item: HtmlElement) -> Comment:
    (body,) = item.xpath("./div[@class='mt-3']") or [None]
    (time,) = item.xpath("./small/time")
    return Comment(
        title=item.xpath(".//h6")[0].text_content().strip(),
        text="" if body is None else body.text_content().strip(),
        author=(time.tail or "").strip(" \n·"),
        public=not item.xpath(".//span[contains(@class, 'badge')]/i[contains(@class, 'fa-lock')]"),
        files=tuple(item.xpath(".//a[@target='_blank']/text()")),
    )
