"""A person at the terminal, who does in the helpdesk what they are asked to."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import click
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clients.media import File
from conformance.agent import HelpdeskAgent
from conformance.outcome import Cannot, Failed, NotChecked
from conformance.serving import Server

REPLY_WITHIN = 60.0
"""How long a comment may take to arrive that a person has written, in seconds."""
WIDTH = 72
"""How long a line of a text may be that is copied from a terminal, in characters."""


class Files(Server):
    """Serves, on this machine only, the files and texts that a person is asked to put into the helpdesk."""

    def __init__(self) -> None:
        self._served: list[tuple[bytes, dict[str, str]]] = []
        super().__init__([Route("/{number:int}/{name:path}", self._answer)])

    def add(self, file: File) -> str:
        """Serve a file. Return its address, at which a browser saves it under its name."""
        headers = {"Content-Type": file.content_type, "Content-Disposition": "attachment"}
        return self._add(file.filename, file.stream.read(), headers)

    def add_text(self, text: str) -> str:
        """Serve a text. Return its address, at which a browser shows it."""
        return self._add("text", text.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def _add(self, name: str, data: bytes, headers: dict[str, str]) -> str:
        self._served.append((data, headers | {"X-Content-Type-Options": "nosniff"}))
        return f"{self.origin}/{len(self._served) - 1}/{quote(name, safe='')}"

    async def _answer(self, request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(self._served):
            return Response(status_code=404)
        data, headers = self._served[number]
        return Response(data, headers=headers)


class TerminalAgent(HelpdeskAgent):
    """Asks on standard error, so that a report in JSON stays one.

    `files` serves what they have to put into the helpdesk; `address` returns where they see a ticket, or "".
    """

    def __init__(self, files: Files, address: Callable[[str], str] = lambda _: "") -> None:
        self._files, self._address = files, address

    def close_ticket(self, ticket_id: str) -> None:
        """Ask for a ticket to be closed."""
        _ask(f"Close {self._named(ticket_id)}.")

    def reopen_ticket(self, ticket_id: str) -> None:
        """Ask for a ticket to be opened."""
        _ask(f"Open {self._named(ticket_id)} again.")

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        """Ask for a comment; its files are served for the browser to save."""
        kind = "an internal comment" if internal else "a public reply"
        _ask(f"Write {kind} on {self._named(ticket_id)}{self._said(text)}{self._with(files)}")

    def reply_and_close(self, ticket_id: str, text: str) -> None:
        """Ask for a reply that closes its ticket."""
        what = f"Write a public reply on {self._named(ticket_id)}, and close it in the same step"
        _ask(f"{what}{self._said(text)}", "answering and closing in one step")

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        """Ask for a merge."""
        what = f"Merge {self._named(ticket_id)} into {self._named(into)}"
        _ask(f"{what}, so that {into} is the one that is left.", "merging tickets")

    def forbid_ticket(self, ticket_id: str) -> None:
        """Ask for a ticket to be hidden from the connector's user."""
        what = (
            f"Take the right to see {self._named(ticket_id)} from the connector's user (whose token it uses)"
        )
        _ask(
            f"{what}, such as by moving it to a team that they are not in.", "hiding a ticket from the token"
        )

    def confirm(self, ticket_id: str, claim: str) -> bool:
        """Ask whether a ticket is as claimed."""
        click.echo(f"\nLook at {self._named(ticket_id)}. {claim}", err=True)
        choice = click.Choice(["y", "n", "s"], case_sensitive=False)
        answer = _prompt("Is it so? (s: skip this)", type=choice)
        if answer == "s":
            raise NotChecked("it was skipped")
        if answer == "n":
            raise Failed(f"ticket {ticket_id} is not so: {claim}")
        return True

    def _named(self, ticket_id: str) -> str:
        address = self._address(ticket_id)
        return f"ticket {ticket_id} ({address})" if address else f"ticket {ticket_id}"

    def _said(self, text: str) -> str:
        if not text:
            return ", without any text"
        is_wide = max(map(len, text.splitlines())) > WIDTH
        copied = f"\nCopy it from {self._files.add_text(text)}, as one line each.\n" if is_wide else ""
        return f":\n\n    {text}\n{copied}"

    def _with(self, files: Sequence[File]) -> str:
        return "".join(map(self._added, files))

    def _added(self, file: File) -> str:
        may_be_refused = "" if file.size else ", if the helpdesk takes empty files"
        return f"\nAdd the file {file.filename}{may_be_refused}: {self._files.add(file)}"


def _ask(what: str, ability: str = "") -> None:
    """Ask for something. An `ability` is what not every helpdesk has: they may say so."""
    click.echo(f"\n{what}", err=True)
    none = ", n: the helpdesk has no such thing" if ability else ""
    answer = _prompt(f"Then press Enter (s: skip this{none})", default="", show_default=False)
    match answer.strip().lower():
        case "s":
            raise NotChecked("it was skipped")
        case "n" if ability:
            raise Cannot(ability, "so nothing depends on it")


def _prompt(question: str, **options: Any) -> str:
    try:
        answer: str = click.prompt(question, err=True, **options)
    except click.Abort:
        raise KeyboardInterrupt from None  # it ends the run, where an error would only fail a check
    return answer
