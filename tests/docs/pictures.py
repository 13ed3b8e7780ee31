"""What `docs/events.md` and `docs/replies.md` have pictures of: what the sandbox helpdesk shows to agents.

`make pictures` takes them (`tests/docs/camera.py`), and writes digests of what they show into
`docs/pictures/digests.json`, so that a test can tell, without a browser, whether it looks the same today.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zlib import crc32

from clients.helpdesk import Attachment
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from clients.media import File
from sandbox.samples import Sample, document, photo, voice_clip
from tasks.outbound import reminders
from tests.conftest import PAGE_A, SECRET_A, MakeSettings, connection, settings_in
from tests.fakes.conversation import OUT, SENT_AT
from tests.fakes.meta import Media, Refusal
from tests.fakes.replies import later_moment
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN, Desk
from tests.fakes.situations import begin, happen, path_of
from tests.fakes.world import World

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
MANIFEST = FOLDER / "digests.json"
EVENTS = {
    "message": "message_text",
    "message_edit": "message_edit_of_a_known_message",
    "reaction": "reaction_to_the_page",
    "postback": "postback",
    "referral": "referral_from_an_ad",
    "optin": "optin",
    "pass_thread_control": "control_passed_by_a_bot",
    "take_thread_control": "control_taken_by_an_app",
    "request_thread_control": "request_thread_control",
    "account_linking": "account_linking",
    "response_feedback": "response_feedback_bad",
    "messaging_feedback": "messaging_feedback_of_several_questions",
    "lead": "lead_without_referral",
    "order": "order_of_two_products",
    "form": "form_submitted",
    "calls": "call_missed",
    "message_request": "message_request",
    "message_deleted": "message_deleted",
    "standby": "standby_text",
    "echo": "echo_page_inbox",
    "any_other": "unknown_kind_with_words_and_links",
}
"""The kinds of event that become a comment, by their names in `docs/events.md`, each with a situation."""
ATTACHMENTS = {
    "image": "message_image_with_text",
    "video": "message_video",
    "audio": "message_audio",
    "file": "message_file",
    "sticker": "message_sticker",
    "location": "message_location",
    "fallback": "message_fallback",
    "share": "message_share",
    "template": "message_template_generic",
    "appointment_booking": "message_appointment_confirmed",
    "reel": "message_reel",
    "ig_reel": "message_ig_reel",
    "post": "message_post",
    "ig_post": "message_ig_post",
    "story_mention": "message_story_mention",
    "any_other_attachment": "message_unknown_attachment",
}
"""The types of attachment, each with a situation."""
PARTS = {
    "quick_reply": "message_quick_reply",
    "reply_to": "message_reply_to_the_page",
    "referral_in_a_message": "message_referral",
    "product": "message_product_with_picture",
    "commands": "message_command",
    "is_unsupported": "message_unsupported",
}
"""What else a message may hold, each with a situation."""
SITUATIONS = EVENTS | ATTACHMENTS | PARTS
RECEIPTS = {
    "delivery": "comment by Ola (agent): delivered",
    "read": "comment by Ola (agent): read",
}
"""The kinds of event that show as the state of an agent's reply, each with a description of its picture."""


@dataclass(frozen=True)
class Outcome:
    """What becomes of a reply: what Meta answers to each attempt, or what happens to it afterwards.

    The picture is of the internal comment that says so, or `in_the_reply` of the reply itself. The connection
    has what is set in `connection`; with `is_missing` nobody replies, with `is_retried` an operator has what
    failed sent again.
    """

    refusals: tuple[Refusal, ...] = ()
    files: tuple[Attachment, ...] = ()
    change: str = ""
    in_the_reply: bool = False
    connection: Mapping[str, Any] = field(default_factory=dict)
    is_missing: bool = False
    is_retried: bool = False


_FILM = Attachment("7", "https://acme.example.com/files/7", "film.mp4", "video/mp4", 30 * 1024 * 1024)
_UNLISTED = Refusal(99999, error_user_title="Page unavailable", error_user_msg="This page is being reviewed.")
OUTCOMES = {
    "reply_not_delivered": Outcome((Refusal(551),), in_the_reply=True),
    "reply_to_someone_unreachable": Outcome((Refusal(551),)),
    "reply_that_a_retry_sent": Outcome((Refusal(551),), is_retried=True),
    "reply_with_a_blocked_text": Outcome((Refusal(368, 1346003),)),
    "reply_that_another_app_has_to_give": Outcome((Refusal(10, 2018300),)),
    "reply_that_waits_for_a_token": Outcome((Refusal(190),)),
    "reply_with_an_unlisted_error": Outcome((_UNLISTED,)),
    "reply_of_a_page_that_is_blocked": Outcome((Refusal(368),)),
    "reply_without_a_file": Outcome(files=(_FILM,)),
    "reply_with_a_file_sent_as_a_link": Outcome(files=(_FILM,), connection={"link_large_files": True}),
    "reply_after_the_window_closed": Outcome((Refusal(10, 2018278),)),
    "late_reply_that_meta_rejects": Outcome(
        (Refusal(10, 2018278), Refusal(10)), connection={"human_agent": True}
    ),
    "reminder_before_the_window_closes": Outcome(connection={"remind_before": 2}, is_missing=True),
    "reminder_where_agents_may_answer_longer": Outcome(
        connection={"remind_before": 2, "human_agent": True}, is_missing=True
    ),
    "reply_changed_afterwards": Outcome(change="updated"),
    "reply_deleted_afterwards": Outcome(change="deleted"),
}
"""What becomes of replies, by the names of the pictures."""
PICTURES = [*SITUATIONS, *RECEIPTS, *OUTCOMES]


@dataclass(frozen=True)
class Shown:
    """A comment on the page `url`: its number among those there, from 0, its HTML, the page's style."""

    url: str
    number: int
    html: str
    style: str

    @property
    def digest(self) -> str:
        """Return what changes with its looks; without the bytes of files, as each zlib makes others.

        Nor does it matter when the connector wrote a note of its own: that is when the picture was taken.
        """
        looks = self.style + re.sub(r"base64,[^\"]*", "base64,", self.html)
        looks = re.sub(r"<time datetime=\"(?!2026-11-2[12]).*?</time>", "", looks)
        return hashlib.sha256(looks.encode()).hexdigest()


class Samples(Media):
    """A media host whose files can be looked at."""

    def fetch(self, url: str, kind: str) -> AbstractContextManager[File]:
        return self._sample(url, kind)

    @contextmanager
    def _sample(self, url: str, kind: str) -> Iterator[File]:
        with self._fetch(url) as told:
            data = _sample_for(told.content_type, url).data
            yield replace(told, size=len(data), stream=BytesIO(data))


def _sample_for(content_type: str, url: str) -> Sample:
    if content_type.startswith("image/"):
        return photo(blue=crc32(url.encode()) % 256, side=160)
    return document() if content_type == "application/pdf" else voice_clip()


class Gallery:
    """A sandbox helpdesk, on whose tickets a worker writes what it makes of situations."""

    def __init__(self, desk: Desk, store_url: str, make_settings: MakeSettings) -> None:
        self._desk, self._store_url, self._make_settings = desk, store_url, make_settings

    def show(self, name: str) -> Shown:
        """Let what a picture is of happen, and return the comment that it becomes, or that it changes."""
        self._desk.http.delete("/sandbox/everything").raise_for_status()
        self._desk.http.put("/sandbox/desks/7", json={"name": "Social Media"}).raise_for_status()
        world = World(self._store_url, self._make_settings)
        http = HttpClient()
        try:
            world.store.flushdb()
            world.media = Samples(world.fuse)
            outcome = OUTCOMES.get(name)
            if outcome and outcome.connection:
                world.configure(connections=[connection(PAGE_A, SECRET_A, **outcome.connection)])
            else:
                world.configure()
            site = f"{self._desk.url}/api/v1"
            helpdesk = RestHelpdesk(http, base_url=site, api_token=TOKEN, webhook_secret=SECRET)
            world.service = replace(world.service, helpdesk=helpdesk)
            begin(world)
            before = self._page()
            if name in RECEIPTS:
                self._reply(world, Outcome())
                world.receive_receipt(name, later_moment())
                world.work(OUT)
            elif outcome and outcome.is_missing:
                _remind(world)
            elif outcome:
                self._reply(world, outcome)
            else:
                happen(world, SITUATIONS[name])
            changed = self._changed(before, self._page())
            return changed[0 if outcome and outcome.in_the_reply else -1]
        finally:
            http.close()
            world.close()

    def _reply(self, world: World, outcome: Outcome) -> None:
        """Have an agent reply, at a time that stays the same, and become of it what is to become."""
        (ticket,) = self._desk.http.get("/sandbox/tickets").json()["tickets"]
        author, at = {"type": "agent", "name": "Ola"}, "2026-11-22T21:29:30Z"
        written = self._desk.comment(ticket["id"], author=author, body="It arrives tomorrow.", created_at=at)
        comment = written.raise_for_status().json()["comment"]
        world.meta.fail("send", *outcome.refusals)
        ids = {"id_": comment["id"], "ticket_id": ticket["id"]}
        world.reply(comment["body"], *outcome.files, **ids)
        world.work(OUT)
        if outcome.is_retried:
            world.inbox.dead_letters.requeue(world.inbox.dead_letters.all()[0])
            world.work(OUT)
        if outcome.change:
            world.reply("It arrives today.", **ids, change=outcome.change)
            world.work(OUT)

    def _page(self) -> tuple[str, str]:
        """Return the address of the ticket's page, and its HTML."""
        (ticket,) = self._desk.http.get("/sandbox/tickets").json()["tickets"]
        return ticket["url"], self._desk.http.get(ticket["url"]).text

    def _changed(self, before: tuple[str, str], after: tuple[str, str]) -> list[Shown]:
        url, page = after
        old = dict(enumerate(_articles(before[1])))
        style = page.partition("<style>")[2].partition("</style>")[0]
        changed = [one for one in enumerate(_articles(page)) if old.get(one[0]) != one[1]]
        return [Shown(url, number, html, style) for number, html in changed]


def _remind(world: World) -> None:
    """Have agents be reminded of a customer, an hour before the window closes."""
    now = SENT_AT / 1000 + 23 * 3600
    with patch.object(world.service.inbox, "now", return_value=now):
        reminders.queue_due(world.service)
        world.work(OUT)


@contextmanager
def gallery(folder: Path, store_url: str) -> Iterator[Gallery]:
    """Give a gallery whose helpdesk and settings are in `folder`."""
    desk = Desk(folder / "db.sqlite")
    try:
        with settings_in(folder) as make_settings:
            yield Gallery(desk, store_url, make_settings)
    finally:
        desk.stop()


def _articles(page: str) -> list[str]:
    """Return the comments of a page. What people write cannot end one: its HTML is escaped."""
    return re.findall(r"<article .*?</article>", page, re.DOTALL)


def description(name: str) -> str:
    """Say in a line whose comment a picture shows, and how it begins."""
    if name in RECEIPTS:
        return RECEIPTS[name]
    if name in OUTCOMES:
        return name.replace("_", " ")
    comment = path_of(SITUATIONS[name]).read_text().partition("\n---\n\n")[2]
    heading, _, body = comment.partition("\n\n")
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", body.strip().lstrip("> "))
    return f"{heading.partition(', ')[0]}: {text.partition(chr(10))[0]}"
