"""The demo: a real conversation, both ways, with real processes and real HTTP. `make demo` runs it."""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import httpx

from sandbox.samples import Sample, document, photo, voice_clip
from sandbox.stack import PAGES, NeverHappened, Page, Stack, until

ANNA, BRUNO = "7623554920995436", "7301234567890123"
FOLDER = Path("var/demo")
PORTS = (8000, 6390, 9001, 9002)


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


def shown(ticket: dict[str, Any]) -> list[str]:
    """Return the ticket's bodies, the oldest first."""
    return [ticket["body"], *(comment["body"] for comment in ticket["comments"] if not comment["internal"])]


def hashes(attachments: Sequence[dict[str, Any]]) -> list[str]:
    """Return the SHA-256 of files in the order they stand."""
    return [attachment["sha256"] for attachment in attachments]


def sha256(sample: Sample) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(sample.data).hexdigest()


def customer_writes(stack: Stack, verdict: Verdict) -> dict[str, Any]:
    """Send text and three files to the first page, and text to the second; return the first one's ticket."""
    files = [photo(), document(), voice_clip()]
    verdict.step("Anna writes to the page Sugester: a text, a photo, a PDF and a voice clip")
    stack.write(ANNA, text="Hello! My parcel has not arrived 😟\nOrder 2026-117.")
    for file in files:
        stack.write(ANNA, files=[file.as_json()])
    verdict.step("At the same time Bruno writes to the page Fakturownia, which has an app secret of its own")
    stack.write(BRUNO, PAGES[1], text="Dzień dobry, gdzie znajdę fakturę?")

    tickets = until("Anna's four messages are on a ticket", lambda: _complete(stack, ANNA, 4))
    ticket, texts = tickets[0], shown(tickets[0])
    comments = ticket["comments"]
    received = [*hashes(ticket["attachments"]), *(h for one in comments for h in hashes(one["attachments"]))]
    verdict.holds(
        "one ticket stands in desk 7, with category 12 and its owner", truth=_routed(tickets, PAGES[0])
    )
    verdict.holds("it names Anna Nowak", truth=ticket["requester"]["name"] == "Anna Nowak")
    names = ["photo", "invoice.pdf", "voice"]
    in_order = texts[0].startswith("Hello!") and len(texts) == 4
    verdict.holds(
        f"her messages are in order: text, {', '.join(names)}",
        truth=in_order and all(bool(text) for text in texts),
    )
    verdict.holds("the files are identical byte for byte", truth=received == [sha256(file) for file in files])
    other = until("Bruno's message is on a ticket", lambda: _complete(stack, BRUNO, 1))
    verdict.holds("Bruno's ticket stands in desk 8", truth=_routed(other, PAGES[1]))
    return ticket


def _complete(stack: Stack, psid: str, messages: int) -> list[dict[str, Any]] | None:
    tickets = stack.tickets(psid)
    return tickets if sum(len(shown(ticket)) for ticket in tickets) >= messages else None


def _routed(tickets: list[dict[str, Any]], page: Page) -> bool:
    ticket = tickets[0]
    owner = "Ola" if page.category_id else None
    place = (ticket["desk_id"], ticket["category_id"], ticket["assignee"])
    return len(tickets) == 1 and place == (page.desk_id, page.category_id, owner)


def agent_answers(stack: Stack, verdict: Verdict, ticket: dict[str, Any]) -> None:
    """Reply with text, a picture and a file, and with an internal comment that must stay inside."""
    picture, file = photo("label.png", blue=20), document("return-form.pdf", "Return form")
    verdict.step("Ola, an agent, notes something internally, then replies with a text, a picture and a file")
    stack.reply(ticket["id"], "The carrier lost it.", internal=True)
    reply = stack.reply(
        ticket["id"],
        "Hello **Anna**, we send it again:\n\n1. keep the label\n2. see [the terms](https://example.com/terms)",
        files=[picture.as_json(), file.as_json()],
    )
    got = until("Anna has three messages", lambda: _at_least(stack.received(ANNA), 3))
    kinds = [one["attachments"][0]["type"] if one["attachments"] else "text" for one in got]
    verdict.holds(
        "she gets text, image and file, in this order, once", truth=kinds == ["text", "image", "file"]
    )
    expected = (
        "Hello Anna, we send it again:\n\n1. keep the label\n2. see the terms (https://example.com/terms)"
    )
    verdict.holds("the text is plain and complete", truth=got[0]["text"] == expected)
    sent = [h for one in got for h in hashes(one["attachments"])]
    verdict.holds("the files are identical byte for byte", truth=sent == [sha256(picture), sha256(file)])
    delivery = until("the comment shows its delivery", lambda: _delivery(stack, reply["id"]))
    verdict.holds(
        f"the comment shows that it was {delivery['status']}",
        truth=delivery["message_ids"] == [m["mid"] for m in got],
    )


def _at_least(found: list[dict[str, Any]], count: int) -> list[dict[str, Any]] | None:
    return found if len(found) >= count else None


def _delivery(stack: Stack, comment_id: str) -> dict[str, Any] | None:
    comments = [comment for ticket in stack.tickets() for comment in ticket["comments"]]
    config: dict[str, Any] = next(comment["config"] for comment in comments if comment["id"] == comment_id)
    found: dict[str, Any] = config.get("delivery", {})
    return found if found.get("status") in {"delivered", "read"} else None


def a_new_case(stack: Stack, verdict: Verdict, ticket: dict[str, Any]) -> None:
    """Close the ticket and write once more."""
    verdict.step("Ola closes the ticket; Anna writes once more")
    stack.ask_desk("POST", f"/tickets/{ticket['id']}/close")
    stack.write(ANNA, text="Thank you! One more question …")
    tickets = until("a second ticket", lambda: _at_least(stack.tickets(ANNA), 2))
    fresh = tickets[1]["body"].startswith("Thank you!") and not tickets[1]["closed"]
    verdict.holds(
        "her message opens a new ticket", truth=len(tickets) == 2 and tickets[0]["closed"] and fresh
    )


def converse(stack: Stack, verdict: Verdict) -> None:
    """Play the whole story."""
    for page, psid, first, last in (
        (PAGES[0], ANNA, "Anna", "Nowak"),
        (PAGES[1], BRUNO, "Bruno", "Kowalski"),
    ):
        person = {"first_name": first, "last_name": last}
        stack.ask_meta("PUT", f"/pages/{page.page_id}/people/{psid}", person)
    ticket = customer_writes(stack, verdict)
    agent_answers(stack, verdict, ticket)
    a_new_case(stack, verdict, ticket)


def conclude(verdict: Verdict) -> int:
    """Print the verdict and return the exit code."""
    if verdict.failures:
        click.echo(f"\n✘ {len(verdict.failures)} of the promises above did not hold.")
        return 1
    click.echo("\n✔ It works: a conversation went both ways, complete, in order, once.")
    return 0


def stay(stack: Stack) -> None:
    """Keep running, and say how to take part."""
    click.echo(
        f"""
It keeps running until Ctrl-C.

  Watch     {stack.desk_url}/   the helpdesk's tickets
            {stack.url}/metrics   the connector's figures
            {FOLDER}/connector.log   the connector's log
  Talk      from a second terminal, in this folder:
            .venv/bin/python -m sandbox write "Where is my parcel?"     as the customer Anna
            .venv/bin/python -m sandbox write --file README.md          any file of yours
            .venv/bin/python -m sandbox reply "On its way!"             as an agent, on her newest ticket
            .venv/bin/python -m sandbox close                           the ticket
            .venv/bin/python -m sandbox show                            both sides of the conversation
"""
    )
    while stack.connector.popen.poll() is None:
        time.sleep(0.5)  # until Ctrl-C
    click.echo(f"The connector has stopped; see {stack.connector.log}.", err=True)


def already_runs() -> bool:
    """Tell whether the servers of a demo in this folder answer."""
    try:
        url = json.loads((FOLDER / "stack.json").read_text())["helpdesk"]
        return httpx.get(f"{url}/sandbox/webhooks", trust_env=False).is_success
    except (OSError, httpx.TransportError):
        return False


@click.command()
@click.option("--once", is_flag=True, help="Exit after the verdict: 0 if all held, else 1.")
def main(*, once: bool) -> None:
    """Start everything, let a customer and an agent talk, and say whether all arrived."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must stop the servers as Ctrl-C does
        signal.signal(number, signal.default_int_handler)
    if already_runs():
        raise click.ClickException(f"A demo already runs in {FOLDER.resolve()}. Stop it first, with Ctrl-C.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    verdict = Verdict()
    try:
        with Stack(FOLDER, ports=PORTS) as stack:
            verdict.step(
                f"the connector, a sandbox Meta and a sandbox helpdesk are up (process {os.getpid()})"
            )
            converse(stack, verdict)
            code = conclude(verdict)
            if not once:
                stay(stack)
    except KeyboardInterrupt:
        click.echo("\nStopped.")
        code = 0 if not verdict.failures else 1
    except NeverHappened as reason:
        click.echo(click.style(f"\n✘ This did not happen: {reason}\n  The logs are in {FOLDER}.", fg="red"))
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
