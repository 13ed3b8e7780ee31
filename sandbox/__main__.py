"""Talk to the running demo from a second terminal: `python -m sandbox --help`."""

import json
import mimetypes
from pathlib import Path
from typing import Any

import click
import httpx

from sandbox.demo import ANNA, FOLDER
from sandbox.samples import Sample
from sandbox.stack import PAGES

PAGE = PAGES[0].page_id


class Sandbox:
    """The two sandbox servers of the running demo."""

    def __init__(self) -> None:
        file = FOLDER / "stack.json"
        if not file.is_file():
            raise click.ClickException("No demo is running here. Start one with: make demo")
        self._urls = json.loads(file.read_text())

    def ask(self, server: str, method: str, path: str, body: Any = None) -> Any:
        """Give one of the servers an order."""
        try:
            response = httpx.request(
                method, f"{self._urls[server]}/sandbox{path}", json=body, trust_env=False
            )
        except httpx.TransportError:
            raise click.ClickException("The demo does not answer. Start it again with: make demo") from None
        if response.is_error:
            raise click.ClickException(response.text)
        return response.json()

    def newest_ticket(self) -> dict[str, Any]:
        """Return the customer's newest ticket."""
        tickets = self.ask("helpdesk", "GET", f"/tickets?sender_id={ANNA}")["tickets"]
        if not tickets:
            raise click.ClickException("There is no ticket yet. Write something first.")
        newest: dict[str, Any] = tickets[0]
        return newest


def _files(paths: tuple[Path, ...]) -> list[dict[str, Any]]:
    kinds = ((path, mimetypes.guess_type(path.name)[0] or "application/octet-stream") for path in paths)
    return [Sample(path.name, kind, path.read_bytes()).as_json() for path, kind in kinds]


def _names(comment: dict[str, Any]) -> str:
    return " ".join(f"[{one['filename']}]" for one in comment["attachments"])


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
    message = {"text": text or None, "files": _files(paths)}
    if not (text or paths):
        raise click.UsageError("Say something, or name a file.")
    Sandbox().ask("meta", "POST", f"/pages/{PAGE}/people/{ANNA}/messages", message)
    click.echo("Anna wrote.")


@main.command()
@click.argument("text", default="")
@click.option("--internal", is_flag=True, help="A note for agents only.")
@file_option
def reply(text: str, paths: tuple[Path, ...], *, internal: bool) -> None:
    """Comment on Anna's newest ticket as the agent Ola."""
    if not (text or paths):
        raise click.UsageError("Say something, or name a file.")
    sandbox = Sandbox()
    comment = {"body": text, "internal": internal, "files": _files(paths)}
    sandbox.ask("helpdesk", "POST", f"/tickets/{sandbox.newest_ticket()['id']}/comments", comment)
    click.echo("Ola commented.")


@main.command()
def close() -> None:
    """Close Anna's newest ticket."""
    sandbox = Sandbox()
    sandbox.ask("helpdesk", "POST", f"/tickets/{sandbox.newest_ticket()['id']}/close")
    click.echo("Ola closed the ticket.")


@main.command()
def show() -> None:
    """Show what Anna sees in Messenger, and what the agents see on her newest ticket."""
    sandbox = Sandbox()
    click.secho("Messenger", bold=True)
    for message in sandbox.ask("meta", "GET", f"/pages/{PAGE}/people/{ANNA}/messages"):
        what = [
            message.get("text"),
            *(f"[{one['type']} {one.get('filename', '')}]" for one in message["attachments"]),
        ]
        click.echo(f"  {message['sender']:>8}  {' '.join(filter(None, what))}")
    ticket = sandbox.newest_ticket()
    click.secho(
        f"Ticket {ticket['id']}: {ticket['title']}{' (closed)' if ticket['closed'] else ''}", bold=True
    )
    click.echo(f"  {'customer':>8}  {ticket['body']}")
    for comment in ticket["comments"]:
        status = comment["config"].get("delivery", {}).get("status", "")
        notes = ", ".join(filter(None, ["internal" if comment["internal"] else "", status]))
        said = " ".join(filter(None, [comment["body"], _names(comment)]))
        click.echo(f"  {comment['author']['type']:>8}  {said}{f'  ({notes})' if notes else ''}")


if __name__ == "__main__":
    main()
