"""Somebody at the playground's page, in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Dialog, FilePayload, Locator, Page, ViewportSize, expect

from sandbox.samples import Sample
from tests.docs.camera import browser_page

PATIENCE = 15_000  # ms
SHOWN = (
    "before => location.href !== before && location.hash === `#${document.getElementById('customer').value}`"
)
WINDOW = ViewportSize(width=1400, height=1000)


class Player:
    """Somebody at the page, as customer and as agent, and all that the page asked for and said meanwhile."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", self._dismiss)
        self.phone, self.desk = page.locator("#phone"), page.locator("#desk")
        self.messages, self.comments = page.locator("#phone .message"), page.locator("#desk .comment")

    def _dismiss(self, dialog: Dialog) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def begin(self, first: str = "Anna", last: str = "Nowak") -> None:
        """Open the page as a new customer, who has written nothing."""
        self.page.goto("about:blank")
        self.page.goto(self.address)
        expect(self.page.get_by_label("writes to")).not_to_have_value("")  # the page knows what there is
        before = self.page.url
        self.add(first, last)
        expect(self.page.locator("#new-customer")).to_be_hidden()
        self.page.wait_for_function(SHOWN, arg=before)  # and not the one who was shown before
        expect(self.desk.locator(".notice")).to_contain_text("There is no ticket yet")

    def add(self, first: str, last: str) -> None:
        """Add a customer, who is shown then."""
        self.page.get_by_role("button", name="New customer").click()
        self.page.get_by_label("First name").fill(first)
        self.page.get_by_label("Last name").fill(last)
        self.page.get_by_role("button", name="Add", exact=True).click()

    def write(self, text: str, *files: Sample) -> None:
        """Write as the customer."""
        if files:
            self.page.locator("#phone-files").set_input_files([_payload(file) for file in files])
        self.page.locator("#phone-text").fill(text)
        self.page.locator("#phone-text").press("Enter")

    def reply(self, text: str, *files: Sample, internal: bool = False) -> None:
        """Comment as the agent."""
        self.desk.get_by_label("Internal note" if internal else "Public reply").check()
        if files:
            self.page.locator("#reply-files").set_input_files([_payload(file) for file in files])
        self.page.locator("#reply-text").fill(text)
        self.desk.get_by_role("button", name="Add note" if internal else "Send reply").click()

    def message(self, text: str) -> Locator:
        """Return a message on the phone."""
        return self.messages.filter(has_text=text)

    def comment(self, text: str) -> Locator:
        """Return a comment on the ticket."""
        return self.comments.filter(has_text=text)

    def act(self, message: Locator, name: str) -> None:
        """Choose what to do with a message."""
        message.locator("summary").click()
        message.get_by_role("button", name=name).click()

    def switch(self, name: str) -> Locator:
        """Return a switch with what it says."""
        return self.page.locator(".switch").filter(has_text=name)


def _payload(file: Sample) -> FilePayload:
    return FilePayload(name=file.filename, mimeType=file.content_type, buffer=file.data)


@contextmanager
def browser_of_players() -> Iterator[Browser]:
    """Give a browser."""
    expect.set_options(timeout=PATIENCE)
    with browser_page() as page:
        assert page.context.browser
        yield page.context.browser


@contextmanager
def player_at(browser: Browser, address: str) -> Iterator[Player]:
    """Give a player at a page of their own."""
    page = browser.new_page(viewport=WINDOW, color_scheme="light")
    page.set_default_timeout(PATIENCE)
    try:
        yield Player(page, address)
    finally:
        page.close()
