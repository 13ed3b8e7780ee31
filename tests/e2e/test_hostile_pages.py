"""Tab and board in a real browser, against what others write: names, texts, links, frames."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from clients.channels.meta.events import CHANNEL
from clients.findings import finding
from clients.notices import encode, notice
from sandbox.stack import free_port, until
from tasks import findings
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.store import connect
from tests.conftest import PAGE_A, SECRET_A, connection, settings_in
from tests.fakes.admin import NEW, TOKEN
from tests.fakes.board import die, link_to_board, remote
from tests.fakes.browser import Watched, browser, violations
from tests.fakes.frame import framed, framing
from tests.fakes.login import PATH as LOGIN_PATH
from tests.fakes.login import link_to
from tests.fakes.pages import tab_link
from tests.fakes.sandbox_helpdesk import Desk
from tests.fakes.tab import Tab, settings_of
from tests.fakes.web import serving

EVIL = "\"><img src=x class=evil onerror=alert(1)><script class=evil>alert(2)</script>{{7*7}}'&"
EVIL_DESK = "'\"><img src=x class=evil onerror=alert(3)>"
"""A desk is part of a path, so it has no slash."""
LIVE = 20_000
USUAL = ("responded with a status of 4", "[DOM] Input elements should have autocomplete")
"""What Chromium says on the console of a page that nobody attacks, too."""


@pytest.fixture(scope="module")
def frame() -> Iterator[str]:
    with framing() as origin:
        yield origin


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk") / "db.sqlite")
    desk.http.put("/sandbox/desks/7", json={"name": EVIL}).raise_for_status()
    desk.http.put("/sandbox/categories/12", json={"name": EVIL, "owner": EVIL}).raise_for_status()
    yield desk
    desk.stop()


@pytest.fixture(scope="module")
def url(valkey: str, desk: Desk, frame: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a connector whose pages, desks and categories are called what nobody should call them."""
    port = free_port()
    fixed = connection(PAGE_A, SECRET_A, page_name=EVIL, desk_id=EVIL_DESK, category_id=EVIL)
    with settings_in(tmp_path_factory.mktemp("hostile")) as make:
        settings = settings_of(make, valkey, desk, port, connections=[fixed], framed_by=[frame])
        with serving(settings, port) as url:
            yield url


@pytest.fixture
def inbox(store_url: str) -> Iterator[Inbox]:
    with closing(connect(store_url)) as store:
        yield Inbox(store)


@pytest.fixture
def page() -> Iterator[Page]:
    with browser(locale="en-GB") as opened:
        yield opened.new_page()


def look(page: Page, watched: Watched, *shown: str) -> None:
    """See that a page shows this as it was written, and that none of it became markup, or was run."""
    assert page.locator(".evil").count() == 0, page.url
    said = page.locator("body").inner_text()
    values = page.locator("input").evaluate_all("all => all.map(one => one.value)")
    assert [one for one in shown if one not in said and one not in values] == [], page.url
    assert [one for one in watched.said if not any(usual in one for usual in USUAL)] == []


def happen(inbox: Inbox, account: str) -> None:
    """Have all go wrong for a page that can, for reasons that others gave."""
    wrong = [finding("page_token_of_another_page", other=EVIL), finding("desk_missing", desk_id=EVIL)]
    findings.note(inbox, account, [*wrong, finding("permissions_missing", permissions=EVIL)])
    findings.note(inbox, "helpdesk", [finding("helpdesk_away", reason=notice("machine_fault", detail=EVIL))])
    findings.note(inbox, "store", [finding("store_evicts", policy=EVIL)])
    inbox.pause(account, 60, encode(notice("machine_fault", detail=EVIL)))
    inbox.slow(account, 1, encode(notice("machine_fault", detail=EVIL)))


def test_no_name_text_or_error_becomes_markup_on_the_tab(
    url: str, inbox: Inbox, desk: Desk, store_url: str, page: Page
) -> None:
    watched = Watched(page)
    with closing(Tab(url, store_url, desk)) as tab:
        tab.add(page_name=EVIL, category_id=EVIL)
        happen(inbox, f"{CHANNEL}:{NEW}")
        happen(inbox, remote())
    page.goto(f"{tab_link(url)}&edit={NEW}&done={EVIL_DESK}")
    look(page, watched, EVIL, f"Settings of {EVIL}")
    page.evaluate("() => document.body.addEventListener('htmx:afterSwap', () => { window.swapped = true; })")
    page.wait_for_function("() => window.swapped", timeout=LIVE)
    look(page, watched, EVIL)

    for button, fields in (("Connect the page", "new"), ("Save", NEW)):
        page.goto(f"{tab_link(url)}&edit={NEW}")
        _fill(page, fields)
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_text("It was not saved.")).to_be_visible()
        look(page, watched, EVIL)
        assert page.locator(f"[id='{fields}-remind_before']").input_value() == EVIL

    page.goto(tab_link(url, EVIL_DESK))
    look(page, watched, EVIL)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("status")).to_be_visible(timeout=LIVE)
    look(page, watched, EVIL_DESK)
    page.goto(f"{url}/desks/{'%22%3E%3Cimg%20class=evil%3E'}/messenger?language={EVIL_DESK}")
    look(page, watched)


def _fill(page: Page, form: str) -> None:
    """Enter the same in each field of a form, and choose it where one can only choose."""
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true; })")
    fields = page.locator(f"[id^='{form}-']:is(input:not([type=checkbox]), select)")
    assert fields.count() >= 6
    for field in fields.all():
        if field.evaluate("one => one.tagName") == "SELECT":
            field.evaluate("(one, evil) => one.add(new Option(evil, evil, true, true))", EVIL)
        else:
            field.fill(EVIL)


def test_what_was_just_entered_is_shown_as_it_was_written(url: str, inbox: Inbox, page: Page) -> None:
    watched = Watched(page)
    page.goto(tab_link(url))
    entered = {"page_id": NEW, "page_name": EVIL, "page_access_token": TOKEN, "app_secret": SECRET_A}
    for name, value in (entered | {"verify_token": EVIL}).items():
        page.locator(f"#new-{name}").fill(value)
    page.get_by_role("button", name="Connect the page").click()
    expect(page.locator("#given-token")).to_have_value(EVIL)
    look(page, watched, EVIL)
    assert inbox.connections.names()


def test_no_name_text_or_error_becomes_markup_on_the_board(url: str, inbox: Inbox, page: Page) -> None:
    watched = Watched(page)
    happen(inbox, remote())
    die(inbox, notice("machine_fault", detail=EVIL), queue=f"in:{remote()}:7", words=EVIL, key="of-evil")
    die(inbox, notice(EVIL), queue=f"in:{remote()}:{EVIL.replace(' ', '')}")
    inbox.note_refusals(f"{CHANNEL} {PAGE_A} {EVIL.replace(' ', '')}", 1)
    file = {"type": "file", "payload": {"url": EVIL, "title": EVIL}}
    body = {"sender": {"id": EVIL, "name": EVIL}, "message": {"mid": "m", "attachments": [file]}}
    queue = f"in:{remote()}:8"
    inbox.accept([Job(key="of-a-file", queue=queue, time=1, body=json.dumps(body).encode())])
    lease = inbox.claim(queue)
    assert lease
    lease.keep_unknown(encode(notice("unknown_kind", kind=EVIL)))
    lease.move_to_dead_letters(encode(notice("unknown_kind", kind=EVIL)))

    inbox.backfills.request(remote(), 1_795_000_000_000)
    page.goto(link_to_board(url))
    look(page, watched, EVIL, EVIL_DESK)
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Name, page id or desk").fill(EVIL)
    expect(page.get_by_text("1 to 1 of 1")).to_be_visible(timeout=LIVE)
    look(page, watched, EVIL)
    opened = page.url
    for kind in ("dead", "unknown"):
        page.goto(opened.replace("/board?", f"/board/{kind}?") + f"&words={EVIL_DESK}&done={EVIL_DESK}")
        look(page, watched, EVIL_DESK)
        page.goto(opened.replace("/board?", f"/board/{kind}?").partition("&q=")[0])
        look(page, watched, EVIL)
        for number in range(page.locator(".letters .more a").count()):
            page.locator(".letters .more a").nth(number).click()
            look(page, watched)
            page.get_by_role("button", name="Show it").click()
            expect(page.locator("pre").last).to_be_visible()
            look(page, watched)
            page.go_back()
            page.go_back()
    page.goto(f"{url}/board?language={EVIL_DESK}&signature={EVIL_DESK}")
    look(page, watched)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"seconds": -1}, ("This link has expired.", "This page has expired.")),
        ({"seconds": 7200}, ("more than an hour", "more than an hour")),
        ({"key": "another"}, ("was altered", "was altered")),
    ],
)
def test_a_link_that_is_not_good_shows_why_and_nothing_else(
    url: str, page: Page, said: dict[str, Any], words: tuple[str, str]
) -> None:
    for link, why in zip((tab_link(url, EVIL_DESK, **said), link_to_board(url, **said)), words, strict=True):
        answer = page.goto(link)
        assert answer
        assert answer.status == 403
        expect(page.get_by_text(why)).to_be_visible()
        assert page.get_by_text(PAGE_A).count() == 0
        assert page.locator("form, button, a").count() == 0


def test_a_link_opens_nothing_else_than_what_it_was_made_for(url: str, page: Page) -> None:
    tab, board, login = tab_link(url), link_to_board(url), link_to(url)
    borrowed = [
        tab.replace("/desks/7/", "/desks/8/"),
        tab.replace("/desks/7/messenger", "/board"),
        board.replace("/board", "/desks/7/messenger"),
        login.replace(LOGIN_PATH, "/desks/7/messenger"),
        login.replace(LOGIN_PATH, "/board"),
    ]
    page.goto(tab)
    opened = page.locator("form").first.get_attribute("action") or ""
    borrowed.append(url + opened.replace("/desks/7/", "/desks/8/"))
    for link in borrowed:
        answer = page.goto(link)
        assert answer
        assert answer.status == 403, link
        expect(page.get_by_text("was altered")).to_be_visible()


@pytest.mark.parametrize("which", ["tab", "board"])
def test_each_is_framed_by_whom_the_settings_name_and_by_nobody_else(
    url: str, frame: str, page: Page, which: str
) -> None:
    link, heading = {
        "tab": (tab_link(url), "Pages of this desk"),
        "board": (link_to_board(url), "Last errors"),
    }[which]
    shown = {}
    for origin in (frame, frame.replace("127.0.0.1", "localhost")):
        page.goto(framed(origin, link))
        shown[origin] = page.frame_locator("iframe").get_by_role("heading", name=heading).count()
    assert list(shown.values()) == [1, 0]


def test_an_open_tab_shows_that_its_hour_is_over(url: str, page: Page) -> None:
    page.goto(tab_link(url))
    page.route(
        "**/messenger/pages?*",
        lambda route: route.continue_(url=route.request.url.replace("expires=1", "expires=0")),
    )

    expect(page.locator("#live [role=alert]")).to_contain_text(
        "Open it from your helpdesk again", timeout=LIVE
    )
    assert page.locator("#live article").count() == 0


@pytest.mark.parametrize("which", ["tab", "board"])
def test_what_is_not_brought_up_to_date_any_more_is_said_to_be_old(url: str, page: Page, which: str) -> None:
    page.goto(tab_link(url) if which == "tab" else link_to_board(url))
    stale = page.locator(".stale")
    assert not stale.is_visible()
    page.route("**/*", lambda route: route.abort())
    # It is shown by a style, after half a minute, for which a test need not wait.
    page.evaluate("() => document.getAnimations().forEach(one => { one.currentTime = 30_001; })")

    expect(stale).to_be_visible()
    expect(stale).to_contain_text("Reload the page")
    page.unroute("**/*")
    if which == "tab":  # whose link is no longer good by then
        stale.get_by_role("link", name="Show it as it is now").click()
    until("it is up to date again", lambda: not page.locator(".stale").is_visible())
