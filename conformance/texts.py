"""Checks of texts: shown as they were typed, whole."""

import re
import textwrap
from collections.abc import Sequence

from conformance.agent import Shown
from conformance.check import check
from conformance.context import Context
from conformance.outcome import expect

LONG = 60_000
"""How many characters a text may have, at least: several of Messenger's longest messages."""
TEXTS = {
    "languages": (
        "Zażółć gęślą jaźń. Здравейте! 你好。 ¿Qué? İstanbul ǅ ﬁ e\u0301 👩\u200d👩\u200d👧 🏳️\u200d🌈 🇵🇱\n"
        "שלום עולם, مرحبا بالعالم (left again)\n\nthe end"
    ),
    "templates": (
        "{{ ticket.submitter_email }} {{ }} {{ {% load x %} {% {# gone? #} {%% }} %} ${x} $(id) `id` #{x} "
        "%(name)s {0} [[x]] @everyone :smile: /assign X-HELPDESK-COMMENT-VERBATIM <%= x %>"
    ),
    "markup": (
        '<b>bold</b> <script>alert("x")</script> &amp; &lt; <!-- gone? --> <br> *stars* **two** _under_ '
        "~~struck~~ [a](javascript:x) ![b](c) http://example.com/a_b_c?d=e&f=g\n# no heading\n> no quote\n"
        "1. one\n- two\n| a | b |\n|---|---|\n```\nno code\n```\n[//]: # (gone?)\n\\* \\\\ \\"
    ),
    "queries": "Robert'); DROP TABLE tickets;-- \" ' ` \\ %00 %s %n \\0 \\x00 \\u0000 ; | && \r\n.\r\nQUIT",
    "controls": "a\x07b\x1b[31mc\x08d\x02klzzwxh:0000\x03e\x7ff\u200bg\u202eh\u202c\ufeffi\ufffej\u2028k",
}
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\ufeff\ufffe\ufffd]")


@check(
    "texts are shown as they were typed",
    promise="everything is shown",
    remedy="Escape what the helpdesk would take for its own: templates, markup, shortcuts.",
    api="body is shown as the Markdown that it is (CommonMark), and nothing else in it does anything.",
)
def texts_are_shown_as_typed(context: Context) -> None:
    """Whatever a customer writes arrives, and does nothing."""
    changed = []
    for name, text in TEXTS.items():
        ticket = context.open_ticket(f"{text}\nend")
        context.comment(ticket.id, context.new_comment(f"again\n{text}"))
        seen = textwrap.indent(_visible(text), "    ")
        if context.agent.confirm(ticket.id, f"Its first two messages show, among other words:\n\n{seen}\n"):
            continue
        shown = context.agent.read_comments(ticket.id)
        changed += [
            f"{name}, {where}: {_difference(text, shown, number)}"
            for number, where in enumerate(("first", "next"))
            if _difference(text, shown, number)
        ]
    expect(not changed, "; ".join(changed))


@check(
    f"a text of {LONG:,} characters is shown whole",
    promise="everything is shown",
    remedy="Split a text that is too long for the helpdesk into several comments, or raise its limit.",
    api="createTicket and createComment take a body of 100,000 characters, and it is shown whole.",
)
def long_texts_are_shown_whole(context: Context) -> None:
    """Nothing is cut off."""
    text = " ".join(f"słowo{number}" for number in range(LONG // 10))[:LONG].ljust(LONG, "x")
    ticket = context.open_ticket(text)
    context.comment(ticket.id, context.new_comment(text))
    if context.agent.confirm(ticket.id, f"Its first message and the next one end with {text[-20:]}."):
        return
    shown = context.agent.read_comments(ticket.id)
    for number, where in enumerate(("first message", "comment")):
        difference = _difference(text, shown, number)
        expect(not difference, f"the {where}: {difference}")


def _difference(text: str, shown: Sequence[Shown], number: int) -> str:
    """Say how what is shown differs from what was typed, white space and invisible characters aside."""
    if number >= len(shown):
        return "is not there"
    wanted, got = (" ".join(_visible(one).split()) for one in (text, shown[number].text))
    if wanted in got:
        return ""
    same = next(length for length in range(len(wanted), -1, -1) if wanted[:length] in got)
    return f"{wanted[max(0, same - 10) : same + 30]!r} is not shown as typed"


def _visible(text: str) -> str:
    return _INVISIBLE.sub("", text)
