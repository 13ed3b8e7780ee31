"""The texts that the connector writes into a django-helpdesk: what names them, what its templates would eat.

Each ends with a mark, a line that Markdown does not show. django-helpdesk has no other place that lasts:
custom fields are blanked when an agent assigns an owner, and a comment has none.
"""

import dataclasses
import re
from dataclasses import dataclass

_MARK = re.compile(
    r"^\[//\]: # \(messenger (?:(?P<customer>\S+) )?(?P<digest>[0-9a-f]{16}) (?P<files>\d+)\)\s*$",
    re.MULTILINE,
)
_ITS_ESCAPES = frozenset("\\`*_{}[()>#+-.!")
_VERBATIM = "X-HELPDESK-COMMENT-"
"""What django-helpdesk itself puts in the place of `{%` for a while (`update_ticket.py`)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What names a text: a digest of its `external_id`, and in a ticket's first text whom it is about.

    `customer` is the `str` of its conversation, `files` is how many of its files are not added yet.
    """

    digest: str
    files: int = 0
    customer: str = ""

    def __str__(self) -> str:
        return f"[//]: # (messenger {f'{self.customer} ' if self.customer else ''}{self.digest} {self.files})"

    @property
    def complete(self) -> "Mark":
        """Return the mark of the same text with all its files."""
        return dataclasses.replace(self, files=0)


def read_mark(text: str) -> Mark | None:
    """Return the last mark of a text; None for one that is not ours. An agent may write on under it."""
    marks = list(_MARK.finditer(text))
    if not marks:
        return None
    found = marks[-1]
    return Mark(found["digest"], int(found["files"]), found["customer"] or "")


def marked(text: str, mark: Mark) -> str:
    """Put a mark under a text."""
    return f"{text}\n\n{mark}"


def unmarked(text: str) -> str:
    """Return a text without its mark."""
    return _MARK.sub("", text).rstrip()


def for_its_markdown(text: str) -> str:
    r"""Write as entities what Python-Markdown, or django-helpdesk before it, would take for something else.

    Backslash escapes that Python-Markdown does not know, or sees too late, and `#12`: django-helpdesk would
    make it a link to that ticket and leave a note there.
    https://daringfireball.net/projects/markdown/syntax#backslash
    """

    def known(escape: re.Match[str]) -> str:
        return escape[0] if escape[1] in _ITS_ESCAPES else f"&#{ord(escape[1])};"

    # A heading needs no space after its `#` there.
    return re.sub(
        r"^#|(?<!&)#(?=\d)", "&#35;", re.sub(r"\\([!-/:-@\[-`{-~])", known, text), flags=re.MULTILINE
    )


def escaped(text: str) -> str:
    """Write a text so that it is still the same after it was rendered as a Django template.

    https://docs.djangoproject.com/en/5.2/ref/templates/language/#templates
    """
    braces = re.sub(r"[{}]", lambda brace: f'{{{{ "{brace[0]}" }}}}', text)
    return braces.replace(_VERBATIM, f'{_VERBATIM[:-1]}{{{{ "-" }}}}')
