"""A person at the terminal, who does in the helpdesk what they are asked to."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import click

from clients.media import File
from connector.conformance.hands import Hands
from connector.conformance.suite import Failed, NotChecked

PATIENCE = 60.0
"""How long a comment may take to arrive that a person has written, in seconds."""


class Person(Hands):
    """Asks on standard error, so that a report in JSON stays one."""

    def close_ticket(self, ticket_id: str) -> None:
        """Ask for a ticket to be closed."""
        _ask(f"Close ticket {ticket_id}.")

    def reopen_ticket(self, ticket_id: str) -> None:
        """Ask for a ticket to be opened."""
        _ask(f"Open ticket {ticket_id} again.")

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        """Ask for a comment; its files are written into a folder."""
        kind = "an internal comment" if internal else "a public reply"
        added = f"\nAdd the files in {_written(files)}" if files else ""
        _ask(f"Write {kind} on ticket {ticket_id}:\n\n    {text}\n{added}")

    def confirm(self, ticket_id: str, claim: str) -> bool:
        """Ask whether a ticket is as claimed."""
        click.echo(f"\nLook at ticket {ticket_id}. {claim}", err=True)
        choice = click.Choice(["y", "n", "s"], case_sensitive=False)
        answer = _prompt("Is it so? (s: skip this)", type=choice)
        if answer == "s":
            raise NotChecked("it was skipped")
        if answer == "n":
            raise Failed(f"ticket {ticket_id} is not so: {claim}")
        return True


def _ask(what: str) -> None:
    click.echo(f"\n{what}", err=True)
    answer = _prompt("Then press Enter (s: skip this)", default="", show_default=False)
    if answer.strip().lower() == "s":
        raise NotChecked("it was skipped")


def _prompt(question: str, **options: Any) -> str:
    try:
        answer: str = click.prompt(question, err=True, **options)
    except click.Abort:
        raise KeyboardInterrupt from None  # it ends the run, where an error would only fail a check
    return answer


def _written(files: Sequence[File]) -> Path:
    folder = Path(mkdtemp(prefix="conformance-"))
    for file in files:
        (folder / file.filename).write_bytes(file.stream.read())
    return folder
