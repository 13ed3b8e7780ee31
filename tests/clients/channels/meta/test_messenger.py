"""What Messenger says of itself."""

import inspect
import re
from collections.abc import Iterator

from clients.channel import Line, Receipt
from clients.channels.meta import attachments, events, kinds
from clients.channels.meta.messenger import Messenger
from clients.notices import Notice, is_known, notice
from tests.conftest import PAYLOADS, payload


def _lines() -> Iterator[Line]:
    """Yield the lines of all situations."""
    for path in sorted((PAYLOADS / "messenger").glob("*.json")):
        for entry in events.Envelope(payload(f"messenger/{path.stem}")).entries():
            for event in (events.parse(item.body) for item in entry.events()):
                if not isinstance(event, Receipt):
                    yield from event.lines
                    yield from (line for one in getattr(event, "attachments", ()) for line in one.lines)


def test_its_labels_are_those_that_messages_come_with() -> None:
    shown = {line.label.code for line in _lines() if isinstance(line.label, Notice)}
    links = {
        line.text.code for line in _lines() if isinstance(line.text, Notice) and line.url and not line.label
    }
    written = {
        code
        for module in (kinds, attachments)
        for code in re.findall(r'label=notice\("(\w+)"', inspect.getsource(module))
    }
    assert len(shown) > 40
    assert links
    assert len(written) > 10
    assert (shown | links | written) - Messenger.labels == set()
    assert [code for code in Messenger.labels | Messenger.internal_labels if not is_known(notice(code))] == []
