"""What is found of a page's token, app and subscriptions, by what Meta answers."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from clients.channels.meta.graph import Page
from clients.channels.meta.kinds import EXTRA_FIELDS, NEEDED_FIELDS, ROWS, UNASKED, field_of
from clients.errors import RateLimited, RejectedError, Unauthorized, Unavailable
from clients.findings import Finding, finding
from clients.http import HttpClient
from clients.media import MediaFetcher
from clients.single_flight import Answers
from sandbox.meta.shapes import DEFAULT_FIELDS
from sandbox.meta.subscriptions import FIELDS
from tests.conftest import PAGE_A, SECRET_A

APP, TOKEN, VERIFY = "3379478975539191", "EAApage-token-that-nobody-may-see", "verify-word"
CALLBACK = "https://acme.example.com/social_media/webhooks/facebook"
SOON = int(time.time() + 3 * 86_400)
Json = dict[str, Any]
ALL_FIELDS = (*NEEDED_FIELDS, *EXTRA_FIELDS)


class Graph:
    """A Graph API, and our own address, in which all is well until a test changes it."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: dict[str, Any] = {
            "/v26.0/app": {"id": APP},
            "/v26.0/debug_token": {"data": token()},
            f"/v26.0/{APP}/subscriptions": {"data": [subscription()]},
            f"/v26.0/{PAGE_A}/subscribed_apps": {"data": [subscribed([*ALL_FIELDS])]},
        }
        self.refused_fields = frozenset[str]()
        self.handshake: Callable[[httpx.Request], httpx.Response] = self.answer_handshake
        self.date = datetime.now(UTC)
        http = HttpClient(httpx.MockTransport(self._answer))
        self.page = Page(
            http,
            "https://graph.facebook.com/v26.0",
            page_id=PAGE_A,
            token=TOKEN,
            app_secret=SECRET_A,
            media=MediaFetcher(http, [], 0),
            verify_token=VERIFY,
        )

    def answer_handshake(self, request: httpx.Request) -> httpx.Response:
        known = request.url.params["hub.verify_token"] == VERIFY
        return httpx.Response(200 if known else 403, text=request.url.params["hub.challenge"])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host == "acme.example.com":
            return self.handshake(request)
        answer = self._subscribe(request) if request.method == "POST" else self.answers[request.url.path]
        headers = {"Date": format_datetime(self.date, usegmt=True)}
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            error = {"code": answer, "message": "no"}
            return httpx.Response(400, json={"error": error}, headers=headers)
        if "error" in answer:
            return httpx.Response(400, json=answer, headers=headers)
        return httpx.Response(200, json=answer, headers=headers)

    def _subscribe(self, request: httpx.Request) -> Any:
        """Take the fields of a subscription, all or none."""
        sent = parse_qs(request.content.decode())
        (fields,) = sent.get("fields") or sent["subscribed_fields"]
        if self.refused_fields & {*fields.split(",")}:
            return 100
        self.subscribed = fields.split(",")
        return {"success": True}

    def set_token(self, **changes: Any) -> None:
        self.answers["/v26.0/debug_token"] = {"data": token() | changes}

    def set_app(self, *subscriptions: Json) -> None:
        self.answers[f"/v26.0/{APP}/subscriptions"] = {"data": [*subscriptions]}

    def set_page(self, *apps: Json) -> None:
        self.answers[f"/v26.0/{PAGE_A}/subscribed_apps"] = {"data": [*apps]}

    def found(self, known: Answers | None = None) -> list[Finding]:
        return list(self.page.check(CALLBACK, known))

    def asked(self) -> list[str]:
        """Return what was asked since the last time."""
        paths = [one.url.path for one in self.requests if one.url.host == "graph.facebook.com"]
        self.requests.clear()
        return paths

    def wrong(self) -> list[str]:
        return [one.code for one in self.found() if one.is_wrong]

    def posted(self) -> tuple[str, dict[str, str]]:
        (request,) = [one for one in self.requests if one.method == "POST"]
        fields = parse_qs(request.content.decode())
        return request.url.path, {name: values[0] for name, values in fields.items()}


def token(**changes: Any) -> Json:
    scopes = ["pages_messaging", "pages_manage_metadata", "pages_read_engagement"]
    known = {"app_id": APP, "type": "PAGE", "is_valid": True, "expires_at": 0, "profile_id": PAGE_A}
    return known | {"data_access_expires_at": 0, "scopes": scopes} | changes


def subscription(**changes: Any) -> Json:
    fields = [{"name": name, "version": "v26.0"} for name in ALL_FIELDS]
    return {"object": "page", "callback_url": CALLBACK, "active": True, "fields": fields} | changes


def subscribed(fields: list[str], app: str = APP) -> Json:
    return {"id": app, "subscribed_fields": fields}


@pytest.fixture
def graph() -> Graph:
    return Graph()


def test_where_all_is_well_nothing_is_wrong(graph: Graph) -> None:
    assert [one.code for one in graph.found()] == [
        "webhook_address_answers",
        "app_secret_right",
        "clock_right",
        "page_token_valid",
        "app_subscribed",
        "page_subscribed",
    ]


def test_it_is_said_until_when_the_app_has_access(graph: Graph) -> None:
    graph.set_token(data_access_expires_at=int(datetime(2099, 2, 27, 10, tzinfo=UTC).timestamp()))
    assert finding("data_access_lasts", time="2099-02-27 10:00 UTC") in graph.found()


BAD_PROOF = {"error": {"code": 100, "message": "Invalid appsecret_proof provided in the API argument"}}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (BAD_PROOF, "app_secret_wrong"),
        (190, "page_token_invalid"),
        (httpx.ConnectError("no"), "facebook_away"),
        (100, "facebook_refuses_check"),
        ({}, "facebook_away"),
    ],
)
def test_what_is_asked_first_may_end_the_check(graph: Graph, answer: Any, code: str) -> None:
    graph.answers["/v26.0/app"] = answer
    found = graph.found()

    assert [one.code for one in found] == ["webhook_address_answers", code]
    assert found[-1].meaning.hides_others


@pytest.mark.parametrize(
    ("path", "code", "of_app"),
    [
        ("app", 4, True),
        ("app", 80001, False),
        ("debug_token", 613, True),
        (f"{PAGE_A}/subscribed_apps", 80001, False),
    ],
)
def test_a_check_that_is_limited_says_whether_the_whole_app_is(
    graph: Graph, path: str, code: int, *, of_app: bool
) -> None:
    graph.answers[f"/v26.0/{path}"] = code
    with pytest.raises(RateLimited) as raised:
        graph.found()

    assert raised.value.is_of_app == of_app


def test_of_an_app_all_pages_share_what_was_asked(graph: Graph) -> None:
    known = Answers()
    first = [one.code for one in graph.found(known)]
    assert len(graph.asked()) == 4
    assert [one.code for one in graph.found(known)] == first
    assert graph.asked() == ["/v26.0/debug_token", f"/v26.0/{PAGE_A}/subscribed_apps"]


def test_a_token_of_another_app_is_found_though_the_apps_id_is_known(graph: Graph) -> None:
    known = Answers()
    graph.found(known)
    graph.answers |= {"/v26.0/debug_token": 100, "/v26.0/app": BAD_PROOF}

    assert [one.code for one in graph.found(known)][-1] == "app_secret_wrong"


def test_what_is_asked_of_an_app_is_asked_again_where_it_failed(graph: Graph) -> None:
    known, answer = Answers(), graph.answers["/v26.0/app"]
    graph.answers["/v26.0/app"] = 190
    assert graph.found(known)[-1].code == "page_token_invalid"
    graph.answers["/v26.0/app"] = answer
    assert graph.found(known)[-1].code == "page_subscribed"


def test_an_app_that_is_limited_is_asked_no_more(graph: Graph) -> None:
    known = Answers()
    graph.answers["/v26.0/app"] = 4
    for _ in range(2):
        with pytest.raises(RateLimited):
            graph.found(known)

    assert graph.asked() == ["/v26.0/app"]


def test_the_name_of_an_app_tells_nothing_of_its_secret(graph: Graph) -> None:
    assert graph.page.app
    assert SECRET_A not in graph.page.app


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"is_valid": False, "error": {"code": 190, "subcode": 463}}, "page_token_invalid"),
        ({"type": "USER"}, "page_token_of_another_kind"),
        ({"profile_id": "1"}, "page_token_of_another_page"),
        ({"expires_at": SOON}, "page_token_expires"),
        ({"data_access_expires_at": SOON}, "data_access_ends"),
        ({"scopes": ["pages_manage_metadata", "pages_read_engagement"]}, "permission_to_message_missing"),
        ({"scopes": ["pages_messaging", "pages_manage_metadata"]}, "permissions_missing"),
        ({"scopes": ["pages_messaging", "pages_read_engagement"]}, "permissions_missing"),
        (
            {"granular_scopes": [{"scope": "pages_messaging", "target_ids": ["1"]}]},
            "permission_to_message_missing",
        ),
    ],
)
def test_what_is_wrong_with_a_token_is_found(graph: Graph, changes: Json, code: str) -> None:
    graph.set_token(**changes)
    assert graph.wrong() == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"data_access_expires_at": int(time.time() + 60 * 86_400)},
        {"granular_scopes": [{"scope": "pages_messaging", "target_ids": [PAGE_A]}]},
        {"granular_scopes": [{"scope": "pages_messaging"}]},
    ],
)
def test_what_is_right_with_a_token_is_no_fault(graph: Graph, changes: Json) -> None:
    graph.set_token(**changes)
    assert graph.wrong() == []


@pytest.mark.parametrize(
    ("subscriptions", "codes"),
    [
        ([], ["app_not_subscribed"]),
        ([subscription(object="user")], ["app_not_subscribed"]),
        ([subscription(fields=["feed"])], ["app_not_subscribed"]),
        ([subscription(active=False)], ["app_subscription_inactive"]),
        ([subscription(fields=["messages"])], ["app_fields_missing"]),
        ([subscription(callback_url="https://old.example.com/hook")], ["app_subscribed_elsewhere"]),
        ([subscription(callback_url="http://[")], ["app_subscribed_elsewhere"]),
        ([subscription(callback_url=CALLBACK.replace("acme", "ACME") + "/")], []),
        ([subscription(object="user"), subscription(fields=[*ALL_FIELDS, "feed"])], []),
    ],
)
def test_what_is_wrong_with_the_app_is_found(
    graph: Graph, subscriptions: list[Json], codes: list[str]
) -> None:
    graph.set_app(*subscriptions)
    assert graph.wrong() == codes


@pytest.mark.parametrize(
    ("apps", "codes"),
    [
        ([], ["page_not_subscribed"]),
        ([subscribed([*NEEDED_FIELDS], "1")], ["page_not_subscribed"]),
        ([subscribed(["message_reads"])], ["page_not_subscribed"]),
        ([subscribed(["messages"])], ["page_fields_missing"]),
        ([subscribed([], "1"), subscribed([*ALL_FIELDS])], []),
    ],
)
def test_what_is_wrong_with_the_page_is_found(graph: Graph, apps: list[Json], codes: list[str]) -> None:
    graph.set_page(*apps)
    assert graph.wrong() == codes


@pytest.mark.parametrize(("off", "code"), [(60, "clock_fast"), (-60, "clock_slow"), (3, "clock_right")])
def test_the_clock_is_compared_with_metas(graph: Graph, off: int, code: str) -> None:
    graph.date -= timedelta(seconds=off)
    assert code in {one.code for one in graph.found()}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.ConnectError("no"), "webhook_address_not_reached"),
        (httpx.ReadTimeout("no"), "webhook_address_not_reached"),
        (httpx.Response(502), "webhook_address_wrong"),
        (httpx.Response(301, headers={"Location": "https://example.com"}), "webhook_address_wrong"),
        (httpx.Response(404), "webhook_address_wrong"),
        (httpx.Response(200, text="welcome"), "webhook_address_wrong"),
    ],
)
def test_our_own_address_is_asked_as_meta_does(graph: Graph, answer: Any, code: str) -> None:
    def handshake(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    graph.handshake = handshake
    assert graph.wrong() == [code]


def test_a_page_is_subscribed_with_all_that_is_needed_and_what_it_had(graph: Graph) -> None:
    graph.set_page(subscribed(["feed", "messages"]))
    graph.page.repair(finding("page_fields_missing"), CALLBACK)

    path, fields = graph.posted()
    assert path == f"/v26.0/{PAGE_A}/subscribed_apps"
    assert fields["subscribed_fields"].split(",") == [*NEEDED_FIELDS, "feed", *EXTRA_FIELDS]


def test_an_app_is_subscribed_with_our_address_and_what_it_had(graph: Graph) -> None:
    graph.set_app(subscription(callback_url="https://old.example.com", fields=["feed"]))
    graph.page.repair(finding("app_subscribed_elsewhere"), CALLBACK)

    path, fields = graph.posted()
    assert path == f"/v26.0/{APP}/subscriptions"
    assert (fields["object"], fields["callback_url"], fields["verify_token"]) == ("page", CALLBACK, VERIFY)
    assert fields["fields"].split(",") == [*NEEDED_FIELDS, "feed", *EXTRA_FIELDS]


SUBSCRIPTIONS = [
    "app_subscribed_in_part",
    "page_subscribed_in_part",
    "app_not_subscribed",
    "page_not_subscribed",
]


@pytest.mark.parametrize("code", SUBSCRIPTIONS)
def test_a_field_that_the_app_may_not_have_leaves_the_others_subscribed(graph: Graph, code: str) -> None:
    graph.refused_fields = frozenset({"calls", "send_cart"})
    graph.set_page(subscribed(["messages"]))
    graph.set_app(subscription(fields=["messages"]))
    graph.page.repair(finding(code), CALLBACK)

    assert graph.subscribed == [one for one in ALL_FIELDS if one not in graph.refused_fields]


@pytest.mark.parametrize("code", SUBSCRIPTIONS)
def test_a_field_that_is_needed_and_refused_is_an_error(graph: Graph, code: str) -> None:
    graph.refused_fields = frozenset({"standby"})
    with pytest.raises(RejectedError):
        graph.page.repair(finding(code), CALLBACK)


def test_a_field_that_an_app_may_lack_is_named_and_no_fault(graph: Graph) -> None:
    graph.set_page(subscribed([*NEEDED_FIELDS]))
    graph.set_app(subscription(fields=[one for one in ALL_FIELDS if one != "calls"]))

    app, page = graph.found()[-2:]
    assert app == finding("app_subscribed_in_part", app_id=APP, fields="calls")
    assert page == finding("page_subscribed_in_part", fields=", ".join(EXTRA_FIELDS))
    assert [app.is_wrong, page.is_wrong] == [False, False]


def test_every_kind_of_event_has_a_field_that_meta_knows() -> None:
    fields = {kind: field_of(row) for kind, row in ROWS.items()}
    assert fields.pop("message_request") == ""
    assert {kind: field for kind, field in fields.items() if field not in FIELDS} == {}
    assert set(ALL_FIELDS) == set(DEFAULT_FIELDS)
    assert set(ALL_FIELDS) - {"standby", "message_echoes"} == set(fields.values()) - UNASKED


def test_no_field_is_subscribed_that_shows_people_something() -> None:
    assert "response_feedback" not in ALL_FIELDS


@pytest.mark.parametrize(
    ("answer", "kind"), [(BAD_PROOF, Unauthorized), (100, RejectedError), ({}, Unavailable)]
)
def test_a_repair_that_meta_refuses_is_an_error(graph: Graph, answer: Any, kind: type[Exception]) -> None:
    graph.answers["/v26.0/app"] = answer
    with pytest.raises(kind):
        graph.page.repair(finding("page_not_subscribed"), CALLBACK)


def test_no_finding_holds_a_secret(graph: Graph) -> None:
    graph.set_app(subscription(callback_url=f"https://a:{VERIFY}@old.example.com/hook?key={TOKEN}"))
    graph.set_token(expires_at=SOON, scopes=[])
    graph.handshake = lambda request: httpx.Response(200, text=str(request.url))

    text = "".join(map(str, graph.found()))
    assert [secret for secret in (TOKEN, SECRET_A, VERIFY) if secret in text] == []


def test_the_readme_names_the_fields_that_are_subscribed() -> None:
    readme = (Path(__file__).parents[4] / "README.md").read_text()
    step = readme.partition("then *Subscribe* for each page:")[2].partition("`connector check --fix`")[0]
    needed, extra = re.findall("`([^`]*)`", step)
    assert [set(re.split(r",\s+", names)) for names in (needed, extra)] == [
        set(NEEDED_FIELDS), set(EXTRA_FIELDS)
    ]  # fmt: skip
