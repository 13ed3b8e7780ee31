"""Checks of comments: once, in order, shown as typed, with their files."""

import re
from collections.abc import Sequence
from functools import partial

from clients.errors import FileRefused
from clients.helpdesk import Attachment, Delivery
from connector.conformance.bench import Bench, Content, a_word, an_id
from connector.conformance.hands import Shown
from connector.conformance.suite import Cannot, check, expect
from connector.conformance.tickets import LOOKS_FIRST

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
PHOTO = Content(
    "zdjęcie nr 1.png",
    "image/png",
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154"
        "789c626000000000050001a5f645400000000049454e44ae426082"
    ),
)
PAPER = Content(
    "отчет (1) & co.pdf", "application/pdf", b"%PDF-1.4\n" + bytes(range(256)) * 64 + b"\n%%EOF\n"
)
UNUSUAL = (
    Content("clip.mp4", "video/mp4", b"\0\0\0\x18ftypmp42" + bytes(64)),
    Content("setup.exe", "application/x-msdownload", b"MZ" + bytes(64)),
)


@check(
    "a comment is found by its external id",
    promise="nothing is doubled",
    mend="comment_by_external_id has to find what add_comment just made, by the whole id, on its ticket.",
)
def comment_is_found_by_external_id(bench: Bench) -> None:
    """When adding a comment timed out, or a worker died in it, this tells whether it had worked."""
    ticket, other = bench.open_ticket(), bench.open_ticket()
    comment = bench.new_comment("More")
    find = partial(bench.helpdesk.comment_by_external_id, ticket.id)
    expect(find(comment.external_id) is None, "a comment was found before it was made")
    made = bench.comment(ticket.id, comment)
    expect(find(comment.external_id) == made, f"comment {made} was not found by its external id")
    for wrong in (comment.external_id[:-1], comment.external_id.swapcase(), an_id()):
        expect(find(wrong) is None, f"comment {made} was found by an external id that is not its")
    elsewhere = bench.helpdesk.comment_by_external_id(other.id, comment.external_id)
    expect(elsewhere is None, f"comment {made} was found on a ticket that is not its")


@check(
    "a comment that is added twice is one",
    promise="nothing is doubled",
    mend="Honour the key, or make comment_by_external_id find what is there.",
)
def same_key_makes_one_comment(bench: Bench) -> None:
    """A comment that is added again with its key, as after an answer that got lost, makes no second one."""
    ticket, comment = bench.open_ticket(), bench.new_comment("Only once")
    made = {bench.comment(ticket.id, comment) for _ in range(2)}
    found = bench.helpdesk.comment_by_external_id(ticket.id, comment.external_id)
    expect(found in made, "what was added is not found by its external id")
    if len(made) > 1:
        raise Cannot("idempotency keys", LOOKS_FIRST)


@check(
    "comments stand in their order",
    promise="order is kept",
    mend="Show comments in the order in which they were added, or by created_at.",
)
def comments_stand_in_order(bench: Bench) -> None:
    """An agent reads a conversation as it was written."""
    words = [a_word() for _ in range(8)]
    ticket = bench.open_ticket(words[0])
    for word in words[1:]:
        bench.comment(ticket.id, bench.new_comment(word))
    shown = [one.text for one in bench.hands.read_comments(ticket.id)]
    seen = [word for text in shown for word in words if word in text]
    expect(seen == words, f"{len(words)} messages were written, and stand as {[*map(words.index, seen)]}")


@check(
    "internal comments stay internal",
    promise="only what an agent says publicly goes out",
    mend="Write them so that the customer never sees them; where the helpdesk cannot, leave them out.",
)
def internal_comments_stay_internal(bench: Bench) -> None:
    """What the connector tells agents is not for customers, who may read their tickets in a portal."""
    ticket, secret, public = bench.open_ticket(), a_word(), a_word()
    bench.comment(ticket.id, bench.new_comment(secret, internal=True))
    bench.comment(ticket.id, bench.new_comment(public))
    shown = {
        word: one
        for one in bench.hands.read_comments(ticket.id)
        for word in (secret, public)
        if word in one.text
    }
    expect(secret not in shown or shown[secret].internal, "an internal comment is public")
    expect(public in shown, "a public comment is not there")
    expect(not shown[public].internal, "a customer's message is internal")
    if secret not in shown:
        raise Cannot("internal comments", "what the connector has to tell agents is not on the ticket")


@check(
    "texts are shown as they were typed",
    promise="everything is shown",
    mend="Escape what the helpdesk would take for its own: templates, markup, shortcuts.",
)
def texts_are_shown_as_typed(bench: Bench) -> None:
    """Whatever a customer writes arrives, and does nothing."""
    changed = []
    for name, text in TEXTS.items():
        ticket = bench.open_ticket(f"{text}\nend")
        bench.comment(ticket.id, bench.new_comment(f"again\n{text}"))
        shown = bench.hands.read_comments(ticket.id)
        changed += [
            f"{name}, {where}: {_difference(text, shown, number)}"
            for number, where in enumerate(("first", "next"))
            if _difference(text, shown, number)
        ]
    expect(not changed, "; ".join(changed))


@check(
    f"a text of {LONG:,} characters is shown whole",
    promise="everything is shown",
    mend="Split a text that is too long for the helpdesk into several comments, or raise its limit.",
)
def long_texts_are_shown_whole(bench: Bench) -> None:
    """Nothing is cut off."""
    text = " ".join(f"słowo{number}" for number in range(LONG // 10))[:LONG].ljust(LONG, "x")
    ticket = bench.open_ticket(text)
    bench.comment(ticket.id, bench.new_comment(text))
    shown = bench.hands.read_comments(ticket.id)
    for number, where in enumerate(("first message", "comment")):
        difference = _difference(text, shown, number)
        expect(not difference, f"the {where}: {difference}")


def _difference(text: str, shown: Sequence[Shown], number: int) -> str:
    """Say how what is shown differs from what was typed, white space and invisible characters aside."""
    if number >= len(shown):
        return "is not there"
    wanted, got = (" ".join(_INVISIBLE.sub("", one).split()) for one in (text, shown[number].text))
    if wanted in got:
        return ""
    same = next(length for length in range(len(wanted), -1, -1) if wanted[:length] in got)
    return f"{wanted[max(0, same - 10) : same + 30]!r} is not shown as typed"


@check(
    "a customer's files are there, byte for byte",
    promise="everything is shown",
    mend="Store names and bytes as they come; open_attachment has to fetch what upload or files stored.",
)
def files_are_identical(bench: Bench) -> None:
    """A customer's pictures and papers are on the ticket, under their names."""
    ticket = bench.open_ticket("With a file", files=[PHOTO])
    bench.comment(ticket.id, bench.new_comment("With two", files=[PHOTO, PAPER]))
    first, *_, last = shown = bench.hands.read_comments(ticket.id)
    expect(len(shown) == 2, f"a ticket with a comment shows {len(shown)}")
    _expect_files(bench, first.attachments, [PHOTO])
    _expect_files(bench, last.attachments, [PHOTO, PAPER])


def _expect_files(bench: Bench, attachments: Sequence[Attachment], files: Sequence[Content]) -> None:
    names = sorted(one.filename for one in attachments)
    wanted = sorted(one.filename for one in files)
    expect(names == wanted, f"the files {wanted} were sent, and {names} are there")
    by_name = {one.filename: one for one in attachments}
    for file in files:
        expect(bench.bytes_of(by_name[file.filename]) == file.data, f"{file.filename} was changed")


@check(
    "what is stored ahead is there, byte for byte",
    promise="everything is shown",
    mend="open_attachment has to fetch what upload returned.",
)
def uploads_are_identical(bench: Bench) -> None:
    """Files are stored once, however often the message that shows them is tried."""
    for content in (PHOTO, PAPER):
        key = an_id()
        stored = bench.helpdesk.upload(content.open(), key)
        if stored is None:
            raise Cannot("files ahead of a comment", "they are added to it")
        expect(stored.filename == content.filename, f"{content.filename} is called {stored.filename}")
        expect(bench.bytes_of(stored) == content.data, f"{content.filename} was changed")


@check(
    "a file that is refused is named, and the text is there",
    promise="everything is shown",
    mend="Raise FileRefused from upload; or add the comment without the file, and name the file in it.",
)
def refused_files_are_named(bench: Bench) -> None:
    """A message is never lost for its file."""
    for content in UNUSUAL:
        word, ticket = a_word(), bench.open_ticket()
        bench.comment(ticket.id, bench.new_comment(word, files=[content]))
        shown = [one for one in bench.hands.read_comments(ticket.id) if word in one.text]
        expect(shown, f"a message with {content.filename} is not there")
        expect(len(shown) == 1, f"a message with {content.filename} is there {len(shown)} times")
        there = any(one.filename == content.filename for one in shown[0].attachments)
        expect(there or content.filename in shown[0].text, f"{content.filename} is not there, and not named")


@check(
    "a file that is too large is refused",
    promise="nothing is lost",
    mend="Raise FileRefused from open_attachment beyond max_bytes (clients.media.spool).",
)
def large_files_are_refused(bench: Bench) -> None:
    """A file larger than Messenger takes is told to the agent, and the rest of the reply goes out."""
    attachment = bench.helpdesk.upload(PAPER.open(), an_id()) or _a_file_of_a_comment(bench)
    try:
        with bench.helpdesk.open_attachment(attachment, len(PAPER.data) - 1):
            expect(False, f"a file of {len(PAPER.data)} bytes was fetched, with a limit below")
    except FileRefused:
        pass


def _a_file_of_a_comment(bench: Bench) -> Attachment:
    ticket = bench.open_ticket(files=[PAPER])
    shown = bench.hands.read_comments(ticket.id)
    expect(shown and shown[0].attachments, "the first message's file is not there")
    return shown[0].attachments[0]


@check(
    "what became of a reply is taken",
    promise="everything is shown",
    mend="show_delivery has to take the id of any comment; one that shows nothing returns.",
)
def delivery_is_taken(bench: Bench) -> None:
    """The agent sees in the comment whether it reached the customer."""
    ticket = bench.open_ticket()
    comment_id = bench.comment(ticket.id, bench.new_comment("More"))
    for delivery in (
        Delivery("sent", ["m_1", "m_2"]),
        Delivery("read", ["m_1", "m_2"]),
        Delivery("failed", [], "The window for replies has closed."),
    ):
        bench.helpdesk.show_delivery(comment_id, delivery)
