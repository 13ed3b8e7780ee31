"""The demo's story with a helpdesk under construction: what is written, asked for, and has to come of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import TypeVar

import click
import msgspec

from clients.channels.meta.events import CHANNEL
from clients.errors import ClientError
from clients.http import segment
from clients.text.plain import to_plain_text
from sandbox.demo import Verdict
from sandbox.samples import Sample, document, photo, voice_clip
from sandbox.stack import NeverHappened
from sandbox.vendor.notes import Notes
from sandbox.vendor.stack import VendorStack
from sandbox.vendor.witness import Comments, OneTicket, SeenComment, SeenTicket, Stored, Tickets, Witness

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

ARRIVES_WITHIN = 30.0
"""How long what is under way may take, in seconds."""
LOOK_EVERY, TELL_EVERY = 0.25, 15.0
MAX_BYTES = 26_214_400


class Desk:
    """The helpdesk under construction, as its API shows it. Raises `ClientError` and `ValidationError`."""

    def __init__(self, adapter: Witness) -> None:
        self._adapter = adapter

    def tickets(self, **filters: str) -> list[SeenTicket]:
        """Return the tickets that meet the filters."""
        return self._ask("/tickets", Tickets, filters).tickets

    def ticket(self, ticket_id: str) -> SeenTicket:
        """Return a ticket."""
        return self._ask(f"/tickets/{segment(ticket_id)}", OneTicket).ticket

    def comments(self, ticket_id: str, **filters: str) -> list[SeenComment]:
        """Return the comments of a ticket that meet the filters."""
        return self._ask(f"/tickets/{segment(ticket_id)}/comments", Comments, filters).comments

    def by_agents(self, ticket_id: str, *, internal: bool) -> list[SeenComment]:
        """Return what agents wrote on a ticket."""
        return [
            one
            for one in self.comments(ticket_id)
            if one.author.type == "agent" and one.internal is internal and one.config.get("source") != CHANNEL
        ]

    def hashes(self, comments: Sequence[SeenComment]) -> list[str]:
        """Return the SHA-256 of the comments' files."""
        return [self._hash(one) for comment in comments for one in comment.attachments]

    def _hash(self, stored: Stored) -> str:
        with self._adapter.open_attachment(stored.attachment(), MAX_BYTES) as file:
            return sha256(file.stream.read()).hexdigest()

    def _ask(self, path: str, shape: type[S], filters: Mapping[str, str] | None = None) -> S:
        return msgspec.convert(self._adapter.call("GET", path, params=filters or None), shape)


class VendorStory:
    """What Anna and Bruno write, what an agent is asked to do, and what has to come of it."""

    def __init__(
        self, stack: VendorStack, desk: Desk, notes: Notes, verdict: Verdict, patience: float
    ) -> None:
        self._stack, self._desk, self._notes, self._verdict = stack, desk, notes, verdict
        self._patience = patience
        self.anna, self.bruno = stack.anna, stack.bruno

    def play(self) -> None:
        """Play the whole story."""
        page = self._stack.pages[0].page_id
        for psid, first, last in ((self.anna, "Anna", "Nowak"), (self.bruno, "Bruno", "Kowalski")):
            person = {"first_name": first, "last_name": last}
            self._stack.ask_meta("PUT", f"/pages/{page}/people/{psid}", person)
        ticket = self.customers_write()
        self.agent_notes(ticket)
        self.agent_answers(ticket)
        self.a_new_case(ticket)
        different = self._notes.differences()
        self._verdict.holds(
            "all answers and webhooks are as docs/helpdesk-api.yaml says", truth=not different
        )
        for one in different:
            click.echo(f"            {one}")

    # --- What customers write. --------------------------------------------------------------------------

    def customers_write(self) -> SeenTicket:
        """Send text and three files as Anna, text as Bruno. Return Anna's ticket."""
        files = [photo(), document(), voice_clip()]
        self._step("Anna writes to the page: a text, a photo, a PDF and a voice clip; Bruno writes a text")
        first, *others = [
            self._stack.write(self.anna, text="Hello! My parcel has not arrived 😟\nOrder 2026-117."),
            *(self._stack.write(self.anna, files=[file.as_json()]) for file in files),
        ]
        bruno = self._stack.write(self.bruno, text="Dzień dobry, gdzie znajdę fakturę?")
        ticket = self._until("Anna's text is a ticket, found by its external_id", lambda: self._opened(first))
        page = self._stack.pages[0]
        category = page.category_id or ticket.category_id
        place = (page.desk_id, category)
        self._holds(f"it stands in desk {page.desk_id}", (ticket.desk_id, ticket.category_id) == place)
        config = {name: ticket.config.get(name) for name in ("source", "page_id", "sender_id")}
        self._holds("its config says whom it is about", config == self._of(self.anna))
        placed = [
            self._until(
                f"{file.filename} is a comment, found by its external_id",
                partial(self._added, ticket.id, mid),
            )
            for file, mid in zip(files, others, strict=True)
        ]
        ids = [one.id for one in self._desk.comments(ticket.id)]
        self._holds("the comments are in order, once", ids == [one.id for one in placed])
        for file, comment in zip(files, placed, strict=True):
            self._file_holds(file, comment)
        open_ones = [one.id for one in self._desk.tickets(**self._of(self.anna), closed="false")]
        self._holds("Anna has one open ticket, and findTickets finds it", open_ones == [ticket.id])
        other = self._until("Bruno's text is a ticket", lambda: self._opened(bruno))
        self._holds("Bruno has a ticket of his own", other.id != ticket.id)
        return ticket

    def _of(self, psid: str) -> dict[str, str]:
        return {"source": CHANNEL, "page_id": self._stack.pages[0].page_id, "sender_id": psid}

    def _opened(self, mid: str) -> SeenTicket | None:
        return next(iter(self._desk.tickets(external_id=mid)), None)

    def _added(self, ticket_id: str, mid: str) -> SeenComment | None:
        return next(iter(self._desk.comments(ticket_id, external_id=mid)), None)

    def _file_holds(self, sent: Sample, comment: SeenComment) -> None:
        if not comment.attachments and "could not be added" in comment.body:
            self._holds(f"that the helpdesk refused {sent.filename} is told in the comment", truth=True)
            return
        same = self._desk.hashes([comment]) == [sha256(sent.data).hexdigest()]
        self._holds(f"{sent.filename} is there, identical byte for byte", same)

    # --- What an agent does. ----------------------------------------------------------------------------

    def agent_notes(self, ticket: SeenTicket) -> None:
        """Have an agent write an internal comment."""
        self._ask(f"Open ticket {ticket.id} ({ticket.url}) and write an internal comment, for agents only.")
        self._await_agent(ticket, "an agent's internal comment stands on the ticket", internal=True)

    def agent_answers(self, ticket: SeenTicket) -> None:
        """Have an agent reply with text and a picture, and look at what reaches Anna."""
        self._ask(
            f"Now answer Anna on ticket {ticket.id}: publicly, with a text and a picture (PNG or JPEG)."
        )
        first = self._await_agent(ticket, "an agent's public answer stands on the ticket", internal=False)
        so_far = partial(self._notes.about_webhooks, first.id)
        self._until("it reaches Anna in Messenger", self._received, so_far=so_far)
        self._until(
            "a text and a picture reach her (if you left one out, send it now)",
            lambda: {"text", "image"} <= {kind for kind, _ in self._received()},
            self._patience,
        )
        self._soon("Anna got all of the answer, plain, in order, once", lambda: self._all_came(ticket))
        self._rest_holds(ticket)

    def _await_agent(self, ticket: SeenTicket, what: str, *, internal: bool) -> SeenComment:
        first, *_ = self._until(
            what,
            lambda: self._desk.by_agents(ticket.id, internal=internal),
            self._patience,
            lambda: self._seen(ticket),
        )
        return first

    def _received(self) -> list[tuple[str, str]]:
        """Return what Anna got: `text` and the words, or the kind of a file and its SHA-256."""
        return [
            part
            for message in self._stack.received(self.anna)
            for part in (
                *([("text", message["text"])] if message.get("text") else []),
                *((file["type"], file["sha256"]) for file in message["attachments"]),
            )
        ]

    def _all_came(self, ticket: SeenTicket) -> bool:
        answers = self._desk.by_agents(ticket.id, internal=False)
        texts = [words for kind, words in self._received() if kind == "text"]
        files = sum(len(one.attachments) for one in answers)
        return _words(texts) == _words(_plain(answers)) and len(self._received()) == len(texts) + files

    def _rest_holds(self, ticket: SeenTicket) -> None:
        answers = self._desk.by_agents(ticket.id, internal=False)
        files = [digest for kind, digest in self._received() if kind != "text"]
        self._holds("she got the files, identical byte for byte", files == self._desk.hashes(answers))
        inside = set(_plain(self._desk.by_agents(ticket.id, internal=True))) - set(_plain(answers))
        self._holds(
            "the internal comment stayed inside", not any(words in inside for _, words in self._received())
        )
        self._soon(
            "config.delivery of the answer says delivered or read",
            lambda: _delivered(self._desk.by_agents(ticket.id, internal=False)),
        )

    def a_new_case(self, ticket: SeenTicket) -> None:
        """Have an agent close the ticket, and write once more."""
        self._ask(f"Now close ticket {ticket.id}.")
        what = f"ticket {ticket.id} is closed"
        self._until(what, lambda: self._desk.ticket(ticket.id).closed, self._patience)
        self._step("Anna writes once more")
        mid = self._stack.write(self.anna, text="Thank you! One more question …")
        late = "the closed ticket took the message: createComment has to answer 409 ticket_closed"
        second = self._until(
            "her message opens a new ticket",
            lambda: self._opened(mid),
            so_far=lambda: late if self._added(ticket.id, mid) else "",
        )
        self._holds("it is another ticket, and open", second.id != ticket.id and not second.closed)

    # --- Telling, asking and waiting. -------------------------------------------------------------------

    def _step(self, text: str) -> None:
        self._notes.begin()
        self._verdict.step(text)

    def _ask(self, text: str) -> None:
        self._notes.begin()
        click.echo()
        self._verdict.step(click.style(f"▶ {text}", bold=True))

    def _holds(self, text: str, truth: bool) -> None:  # noqa: FBT001 - it reads as `Verdict.holds` does
        self._verdict.holds(text, truth=truth)

    def _until(
        self,
        what: str,
        probe: Callable[[], T | None],
        within: float = ARRIVES_WITHIN,
        so_far: Callable[[], str] = lambda: "",
    ) -> T:
        """Wait until `probe` finds something, and return it. Raises `NeverHappened`."""
        found = self._wait(what, probe, within, so_far)
        if found is None:
            nobody = "\n  Nobody did it in time; --patience says how long that is." * (
                within == self._patience
            )
            raise NeverHappened(f"{what} (waited {within:.0f} s){_after(so_far)}{nobody}")
        self._holds(what, truth=True)
        return found

    def _soon(self, what: str, probe: Callable[[], bool | None]) -> None:
        """Wait until something holds. If it never does, tell so, and go on."""
        held = self._wait(what, probe, ARRIVES_WITHIN, lambda: "")
        self._holds(what, truth=bool(held))
        if not held:
            tell(self._notes.failures())

    def _wait(
        self, what: str, probe: Callable[[], T | None], within: float, so_far: Callable[[], str]
    ) -> T | None:
        began, told = time.monotonic(), TELL_EVERY
        while (waited := time.monotonic() - began) < within:
            if found := _tried(probe):
                return found
            if waited > told:
                told += TELL_EVERY
                self._verdict.step(f"  … {waited:.0f} of {within:.0f} s, until {what}{_after(so_far)}")
            time.sleep(LOOK_EVERY)  # polling: a helpdesk tells nobody
        return None

    def _seen(self, ticket: SeenTicket) -> str:
        """Say what stands on a ticket where an agent is waited for, and what came of webhooks."""
        comments = self._desk.comments(ticket.id)
        others = [one for one in comments if one.config.get("source") != CHANNEL]
        shown = ", ".join(
            f"{one.id} (author.type {one.author.type}, internal {one.internal})" for one in others
        )
        return f"comments that are not the connector's: {shown or 'none'}; {self._notes.about_webhooks()}"


def _tried(probe: Callable[[], T | None]) -> T | None:
    """Return what `probe` finds. What a call says that fails is in the notes."""
    try:
        return probe()
    except (ClientError, msgspec.ValidationError):
        return None


def _after(so_far: Callable[[], str]) -> str:
    """Return what there is to add to a line."""
    said = _tried(so_far)
    return f"; so far: {said}" if said else ""


def _plain(comments: Sequence[SeenComment]) -> list[str]:
    return [text for one in comments if (text := to_plain_text(one.body, one.body_format).strip())]


def _words(texts: Sequence[str]) -> list[str]:
    """Return the words of texts, which may have been split where a message ended."""
    return " ".join(texts).split()


def _delivered(comments: Sequence[SeenComment]) -> bool:
    states = [one.config.get("delivery", {}).get("status") for one in comments]
    return bool(states) and all(state in {"delivered", "read"} for state in states)


def tell(failures: Sequence[str]) -> None:
    """Say which calls of the helpdesk went wrong."""
    said = "Calls of the helpdesk that went wrong:" if failures else "No call of the helpdesk went wrong."
    click.echo("\n".join([f"          {said}", *(_indented(one) for one in failures)]))


def _indented(text: str) -> str:
    return "\n".join(f"            {line}" for line in text.splitlines())
