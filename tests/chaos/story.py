"""The story of a message: every step that touched it, by every process, and what went wrong around it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.channels.meta.events import CHANNEL
from tests.chaos.ledger import Wrong
from tests.chaos.records import read_journal, seconds
from tests.chaos.system import System

LOG_LINE = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) (.*)")
TROUBLE = re.compile(r"\[(critical|error) |remote_paused|store_(away|back)")
"""What a log says that may hold back any message."""
LONGEST = 200
"""How many steps are told; a thread that many things went wrong around has thousands."""


@dataclass(frozen=True, order=True)
class Step:
    """Something that happened, in unix seconds, and to whom."""

    at: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{clock(self.at)}  {self.who:<10} {self.what}"


def clock(at: float) -> str:
    """Show a time within a run: seconds of the hour, to the millisecond."""
    return f"{int(at) // 60 % 60:02}:{at % 60:06.3f}"


def tell(system: System, wrong: Wrong) -> Iterator[str]:
    """Yield the story, a line for each step, in the order of time."""
    yield f"{wrong.kind}: {wrong.what} (sender {wrong.psid})"
    touched = [step for name in ("meta", "helpdesk") for step in _journal(system.folder, name, wrong)]
    begins = min([wrong.since, *(step.at for step in touched if step.at >= wrong.since)]) - 1
    ends = max([wrong.since + 5, *(step.at for step in touched)]) + 2
    around = [*_logs(system.folder, wrong.psid), *_havoc(system.folder)]
    steps = sorted([*touched, *(step for step in around if begins <= step.at <= ends)])
    yield from map(str, steps[:LONGEST])
    if len(steps) > LONGEST:
        yield f"… and {len(steps) - LONGEST} steps more"
    yield from _store(system, wrong.psid)


def _journal(folder: Path, name: str, wrong: Wrong) -> Iterator[Step]:
    for text in (folder / f"{name}.jsonl").read_text().split("\n")[:-1]:
        if any(trace in text for trace in wrong.traces):
            line = json.loads(text)
            yield Step(line.get("began") or line["at"], name, _what(line, wrong))


def _what(line: dict[str, Any], wrong: Wrong) -> str:
    took = f"{line['at'] - line.get('began', line['at']):.2f} s"
    match line["kind"]:
        case "call":
            fault = f", the fault: {line['fault']}" if line["fault"] else ""
            return (
                f"is called: {_short(line['call'])} {line['key'] or ''} -> {line['status']} ({took}{fault})"
            )
        case "stored":
            kept = {key: value for key, value in line.items() if value and key not in {"at", "kind"}}
            return f"stores {kept}"
    events = [event for event in line.get("events", []) if any(one in str(event) for one in wrong.traces)]
    what = line.get("type") or ", ".join(str(event["what"]) for event in events)
    return f"sends a webhook: {what} -> {line['answer']} ({took})"


def _short(call: str) -> str:
    return re.sub(r"[?&]appsecret_proof=\w+", "", call)


def _logs(folder: Path, psid: str) -> Iterator[Step]:
    for path in folder.glob("*.log"):
        for text in path.read_text(errors="replace").splitlines():
            found = LOG_LINE.match(text)
            if found and (psid in text or TROUBLE.search(text)):
                yield Step(seconds(found[1]), path.stem, re.sub(r"  +", "  ", found[2]))


def _havoc(folder: Path) -> Iterator[Step]:
    for line in read_journal(folder / "havoc.jsonl"):
        yield Step(
            line["at"], "HAVOC" if line["kind"] == "havoc" else "init", f"{line['kind']}: {line['what']}"
        )


def _store(system: System, psid: str) -> Iterator[str]:
    for direction in ("in", "out"):
        queue = f"{direction}:{CHANNEL}:{system.pages[0].page_id}:{psid}"
        jobs = [str(job)[:160] for job in system.redis.zrange(f"mc:jobs:{queue}", 0, -1)]
        yield f"the store has of {queue}: {jobs}, lease {system.redis.hgetall(f'mc:lease:{queue}')}"
