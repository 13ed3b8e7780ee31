"""The records: what the sandbox servers' journals and the store tell of each message after the end."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.chaos.system import System

Json = dict[str, Any]


@dataclass(frozen=True)
class Tried:
    """When a webhook was sent for the first time, and when it was first accepted; unix seconds."""

    first: float
    accepted: float | None


def read_journal(path: Path) -> Iterator[Json]:
    """Yield the lines of a journal; the last one may still be on its way."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)


def seconds(iso: str) -> float:
    """Return an ISO 8601 time in unix seconds."""
    return datetime.fromisoformat(iso).timestamp()


@dataclass
class Records:
    """All that was taken down of a run; each part is read once."""

    system: System

    @cached_property
    def meta(self) -> list[Json]:
        return list(read_journal(self.system.folder / "meta.jsonl"))

    @cached_property
    def desk(self) -> list[Json]:
        return list(read_journal(self.system.folder / "helpdesk.jsonl"))

    @cached_property
    def tried(self) -> dict[str, Tried]:
        """Return what became of the webhooks of each mid and each comment id."""
        tries: dict[str, list[Json]] = defaultdict(list)
        for line in (one for one in self.meta if one["kind"] == "webhook"):
            for mid in {event["mid"] for event in line["events"] if event["mid"]}:
                tries[mid].append(line)
        for line in (one for one in self.desk if one.get("type") == "comment.created"):
            tries[line["comment"]].append(line)
        return {name: _tried(lines) for name, lines in tries.items()}

    @cached_property
    def stored(self) -> dict[str, float]:
        """Return when the helpdesk first stored each external id, and Meta each mark."""
        stored: dict[str, float] = {}
        for line in (one for one in [*self.desk, *self.meta] if one["kind"] == "stored"):
            stored.setdefault(str(line.get("external_id") or line.get("metadata")), line["at"])
        return stored

    @cached_property
    def waiting(self) -> str:
        """Return all that is in the store's queues, to look for ids in it."""
        store = self.system.redis
        return "\n".join(str(store.zrange(key, 0, -1)) for key in store.scan_iter("mc:jobs:*"))

    @cached_property
    def letters(self) -> list[Json]:
        """Return the dead letters, of the whole run."""
        return [json.loads(letter) for letter in self.system.redis.hvals("mc:dead")]


def _tried(lines: list[Json]) -> Tried:
    accepted = [line["at"] for line in lines if line["answer"].startswith("2")]
    return Tried(min(line["began"] for line in lines), min(accepted, default=None))
