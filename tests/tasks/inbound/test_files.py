"""Files that people send."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from clients.errors import FileRefused, Unavailable
from clients.helpdesk import NewComment, NewTicket
from tasks.inbound import files
from tests.conftest import PAGE_A
from tests.fakes.conversation import PHOTO, SENT_AT
from tests.fakes.failures import away, fault
from tests.fakes.world import World


def test_a_file_is_moved_to_the_helpdesk(world: World) -> None:
    world.receive(attachments=[PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body == "hello\n\n![photo.jpg](https://acme.example.com/1)"
    assert list(new.attachment_ids) == ["1"]
    assert world.desk.keys == [f"facebook:{PAGE_A}:m_1:upload:0", f"facebook:{PAGE_A}:m_1"]


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("image/svg+xml", "[photo.jpg (image/svg+xml)]("),
        ("Image/SVG+XML; charset=utf-8", "[photo.jpg (image/svg+xml)]("),
        ("text/html; charset=utf-8", "[photo.jpg (text/html)]("),
        ("application/xhtml+xml", "[photo.jpg (application/xhtml+xml)]("),
        ("image/tiff", "[photo.jpg]("),
        ("IMAGE/PNG", "![photo.jpg]("),
        ("application/pdf", "[photo.jpg]("),
    ],
)
def test_only_a_picture_is_shown_as_one_and_what_a_browser_runs_is_named(
    world: World, content_type: str, shown: str
) -> None:
    world.media.content_type = content_type
    world.receive(text="", attachments=[PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body.startswith(shown)


def test_a_file_that_goes_with_its_comment_is_named_as_what_it_is(world: World) -> None:
    world.desk.takes_files_ahead = False
    world.media.content_type = "text/html"
    world.receive(text="", attachments=[PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body == "(photo.jpg (text/html))"


@pytest.mark.parametrize("kind", ["fallback", "location"])
def test_a_title_that_names_another_address_does_not_hide_where_it_leads(world: World, kind: str) -> None:
    payload = {"url": "https://evil.example/x", "coordinates": {"lat": 1, "long": 2}}
    world.receive(text="", attachments=[{"type": kind, "title": "https://bank.example", "payload": payload}])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert re.search(r"\[https://bank.example \((evil.example|www.google.com)\)\]", new.body)


def test_a_file_that_was_uploaded_is_not_uploaded_again(world: World) -> None:
    world.desk.fail("create_ticket", fault())
    world.receive(attachments=[PHOTO, PHOTO])
    world.work()
    world.resume()

    assert world.media.count("fetch") == world.desk.count("upload") == 2
    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1", "2"]


def test_a_helpdesk_that_takes_files_with_their_comment_only_gets_them_open(world: World) -> None:
    world.desk.takes_files_ahead = False
    world.receive(attachments=[PHOTO, PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body == "hello\n\n(photo.jpg)\n\n(photo.jpg)"
    assert world.desk.contents == [b"jpg", b"jpg"]
    assert all(file.stream.closed for file in new.files)


def test_a_file_that_goes_with_its_comment_is_fetched_again_for_another_try(world: World) -> None:
    world.desk.takes_files_ahead = False
    world.desk.open()
    world.desk.fail("add_comment", fault())
    world.receive(attachments=[PHOTO])
    world.work()
    world.resume()

    assert world.media.count("fetch") == 2
    assert world.desk.contents == [b"jpg"]


@pytest.mark.parametrize(("attempts", "tries"), [(10, files.FETCH_ATTEMPTS), (3, 3)])
def test_a_file_that_cannot_be_fetched_is_named_after_some_tries(
    world: World, attempts: int, tries: int
) -> None:
    world.configure(worker={"attempts": attempts})
    world.media.fail("fetch", *(Unavailable("it is away", maybe_done=False) for _ in range(tries)))
    world.receive(attachments=[PHOTO])
    for _ in range(tries - 1):
        world.resume()
    assert world.desk.tickets == {}
    world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert "hello\n\n(The customer sent an image that could not be downloaded: it is away." in new.body
    assert "https://cdn.fbsbx.com/photo.jpg" in new.body
    assert list(new.attachment_ids) == []


def test_a_file_that_is_refused_is_named_at_once(world: World) -> None:
    world.media.fail("fetch", FileRefused("its link has expired"))
    world.receive(attachments=[PHOTO | {"type": "video"}])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert "(The customer sent a video that could not be downloaded: its link has expired." in new.body


def test_a_helpdesk_that_is_down_is_no_reason_to_leave_a_file_out(world: World) -> None:
    world.receive(attachments=[PHOTO])
    for _ in range(5):
        world.desk.fail("upload", away())
        world.resume()
    world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1"]


def test_attempts_that_the_helpdesk_failed_are_no_reason_to_leave_a_file_out(world: World) -> None:
    world.desk.fail("upload", *(fault() for _ in range(files.FETCH_ATTEMPTS)))
    world.receive(attachments=[PHOTO])
    for _ in range(files.FETCH_ATTEMPTS + 1):
        world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1"]


def _without(*refused: str) -> Callable[[NewTicket | NewComment], Exception | None]:
    """Refuse files by their names, from the ticket or comment that brings them."""

    def refuses(new: NewTicket | NewComment) -> Exception | None:
        names = {file.filename for file in new.files}
        return FileRefused("it is of a kind that is not taken") if names & set(refused) else None

    return refuses


@pytest.mark.parametrize("on_ticket", [True, False])
@pytest.mark.parametrize("refused", [["b.exe"], ["a.exe", "b.exe"]])
def test_a_file_that_only_its_ticket_or_comment_is_refused_for_is_named(
    world: World, refused: list[str], *, on_ticket: bool
) -> None:
    if not on_ticket:
        world.desk.open()
    world.desk.takes_files_ahead = False
    world.desk.refuses = _without(*refused)
    files = [
        {"type": "file", "payload": {"url": f"https://cdn.fbsbx.com/{name}"}}
        for name in ("a.pdf" if "a.exe" not in refused else "a.exe", "b.exe")
    ]
    world.receive(text="look", attachments=files)
    world.work()

    (ticket,) = world.desk.tickets.values()
    new = ticket.new or ticket.comments[0]
    assert new.body.startswith("look")
    assert new.body.count(
        "(The customer sent a file that could not be added to the ticket: it is of a kind that is not taken."
    ) == len(refused)
    assert [file.filename for file in new.files] == ["a.pdf"][: 2 - len(refused)]
    assert world.reasons() == []


def test_an_upload_that_fails_for_ever_costs_its_file_only(world: World) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.fail("upload", *(fault() for _ in range(9)))
    world.receive(text="look", attachments=[PHOTO])
    for _ in range(3):
        world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body.startswith(
        "look\n\n(The customer sent an image that could not be added to the ticket: it answered 500."
    )
    assert world.reasons() == []


def test_the_last_try_of_an_upload_waits_while_the_helpdesk_is_down(world: World) -> None:
    world.configure(worker={"attempts": 2})
    world.desk.fail("upload", fault(), fault())
    world.receive(attachments=[PHOTO])
    world.resume()
    world.desk.fail("ping", fault(), fault())
    world.resume()
    assert world.paused()
    world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1"]


def test_a_file_that_the_helpdesk_fails_for_ever_with_its_comment_costs_itself_only(world: World) -> None:
    world.configure(worker={"attempts": 3})
    world.desk.takes_files_ahead = False
    world.desk.refuses = lambda new: fault() if new.files else None
    world.receive(text="look", attachments=[PHOTO])
    for _ in range(3):
        world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert new.body.startswith("look\n\n(The customer sent an image that could not be added to the ticket:")
    assert world.reasons() == []


AD: dict[str, Any] = {
    "source": "ADS",
    "ads_context_data": {"ad_title": "Sale", "photo_url": "https://scontent.xx.fbcdn.net/ad.jpg?oe=1"},
}
AD_LINK = "[Picture](https://scontent.xx.fbcdn.net/ad.jpg?oe=1)"
SHOE = {
    "type": "template",
    "payload": {
        "product": {
            "elements": [
                {"id": "1", "title": "Shoe", "image_url": "https://scontent.xx.fbcdn.net/shoe.jpg?oe=1"}
            ]
        }
    },
}


def test_the_pictures_of_an_advertisement_and_a_product_are_moved_to_the_helpdesk(world: World) -> None:
    world.receive(attachments=[SHOE, PHOTO], referral=AD)
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    shown = re.findall(r"!\[(.*?)\]\(https://acme.example.com/(\d)\)", new.body)
    assert [name for name, _ in shown] == ["shoe.jpg", "photo.jpg", "ad.jpg"]
    assert sorted(new.attachment_ids) == sorted(number for _, number in shown)
    assert "fbcdn" not in new.body


def test_the_picture_of_an_advertisement_on_its_own_is_moved(world: World) -> None:
    world.receive_item({"timestamp": SENT_AT, "referral": AD})
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert "![ad.jpg](https://acme.example.com/1)" in new.body
    assert list(new.attachment_ids) == ["1"]


@pytest.mark.parametrize("error", [FileRefused("its link has expired"), Unavailable("it is away")])
def test_a_picture_that_cannot_be_fetched_is_a_link_and_nothing_waits_for_it(
    world: World, error: Exception
) -> None:
    world.media.fail("fetch", error)
    world.receive(referral=AD)
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert AD_LINK in new.body
    assert not new.attachment_ids


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_picture_that_goes_with_its_comment_is_a_link_if_it_is_refused_there(
    world: World, *, is_refused: bool
) -> None:
    world.desk.takes_files_ahead = False
    world.desk.refuses = _without(*["ad.jpg"] * is_refused)
    world.receive(referral=AD, attachments=[PHOTO])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert [file.filename for file in new.files] == ["photo.jpg", "ad.jpg"][: 2 - is_refused]
    assert (AD_LINK in new.body, "(ad.jpg)" in new.body) == (is_refused, not is_refused)
    assert world.reasons() == []


def test_a_picture_that_was_moved_is_not_moved_again(world: World) -> None:
    world.desk.fail("create_ticket", fault())
    world.receive(referral=AD, attachments=[PHOTO])
    world.work()
    world.resume()

    assert world.media.count("fetch") == world.desk.count("upload") == 2


def test_while_the_host_of_pictures_is_away_one_is_tried_of_several(world: World) -> None:
    world.media.fail("fetch", Unavailable("it is away"))
    world.receive(referral=AD, attachments=[SHOE])
    world.work()

    new = world.desk.tickets["t1"].new
    assert new
    assert world.media.count("fetch") == 1
    assert new.body.count("[Picture](https://scontent") == 2


def test_a_picture_waits_while_the_helpdesk_is_down(world: World) -> None:
    world.desk.fail("upload", away())
    world.receive(referral=AD)
    world.resume()
    world.resume()

    new = world.desk.tickets["t1"].new
    assert new
    assert list(new.attachment_ids) == ["1"]
