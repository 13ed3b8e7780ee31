"""What was noted of the helpdesk's calls and webhooks, and what there is to say about it."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "helpdesk-api.yaml"


class Notes:
    """What was noted of calls and webhooks since the last step began."""

    def __init__(self, file: Path) -> None:
        self._file, self._since = file, 0.0

    def begin(self) -> None:
        """Leave out what was noted so far."""
        self._since = time.time()

    def of(self, kind: str, *, all_of_them: bool = False) -> list[dict[str, Any]]:
        """Return the notes of a kind, the oldest first."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        notes = (json.loads(line) for line in lines)
        return [one for one in notes if one["kind"] == kind and (all_of_them or one["at"] >= self._since)]

    def failures(self) -> list[str]:
        """Say which calls went wrong, and where the document describes them."""
        wrong = {
            (one["operation"], one["status"]): one
            for one in self.of("call")
            if (one["why"] or one["off"]) and "ticket_closed" not in one["body"]
        }
        return [_told(one) for one in wrong.values()]

    def differences(self) -> list[str]:
        """Say what differed from the document in the whole story, although the connector took it."""
        notes = [*self.of("call", all_of_them=True), *self.of("webhook", all_of_them=True)]
        named = (
            f"{one.get('operation') or 'webhook ' + one.get('type', '')}: {one['off']}"
            for one in notes
            if one["off"]
        )
        return sorted(set(named))

    def about_webhooks(self, comment: str = "") -> str:
        """Say what came of webhooks, of one comment perhaps, and where the document describes them."""
        return f"{self._about_webhooks(comment)} (see {_place('commentCreated')})"

    def _about_webhooks(self, comment: str) -> str:
        came = self.of("webhook")
        refused = [one["why"] for one in came if one["why"]]
        ours = [one for one in came if comment and one.get("comment") == comment]
        if not came:
            return "no webhook came"
        if len(refused) == len(came):
            return f"{len(came)} webhooks came and were refused: {refused[-1]}"
        if comment and not ours:
            return f"{len(came)} webhooks came, none of them of comment {comment}"
        if ours:
            return f"its webhook came, with author.type {ours[0]['author']!r}, internal {ours[0]['internal']}"
        return f"{len(came)} webhooks came"


def _told(note: Mapping[str, Any]) -> str:
    status = note["status"] or "no answer"
    lines = [f"{note['call']}: {status}. {note['why'] or note['off']}", f"    {note['body']}"]
    return "\n".join([*(lines if note["body"] else lines[:1]), f"    see {_place(note['operation'])}"])


def _place(operation: str) -> str:
    """Return where the document describes an operation."""
    lines = DOCUMENT.read_text().splitlines() if DOCUMENT.exists() else []
    known = {line.split()[-1]: number for number, line in enumerate(lines, 1) if "operationId:" in line}
    return f"docs/helpdesk-api.yaml:{known.get(operation, 1)}, {operation}"
