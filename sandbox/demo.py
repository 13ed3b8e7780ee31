"""The demo: a real conversation, both ways, with real processes and real HTTP. `make demo` runs it."""

import hashlib
import json
import os
import secrets
import shutil
import signal
import sys
import time
import webbrowser
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click
import httpx

from sandbox.playground.app import PORT, serving
from sandbox.samples import Sample, document, photo, voice_clip
from sandbox.stack import METRICS_TOKEN, PAGES, NeverHappened, Page, Stack, free_port, until
from sandbox.staff import SeenComment, SeenTicket, Staff

ANNA, BRUNO = "7623554920995436", "7301234567890123"
FOLDER = Path("var/demo")
PORTS = (8000, 9001, 9002)
STACKS = {
    "sandbox": "sandbox.stack:Stack",
    "django-helpdesk": "sandbox.django_helpdesk.stack:DjangoStack",
}
"""By helpdesk. Imported when asked for: a real helpdesk needs packages that the product does not."""


def stack_with(helpdesk: str) -> type[Stack]:
    """Return the stack that has this helpdesk."""
    stack: type[Stack] = resolve_name(STACKS[helpdesk])
    return stack


class Verdict:
    """Prints each step, and remembers what did not hold."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self._started = time.monotonic()

    def step(self, text: str) -> None:
        """Print what happens."""
        click.echo(f"{time.monotonic() - self._started:6.1f} s  {text}")

    def holds(self, text: str, *, truth: bool) -> None:
        """Print whether something is as promised."""
        click.echo(click.style(f"          {'✔' if truth else '✘'} {text}", fg="green" if truth else "red"))
        if not truth:
            self.failures.append(text)


def public(ticket: SeenTicket) -> list[SeenComment]:
    """Return what the customer may see of a ticket, the oldest first."""
    return [comment for comment in ticket.comments if not comment.internal]


def hashes(samples: Sequence[Sample]) -> list[str]:
    """Return the SHA-256 of files."""
    return [hashlib.sha256(sample.data).hexdigest() for sample in samples]


class Story:
    """What Anna, Bruno and an agent do, and what has to come of it."""

    def __init__(self, stack: Stack, verdict: Verdict) -> None:
        self._stack, self._verdict = stack, verdict
        self._staff: Staff = stack.staff_of(stack.desk_url)

    def play(self) -> None:
        """Play the whole story."""
        for page, psid, first, last in (
            (PAGES[0], ANNA, "Anna", "Nowak"),
            (PAGES[1], BRUNO, "Bruno", "Kowalski"),
        ):
            person = {"first_name": first, "last_name": last}
            self._stack.ask_meta("PUT", f"/pages/{page.page_id}/people/{psid}", person)
        ticket = self.customers_write()
        self.agent_answers(ticket)
        self.a_new_case(ticket)

    def customers_write(self) -> SeenTicket:
        """Send text and three files to the first page, text to the second. Return the first one's ticket."""
        step, holds = self._verdict.step, self._verdict.holds
        files = [photo(), document(), voice_clip()]
        step("Anna writes to the page Sugester: a text, a photo, a PDF and a voice clip")
        self._stack.write(ANNA, text="Hello! My parcel has not arrived 😟\nOrder 2026-117.")
        for file in files:
            self._stack.write(ANNA, files=[file.as_json()])
        step("At the same time Bruno writes to the page Fakturownia, which has an app secret of its own")
        self._stack.write(BRUNO, PAGES[1], text="Dzień dobry, gdzie znajdę fakturę?")

        tickets = until("Anna's four messages are on a ticket", lambda: self._with_messages(ANNA, 4))
        ticket = tickets[0]
        place = "one ticket stands in desk 7, with category 12 and its owner"
        holds(place, truth=_stands(tickets, PAGES[0]) and ticket.owner == self._staff.name)
        holds("it names Anna Nowak", truth="Anna Nowak" in ticket.title)
        first, *others = (comment.text for comment in public(ticket))
        in_order = "Hello!" in first and _in_order(others, [".png", "invoice.pdf", ".wav"])
        holds("her messages are in order: text, photo, invoice.pdf, voice", truth=in_order)
        self._files_hold(ticket, files)
        bruno = until("Bruno's message is on a ticket", lambda: self._with_messages(BRUNO, 1))
        holds("Bruno's ticket stands in desk 8", truth=_stands(bruno, PAGES[1]))
        return ticket

    def _with_messages(self, psid: str, count: int) -> list[SeenTicket] | None:
        tickets = self._staff.tickets(psid)
        return tickets if sum(len(public(ticket)) for ticket in tickets) >= count else None

    def _files_hold(self, ticket: SeenTicket, sent: Sequence[Sample]) -> None:
        taken = [file for file in sent if file.content_type not in self._staff.refused]
        there = [file.sha256 for comment in public(ticket) for file in comment.files]
        self._verdict.holds("the files are identical byte for byte", truth=there == hashes(taken))
        if len(taken) < len(sent):
            # The helpdesk has the comment before the connector learns that its file is refused.
            said = until("the refused voice clip is named", lambda: self._saying(".wav” could not be added"))
            what = "the voice clip, of a kind that this helpdesk refuses, is named, once, in the last message"
            self._verdict.holds(what, truth=len(said) == 1 and said[0].id == public(ticket)[-1].id)

    def _saying(self, words: str) -> list[SeenComment]:
        return [one for ticket in self._staff.tickets(ANNA) for one in public(ticket) if words in one.text]

    def agent_answers(self, ticket: SeenTicket) -> None:
        """Reply with text, a picture and a file, and with an internal comment that must stay inside."""
        step, holds, name = self._verdict.step, self._verdict.holds, self._staff.name
        files = [photo("label.png", blue=20), document("return-form.pdf", "Return form")]
        step(f"{name}, an agent, notes something internally, then replies with a text, a picture and a file")
        self._staff.reply(ticket.id, "The carrier lost it.", internal=True)
        terms = "[the terms](https://example.com/terms)"
        text = f"Hello **Anna**, we send it again:\n\n1. keep the label\n2. see {terms}"
        self._staff.reply(ticket.id, text, files=files)
        got = until(
            "Anna has three messages",
            lambda: found if len(found := self._stack.received(ANNA)) >= 3 else None,
        )
        kinds = [one["attachments"][0]["type"] if one["attachments"] else "text" for one in got]
        holds("she gets text, image and file, in this order, once", truth=kinds == ["text", "image", "file"])
        expected = (
            "Hello Anna, we send it again:\n\n1. keep the label\n2. see the terms (https://example.com/terms)"
        )
        holds("the text is plain and complete", truth=got[0]["text"] == expected)
        sent = [attachment["sha256"] for one in got for attachment in one["attachments"]]
        holds("the files are identical byte for byte", truth=sent == hashes(files))
        if self._staff.shows_delivery:
            shown = until("the comment shows its delivery", self._delivered)
            truth = shown.message_ids == tuple(message["mid"] for message in got)
            holds(f"the comment shows that it was {shown.delivery}", truth=truth)

    def _delivered(self) -> SeenComment | None:
        comments = (comment for ticket in self._staff.tickets(ANNA) for comment in ticket.comments)
        return next((comment for comment in comments if comment.delivery in {"delivered", "read"}), None)

    def a_new_case(self, ticket: SeenTicket) -> None:
        """Close the ticket and write once more."""
        self._verdict.step(f"{self._staff.name} closes the ticket; Anna writes once more")
        self._staff.close(ticket.id)
        self._stack.write(ANNA, text="Thank you! One more question …")
        first, second = until(
            "a second ticket", lambda: found if len(found := self._staff.tickets(ANNA)) == 2 else None
        )
        fresh = "Thank you!" in second.comments[0].text and not second.closed
        self._verdict.holds("her message opens a new ticket", truth=first.closed and fresh)


def _stands(tickets: Sequence[SeenTicket], page: Page) -> bool:
    places = [(ticket.desk_id, ticket.category_id) for ticket in tickets]
    return places == [(page.desk_id, page.category_id)]


def _in_order(texts: Sequence[str], words: Sequence[str]) -> bool:
    return len(texts) == len(words) and all(word in text for word, text in zip(words, texts, strict=True))


def conclude(verdict: Verdict) -> int:
    """Print the verdict and return the exit code."""
    if verdict.failures:
        click.echo(f"\n✘ {len(verdict.failures)} of the promises above did not hold.")
        return 1
    click.echo("\n✔ It works: a conversation went both ways, complete, in order, once.")
    return 0


def stay(stack: Stack, playground: str) -> None:
    """Keep running, and say how to take part; `playground` is the address of the page."""
    click.echo(
        f"""
  Open      {playground}   the customer's phone, the agent's ticket, and what goes between them

It keeps running until Ctrl-C.

  Watch     {stack.desk_url}/   {stack.staff_of.note}
            curl -H "Authorization: Bearer {METRICS_TOKEN}" {stack.url}/metrics   the connector's figures
            {FOLDER}/connector.log   the connector's log
  Talk      from a second terminal, in this folder:
            .venv/bin/python -m sandbox write "Where is my parcel?"     as the customer Anna
            .venv/bin/python -m sandbox write --file LICENSE            any file of yours
            .venv/bin/python -m sandbox reply "On its way!"             as an agent, on her newest ticket
            .venv/bin/python -m sandbox close                           the ticket
            .venv/bin/python -m sandbox show                            both sides of the conversation
"""
    )
    open_browser(playground)
    hold_open(stack)


def open_browser(address: str) -> None:
    """Show the page in the browser of whoever sits at this machine, if somebody does."""
    has_screen = any(os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    if has_screen or sys.platform == "darwin":
        webbrowser.open(address)


def hold_open(stack: Stack) -> None:
    """Wait until Ctrl-C, or until the connector stops."""
    while stack.connector.popen.poll() is None:
        time.sleep(0.5)  # polling: Ctrl-C has to be heard meanwhile
    click.echo(f"The connector has stopped; see {stack.connector.log}.", err=True)


def settings_for(port: int) -> dict[str, Any]:
    """Return what the connector needs so that the playground, at this port, can show its own pages."""
    return {
        "secret_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "admin_token": secrets.token_urlsafe(24),
        "framed_by": [f"http://127.0.0.1:{port}"],
    }


def heed_signals() -> None:
    """Let a closed terminal stop the servers as Ctrl-C does, which a script's job ignores until told."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


def already_runs() -> bool:
    """Tell whether the servers of a demo in this folder answer."""
    try:
        url = json.loads((FOLDER / "stack.json").read_text())["meta"]
        return httpx.get(f"{url}/sandbox/webhooks", trust_env=False).is_success
    except (OSError, httpx.TransportError):
        return False


@click.command()
@click.option("--once", is_flag=True, help="Exit after the verdict: 0 if all held, else 1.")
@click.option(
    "--helpdesk", type=click.Choice([*STACKS]), default="sandbox", show_default=True, help="Which one to use."
)
def main(helpdesk: str, *, once: bool) -> None:
    """Start everything, let a customer and an agent talk, and say whether all arrived."""
    heed_signals()
    if already_runs():
        raise click.ClickException(f"A demo already runs in {FOLDER.resolve()}. Stop it first, with Ctrl-C.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    verdict = Verdict()
    try:
        port = free_port(PORT)
        with stack_with(helpdesk)(FOLDER, ports=PORTS, settings=settings_for(port)) as stack:
            kind = "sandbox helpdesk" if helpdesk == "sandbox" else f"real {helpdesk}"
            verdict.step(f"the connector, a sandbox Meta and a {kind} are up (process {os.getpid()})")
            Story(stack, verdict).play()
            code = conclude(verdict)
            if not once:
                stack.check_connections()
                with serving(stack, port) as playground:
                    stay(stack, playground)
    except KeyboardInterrupt:
        click.echo("\nStopped.")
        code = 0 if not verdict.failures else 1
    except NeverHappened as reason:
        click.echo(click.style(f"\n✘ This did not happen: {reason}\n  The logs are in {FOLDER}.", fg="red"))
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
