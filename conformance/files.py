"""Checks of files: there, under their names, byte for byte."""

from collections.abc import Sequence

from clients.errors import FileRefused
from clients.helpdesk import Attachment
from conformance.check import check
from conformance.context import Context
from conformance.outcome import Cannot, expect
from conformance.samples import Content, a_word, an_id

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
_PANGRAM = "Zażółć gęślą jaźń.\r\nPchnąć w tę łódź jeża.\r\n"
TEXT_FILES = (
    Content("windows-1250.txt", "text/plain", _PANGRAM.encode("cp1250")),
    Content("utf-16.txt", "text/plain", _PANGRAM.encode("utf-16")),  # it begins with a byte order mark
)
EMPTY = Content("empty.txt", "text/plain", b"")
UNUSUAL = (
    Content("clip.mp4", "video/mp4", b"\0\0\0\x18ftypmp42" + bytes(64)),
    Content("setup.exe", "application/x-msdownload", b"MZ" + bytes(64)),
)


@check(
    "a customer's files are there, byte for byte",
    promise="everything is shown",
    remedy="Store names and bytes as they come; open_attachment has to fetch what upload or files stored.",
    api=(
        "uploadAttachment keeps name and bytes; attachment_ids puts the files on their ticket or "
        "comment, and getFile answers them."
    ),
)
def files_are_identical(context: Context) -> None:
    """A customer's pictures and papers are on the ticket, under their names."""
    ticket = context.open_ticket("With a file", files=[PHOTO])
    context.comment(ticket.id, context.new_comment("With two", files=[PHOTO, PAPER]))
    names = f"{PHOTO.filename}, and the next one that and {PAPER.filename}"
    if context.agent.confirm(ticket.id, f"Its first message has the file {names}; all of them open."):
        return
    first, *_, last = shown = context.agent.read_comments(ticket.id)
    expect(len(shown) == 2, f"a ticket with a comment shows {len(shown)}")
    _expect_files(context, first.attachments, [PHOTO])
    _expect_files(context, last.attachments, [PHOTO, PAPER])


def _expect_files(context: Context, attachments: Sequence[Attachment], files: Sequence[Content]) -> None:
    names = sorted(one.filename for one in attachments)
    wanted = sorted(one.filename for one in files)
    expect(names == wanted, f"the files {wanted} were sent, and {names} are there")
    by_name = {one.filename: one for one in attachments}
    for file in files:
        expect(context.bytes_of(by_name[file.filename]) == file.data, f"{file.filename} was changed")


@check(
    "what is stored ahead is there, byte for byte",
    promise="everything is shown",
    remedy="open_attachment has to fetch what upload returned; its url has to be absolute.",
    api="uploadAttachment answers the whole url at which getFile answers the same bytes to the token.",
)
def uploads_are_identical(context: Context) -> None:
    """Files are stored once, however often the message that shows them is tried."""
    for content in (PHOTO, PAPER):
        key = an_id()
        stored = context.helpdesk.upload(content.open(), key)
        if stored is None:
            raise Cannot("files ahead of a comment", "they are added to it")
        is_of_the_web = stored.url.startswith(("http://", "https://"))
        expect(is_of_the_web, f"it is at {stored.url}, which is no address that agents can open")
        expect(stored.filename == content.filename, f"{content.filename} is called {stored.filename}")
        expect(context.bytes_of(stored) == content.data, f"{content.filename} was changed")


@check(
    "a file that is refused is named, and the text is there",
    promise="everything is shown",
    remedy="Raise FileRefused from upload; or add the comment without the file, and name the file in it.",
    api="uploadAttachment answers 413 or 415 (any 4xx will do) to a file that it does not take.",
)
def refused_files_are_named(context: Context) -> None:
    """A message is never lost for its file."""
    for content in UNUSUAL:
        _expect_there_or_named(context, content)


def _expect_there_or_named(context: Context, content: Content) -> None:
    """Put a message with a file on a ticket: the file is there as it was, or it is named."""
    word, ticket = a_word(), context.open_ticket()
    context.message(ticket.id, word, [content])
    size = f"{content.filename} ({len(content.data)} bytes), or its name"
    if context.agent.confirm(ticket.id, f"It shows {word} once, and there {size}."):
        return
    shown = [one for one in context.agent.read_comments(ticket.id) if word in one.text]
    expect(shown, f"a message with {content.filename} is not there")
    expect(len(shown) == 1, f"a message with {content.filename} is there {len(shown)} times")
    there = [one for one in shown[0].attachments if one.filename == content.filename]
    expect(there or content.filename in shown[0].text, f"{content.filename} is not there, and not named")
    for attachment in there:
        expect(context.bytes_of(attachment) == content.data, f"{content.filename} was changed")


@check(
    "a customer's empty file does not hold up its message",
    promise="nothing is lost",
    remedy="Store it, or raise FileRefused: from upload, or from the call that brings it in files.",
    api="uploadAttachment takes a file of 0 bytes, or answers 422 (any 4xx will do).",
)
def empty_file_holds_up_nothing(context: Context) -> None:
    """The text beside an empty file arrives, and the file is there or named."""
    _expect_there_or_named(context, EMPTY)


@check(
    "a customer's text files keep their encoding",
    promise="everything is shown",
    remedy="Store files as bytes: keep their encoding, their line ends and their byte order mark.",
    api="uploadAttachment keeps text files byte for byte, and getFile answers them so.",
)
def text_files_are_identical(context: Context) -> None:
    """A text file in an old encoding opens at the agent's as it did at the customer's."""
    for content in TEXT_FILES:
        _expect_there_or_named(context, content)


@check(
    "a file that is too large is refused",
    promise="nothing is lost",
    remedy="Raise FileRefused from open_attachment beyond max_bytes (clients.media.spool).",
    api="getFile answers all bytes of a file.",
)
def large_files_are_refused(context: Context) -> None:
    """The agent learns of a file that is too large for the channel, and the rest of the reply goes out."""
    attachment = context.helpdesk.upload(PAPER.open(), an_id()) or _a_file_of_a_comment(context)
    try:
        with context.helpdesk.open_attachment(attachment, len(PAPER.data) - 1):
            expect(False, f"a file of {len(PAPER.data)} bytes was fetched, with a limit below")
    except FileRefused:
        pass


def _a_file_of_a_comment(context: Context) -> Attachment:
    ticket = context.open_ticket(files=[PAPER])
    shown = context.agent.read_comments(ticket.id)
    expect(shown and shown[0].attachments, "the first message's file is not there")
    return shown[0].attachments[0]
