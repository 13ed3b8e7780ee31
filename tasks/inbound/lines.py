"""The lines of an event, as markdown."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from clients.channel import Line
from clients.helpdesk import Attachment
from clients.media import File
from clients.notices import Notice
from clients.text.line import one_line
from clients.text.markdown import preview, to_markdown
from tasks.inbound.arrival import Arrival
from tasks.inbound.files import markdown_of

_ACTIVE = re.compile(r"[\[\]*`~]|(?<![^\W_])_|_(?![^\W_])")
"""What acts on its own, or with what follows; an underscore does not inside a word."""


Pictures = Mapping[str, Attachment | File]
"""The pictures that are in the helpdesk, or on their way there, by their first addresses."""


def lines_of(arrival: Arrival, lines: Sequence[Line], pictures: Pictures = MappingProxyType({})) -> str:
    """Show lines as paragraphs, the buttons among them as a list."""
    shown = ""
    for line in lines:
        between = "\n" if line.is_button and shown.rpartition("\n")[2].startswith("- ") else "\n\n"
        shown += between + ("- " * line.is_button) + _line(arrival, line, pictures)
    return shown.strip()


def _line(arrival: Arrival, line: Line, pictures: Pictures) -> str:
    """Show a line; the connector's own words stand in brackets unless they are a label or a link."""
    label = arrival.say(line.label) if isinstance(line.label, Notice) else line.label
    text = line.text if isinstance(line.text, str) else arrival.say(line.text)
    own = isinstance(line.text, Notice) and not line.url and not line.is_said
    if line.is_picture and (file := pictures.get(line.url)):
        markdown = markdown_of(file)
    else:
        markdown = preview(text, line.url) if line.url else to_markdown(f"({text})" if own else text)
    return f"{_label(label)}: {markdown}" if label else markdown


def _label(text: str) -> str:
    """Write a label; beside what follows it, its brackets and marks could become something else."""
    return _ACTIVE.sub(lambda mark: f"&#{ord(mark[0])};", to_markdown(one_line(text)))
