"""The ledger: what was accepted against what stands on the other remote."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.chaos.people import People, Written
from tests.chaos.records import Json, Records, Tried, seconds
from tests.chaos.system import System

SOURCE = "facebook_messenger"
IN, OUT = "messages", "replies"


@dataclass(frozen=True)
class Wrong:
    """Something that is wrong: its kind, which way it went, and the words by which its traces are found.

    `since` is when the message was written, in unix seconds.
    """

    direction: str
    kind: str
    psid: str
    what: str
    traces: tuple[str, ...]
    since: float


@dataclass
class Ledger:
    """One part of a run, as both sandbox servers and the store tell it after the end."""

    system: System
    people: People
    records: Records
    stays: dict[str, list[float]] = field(default_factory=lambda: {IN: [], OUT: []})
    accepted: Counter[str] = field(default_factory=Counter)
    arrived: Counter[str] = field(default_factory=Counter)

    def wrong(self) -> list[Wrong]:
        """Return all that is wrong, the oldest first."""
        found = [*self._dead()]
        for psid, written in self.people.written.items():
            tickets = self.system.tickets(psid)
            found += [*self._inbound(psid, written, tickets), *self._outbound(psid, tickets)]
        return sorted(found, key=lambda one: one.since)

    def _dead(self) -> Iterator[Wrong]:
        for letter in self.records.letters:
            direction, *_, psid = letter["queue"].split(":")
            if psid in self.people.written:
                what = f"dead letter of {letter['queue']}: {letter['reason']}"
                yield Wrong(
                    IN if direction == "in" else OUT, "dead", psid, what, (psid,), letter["time"] / 1000
                )

    def _missing(self, wrong: Wrong, text: str, tried: Tried | None) -> Iterator[Wrong]:
        """Tell what became of something that is not there, or not whole; dead letters are told elsewhere."""
        if any(text in letter["body"] for letter in self.records.letters):
            return
        if tried is None or tried.accepted is None:
            yield replace(wrong, kind="stuck", what=f"{wrong.what} was never accepted")
        elif text in self.records.waiting:
            yield replace(wrong, kind="stuck", what=f"{wrong.what} is still in the queue")
        else:
            yield replace(wrong, what=f"{wrong.what} is nowhere")

    # Messenger to helpdesk.

    def _inbound(self, psid: str, written: list[Written], tickets: list[Json]) -> Iterator[Wrong]:
        entries = [entry for ticket in tickets for entry in (ticket, *ticket["comments"])]
        places: dict[str, int] = {}
        for one in written:
            found = [n for n, entry in enumerate(entries) if _says(entry, one.text)]
            tried = self.records.tried.get(one.mid)
            self.accepted[IN] += bool(tried and tried.accepted)
            self.arrived[IN] += bool(found)
            if found:
                places[one.mid] = found[0]
                yield from self._check_message(one, [entries[n] for n in found])
            else:
                lost = Wrong(IN, "lost", psid, f"“{one.text}”", (one.mid,), one.at / 1000)
                yield from self._missing(lost, one.text, tried)
        yield from self._disorder(psid, written, places)
        yield from self._strays(psid, written, tickets, entries)

    def _check_message(self, one: Written, found: list[Json]) -> Iterator[Wrong]:
        tried = self.records.tried[one.mid]
        self.stays[IN].append(self.records.stored.get(one.mid, 0) - (tried.accepted or tried.first))
        where, since = (one.mid,), one.at / 1000
        if len(found) > 1:
            what = f"“{one.text}” stands {len(found)} times"
            yield Wrong(IN, "doubled", one.psid, what, where, since)
        if [file["sha256"] for file in found[0]["attachments"]] != one.files:
            yield Wrong(IN, "wrong file", one.psid, f"“{one.text}”: {found[0]['body']}", where, since)
        if found[0]["external_id"] != one.mid:
            what = f"“{one.text}” stands there as {found[0]['external_id']}"
            yield Wrong(IN, "wrong id", one.psid, what, where, since)
        if abs(seconds(found[0]["created_at"]) - since) > 0.002:
            what = f"“{one.text}” is dated {found[0]['created_at']}"
            yield Wrong(IN, "wrong time", one.psid, what, where, since)

    def _disorder(self, psid: str, written: list[Written], places: dict[str, int]) -> Iterator[Wrong]:
        """Yield messages that stand behind one that Meta first sent after they had been accepted."""
        there = [one for one in written if one.mid in places]
        for number, older in enumerate(there):
            accepted = self.records.tried[older.mid].accepted
            for newer in there[number + 1 :]:
                late = accepted is not None and accepted <= self.records.tried[newer.mid].first
                if late and places[older.mid] > places[newer.mid]:
                    what = f"“{older.text}” stands behind “{newer.text}”"
                    yield Wrong(IN, "out of order", psid, what, (older.mid, newer.mid), older.at / 1000)
                    break

    def _strays(
        self, psid: str, written: list[Written], tickets: list[Json], entries: list[Json]
    ) -> Iterator[Wrong]:
        texts = {one.text for one in written}
        for entry in entries:
            known = _is_agents(entry) or any(_says(entry, text) for text in texts)
            if not known:
                what = f"nobody wrote “{entry['body'][:200]}”"
                ids = tuple(filter(None, [entry.get("external_id")]))
                yield Wrong(IN, "stray", psid, what, ids, seconds(entry["created_at"]))
        if len(open_ := [one["id"] for one in tickets if not one["closed"]]) > 1:
            what = f"has {len(open_)} open tickets: {', '.join(open_)}"
            yield Wrong(IN, "two tickets", psid, what, (), seconds(tickets[-1]["created_at"]))

    # Helpdesk to Messenger.

    def _outbound(self, psid: str, tickets: list[Json]) -> Iterator[Wrong]:
        received = self.system.received(psid)
        marks = [str(message.get("metadata")) for message in received]
        known: set[str] = set()
        for ticket in tickets:
            last = -1
            for reply in filter(_is_agents, ticket["comments"]):
                numbers = [n for n, mark in enumerate(marks) if mark.split(":")[1:2] == [reply["id"]]]
                known.update(marks[n] for n in numbers)
                yield from self._check_reply(psid, reply, [received[n] for n in numbers])
                if numbers and numbers[0] < last:
                    what = f"reply {reply['id']} stands before one that was written earlier"
                    since = seconds(reply["created_at"])
                    yield Wrong(OUT, "out of order", psid, what, _traces(reply["id"]), since)
                last = max([last, *numbers])
        for mark, message in zip(marks, received, strict=True):
            if mark not in known:
                what = f"nobody wrote the message marked {mark}"
                yield Wrong(OUT, "stray", psid, what, (mark,), message["timestamp"] / 1000)

    def _check_reply(self, psid: str, reply: Json, parts: list[Json]) -> Iterator[Wrong]:
        ids, since, name = _traces(reply["id"]), seconds(reply["created_at"]), f"reply {reply['id']}"
        tried = self.records.tried.get(reply["id"])
        self.accepted[OUT] += bool(tried and tried.accepted)
        marks = [part["metadata"] for part in parts]
        wanted = [file["sha256"] for file in reply["attachments"]]
        whole = _text(parts) == reply["body"].split() and _files(parts) == wanted
        self.arrived[OUT] += bool(parts)
        if len(set(marks)) < len(marks):
            yield Wrong(OUT, "doubled", psid, f"{name} has parts that came twice: {marks}", ids, since)
        elif marks != sorted(marks, key=_part):
            yield Wrong(OUT, "out of order", psid, f"the parts of {name}: {marks}", ids, since)
        elif not whole:
            lost = Wrong(OUT, "lost", psid, f"{name} ({len(parts)} parts came)", ids, since)
            yield from self._missing(lost, reply["body"].partition(".")[0], tried)
        elif reply["config"].get("delivery", {}).get("status") == "failed":
            yield Wrong(OUT, "wrong status", psid, f"{name} arrived and is shown as failed", ids, since)
        elif tried and tried.accepted:
            self.stays[OUT].append(self.records.stored.get(marks[-1], 0) - tried.accepted)


def _says(entry: Json, text: str) -> bool:
    return bool(entry["body"].split("\n\n", 1)[0] == text)


def _is_agents(entry: Json) -> bool:
    """Tell whether an agent wrote a comment in the helpdesk itself."""
    author = entry.get("author") or {}
    return author.get("type") == "agent" and entry["config"].get("source") != SOURCE


def _traces(comment_id: str) -> tuple[str, ...]:
    """Return how the journals name a comment."""
    return f"connector:{comment_id}:", f'/comments/{comment_id}"', f'"comment":"{comment_id}"'


def _part(mark: str) -> int:
    return int(mark.rpartition(":")[2])


def _text(parts: list[Json]) -> list[str]:
    return " ".join(part.get("text", "") for part in parts).split()


def _files(parts: list[Json]) -> list[str]:
    return [file["sha256"] for part in parts for file in part["attachments"]]
