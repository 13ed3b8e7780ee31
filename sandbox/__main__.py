"""Talk to the running demo from a second terminal: `python -m sandbox --help`."""

import json
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx

from sandbox.demo import ANNA, FOLDER, STACKS, stack_with
from sandbox.samples import Sample
from sandbox.stack import PAGES
from sandbox.staff import Refused, SeenTicket, Staff

PAGE = PAGES[0].page_id


class Sandbox:
    """The two sides of the running demo."""

    def __init__(self) -> None:
        file = FOLDER / "stack.json"
        if not file.is_file():
            raise click.ClickException("No demo is running here. Start one with: make demo")
        self._known = json.loads(file.read_text())
        self._meta = self._known["meta"]
        self.anna = self._known.get("anna", ANNA)

    @property
    def has_staff(self) -> bool:
        """Tell whether the helpdesk's agents do what they are told here."""
        return self._known["helpdesk"] in STACKS

    @property
    def staff(self) -> Staff:
        """Return the helpdesk's agents."""
        if not self.has_staff:
            raise click.ClickException("This helpdesk is your own: do it there.")
        return stack_with(self._known["helpdesk"]).staff_of(self._known["desk"])

    def ask_meta(self, method: str, path: str, body: Any = None) -> Any:
        """Give the sandbox Meta an order."""
        response = httpx.request(method, f"{self._meta}/sandbox{path}", json=body, trust_env=False)
        if response.is_error:
            raise click.ClickException(response.text)
        return response.json()

    def newest_ticket(self) -> SeenTicket:
        """Return the customer's newest ticket."""
        tickets = self.staff.tickets(self.anna)
        if not tickets:
            raise click.ClickException("There is no ticket yet. Write something first.")
        return tickets[-1]


@contextmanager
def running_demo() -> Iterator[Sandbox]:
    """Give the running demo. One that does not answer, or refuses, is told in a line."""
    try:
        yield Sandbox()
    except httpx.TransportError:
        raise click.ClickException("The demo does not answer. Start it again with: make demo") from None
    except Refused as refused:
        raise click.ClickException(f"The helpdesk refused it: {refused}") from None


def _samples(paths: tuple[Path, ...]) -> list[Sample]:
    kinds = ((path, mimetypes.guess_type(path.name)[0] or "application/octet-stream") for path in paths)
    return [Sample(path.name, kind, path.read_bytes()) for path, kind in kinds]


file_option = click.option(
    "--file",
    "paths",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file to send.",
)


@click.group()
def main() -> None:
    """Take part in the running demo."""


@main.command()
@click.argument("text", default="")
@file_option
def write(text: str, paths: tuple[Path, ...]) -> None:
    """Write to the page as the customer Anna."""
    if not (text or paths):
        raise click.UsageError("Say something, or name a file.")
    message = {"text": text or None, "files": [sample.as_json() for sample in _samples(paths)]}
    with running_demo() as demo:
        demo.ask_meta("POST", f"/pages/{PAGE}/people/{demo.anna}/messages", message)
    click.echo("Anna wrote.")


@main.command()
@click.argument("text", default="")
@click.option("--internal", is_flag=True, help="A note for agents only.")
@file_option
def reply(text: str, paths: tuple[Path, ...], *, internal: bool) -> None:
    """Comment on Anna's newest ticket as an agent."""
    if not (text or paths):
        raise click.UsageError("Say something, or name a file.")
    with running_demo() as demo:
        ticket = demo.newest_ticket()
        demo.staff.reply(ticket.id, text, internal=internal, files=_samples(paths))
        click.echo(f"{demo.staff.name} commented.")


@main.command()
def close() -> None:
    """Close Anna's newest ticket."""
    with running_demo() as demo:
        demo.staff.close(demo.newest_ticket().id)
        click.echo(f"{demo.staff.name} closed the ticket.")


@main.command()
def show() -> None:
    """Show what Anna sees in Messenger, and what agents of a sandbox see on her newest ticket."""
    with running_demo() as demo:
        messages = demo.ask_meta("GET", f"/pages/{PAGE}/people/{demo.anna}/messages")
        _show_messenger(messages)
        if demo.has_staff:
            _show_ticket(demo.newest_ticket())


def _show_messenger(messages: list[dict[str, Any]]) -> None:
    click.secho("Messenger", bold=True)
    for message in messages:
        what = [
            message.get("text"),
            *(f"[{one['type']} {one.get('filename', '')}]" for one in message["attachments"]),
        ]
        click.echo(f"  {message['sender']:>8}  {' '.join(filter(None, what))}")


def _show_ticket(ticket: SeenTicket) -> None:
    click.secho(f"Ticket {ticket.id}: {ticket.title}{' (closed)' if ticket.closed else ''}", bold=True)
    for comment in ticket.comments:
        notes = ", ".join(filter(None, ["internal" if comment.internal else "", comment.delivery]))
        said = " ".join(filter(None, [comment.text, *(f"[{file.filename}]" for file in comment.files)]))
        click.echo(f"  {comment.author:>8}  {said}{f'  ({notes})' if notes else ''}")


if __name__ == "__main__":
    main()
