"""Failures of the Graph API, each by its sort."""

import json
import logging
from io import BytesIO
from typing import Any

import httpx
import pytest

from clients.channel import Profile
from clients.channels.meta.errors import ERRORS, OTHER
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.graph import Page
from clients.errors import (
    LONGEST_RETRY_AFTER,
    ClientError,
    MessageRefused,
    OutsideWindow,
    RateLimited,
    RejectedError,
    ServiceDown,
    Unauthorized,
    Unavailable,
)
from clients.media import File
from clients.notices import say
from tests.conftest import PAGE_A
from tests.fakes.graph import PSID, TOKEN, Site, answering, send_hello
from tests.fakes.meta_errors import TABLE


def _saying(status: int, content: bytes) -> Page:
    return Site(lambda _: httpx.Response(status, content=content)).messenger


def _refusing(code: Any, subcode: Any = None, status: int = 400, **more: Any) -> Page:
    error = {"message": "translated", "type": "OAuthException", "code": code, "fbtrace_id": "A1"} | more
    return answering(status, {"error": error | ({"error_subcode": subcode} if subcode else {})})


def _failure(messenger: Page) -> ClientError:
    with pytest.raises(ClientError) as failure:
        send_hello(messenger)
    return failure.value


def test_every_error_that_is_known_is_tested_here() -> None:
    assert ERRORS.keys() - {(368, OTHER)} <= TABLE.keys()


@pytest.mark.parametrize(("code", "subcode"), TABLE)
def test_each_error_has_its_sort(code: int, subcode: int | None) -> None:
    failure = _failure(_refusing(code, subcode))
    assert (type(failure), failure.remote) == (TABLE[code, subcode], f"{CHANNEL}:{PAGE_A}")
    assert say(failure.notice).endswith(f"(Facebook error {code}{f'/{subcode}' if subcode else ''})")


@pytest.mark.parametrize(
    ("code", "subcode"),
    [(200, 2018028), (200, 2018027), (200, 2018021), (100, 2018164), (100, 2018320), (100, 2018328)],
)
def test_a_subcode_that_says_more_than_its_code_is_explained(code: int, subcode: int) -> None:
    failure = _failure(_refusing(code, subcode, error_user_msg="Something went wrong."))
    assert "Something went wrong" not in say(failure.notice)
    assert failure.notice.code != ERRORS[code, None][1]


@pytest.mark.parametrize(("code", "subcode"), [(190, 4711), (1, 98), (100, 999), (613, 2534041000)])
def test_an_unknown_subcode_counts_as_its_code(code: int, subcode: int) -> None:
    assert type(_failure(_refusing(code, subcode))) is TABLE[code, None]


@pytest.mark.parametrize(
    ("code", "subcode", "known_as"),
    [
        (10, 1545041, (551, 1545041)),
        (100, 2018108, (10, 2018108)),
        (100, 2018278, (10, 2018278)),
        (2018278, None, (10, 2018278)),
        (100, 1893063, (10, 1893063)),
        (10, 2018001, (100, 2018001)),
        (100, 2018300, (10, 2018300)),
        (10, 9000001, (9000001, None)),
    ],
)
def test_a_subcode_is_known_under_another_code_and_alone(
    code: int, subcode: int | None, known_as: tuple[int, int | None]
) -> None:
    failure = _failure(_refusing(code, subcode))
    assert (type(failure), failure.notice.code) == ERRORS[known_as]


WORDS: dict[str, Any] = {"error_user_title": "Not now", "error_user_msg": "Say it later."}


@pytest.mark.parametrize(
    ("code", "subcode"),
    [
        (10, None),
        (100, None),
        (200, None),
        (10, 4711),
        (100, 2018014),
        (100, 2534014),
        (368, 4711),
        (4242, 1),
    ],
)
def test_what_we_cannot_say_better_is_said_in_metas_own_words(code: int, subcode: int | None) -> None:
    failure = _failure(_refusing(code, subcode, **WORDS))
    assert "“Not now Say it later.”" in say(failure.notice)


@pytest.mark.parametrize(
    ("code", "subcode"), [(10, 2018108), (551, None), (100, 2018108), (2018001, None), (190, 460), (2, None)]
)
def test_what_we_can_say_better_is_not_said_in_metas_words(code: int, subcode: int | None) -> None:
    assert "Not now" not in say(_failure(_refusing(code, subcode, **WORDS)).notice)


def test_a_block_of_something_unknown_fails_what_it_was_about_alone() -> None:
    assert type(_failure(_refusing(368, 4711))) is RejectedError


@pytest.mark.parametrize(
    "message",
    [
        "Invalid appsecret_proof provided in the API argument",
        "API calls from the server require an appsecret_proof argument",
    ],
)
def test_a_wrong_app_secret_waits_for_a_person_as_a_wrong_token_does(message: str) -> None:
    failure = _failure(_refusing(100, message=message, type="GraphMethodException"))
    assert isinstance(failure, Unauthorized)
    assert "app_secret" in say(failure.notice)


@pytest.mark.parametrize(
    ("told", "canonical"),
    [
        ("image/jpg", "image/jpeg"),
        ("image/pjpeg", "image/jpeg"),
        ("IMAGE/PNG", "image/png"),
        ("image/x-png", "image/png"),
        ("image/jpeg; charset=binary", "image/jpeg"),
        ("", "application/octet-stream"),
    ],
)
def test_a_file_is_uploaded_with_its_canonical_type_and_a_name_that_arrives(
    told: str, canonical: str
) -> None:
    site = Site(lambda _: httpx.Response(200, json={"attachment_id": "1"}))
    site.messenger.upload("image", File('say "hi" 50%.bin', told, 3, BytesIO(b"abc")))
    sent = site.requests[0].content.decode()
    assert f"Content-Type: {canonical}\r\n" in sent
    assert "filename=\"say 'hi' 50%.bin\"" in sent


def test_an_unknown_error_is_rejected() -> None:
    assert type(_failure(_refusing(4242))) is MessageRefused


@pytest.mark.parametrize("more", [{"is_transient": True}, {"status": 503}])
def test_an_unknown_error_that_passes_is_retried(more: dict[str, Any]) -> None:
    failure = _failure(_refusing(4242, **more))
    assert isinstance(failure, Unavailable)
    assert failure.maybe_done


def test_the_status_says_nothing_of_a_known_error() -> None:
    assert type(_failure(_refusing(10, 2018278, status=500, is_transient=True))) is OutsideWindow


def test_an_error_that_may_hide_a_success_says_so() -> None:
    failure = _failure(_refusing(1, 1357046, status=500))
    assert isinstance(failure, Unavailable)
    assert failure.maybe_done


@pytest.mark.parametrize(
    ("status", "sort"),
    [(400, RejectedError), (401, Unauthorized), (403, Unavailable), (429, RateLimited), (502, ServiceDown)],
)
@pytest.mark.parametrize("body", [None, [], {}, {"error": "no"}, {"error": {}}, {"error": []}])
def test_without_a_code_the_status_has_to_do(status: int, sort: type[ClientError], body: Any) -> None:
    assert type(_failure(answering(status, body))) is sort


@pytest.mark.parametrize("code", [[], {}, "190", None, 1.5, True])
def test_a_code_that_is_none_is_a_client_error(code: Any) -> None:
    assert isinstance(_failure(_refusing(code)), ClientError)


@pytest.mark.parametrize("more", ["9" * 5000, "[" * 5000 + "]" * 5000], ids=["a long number", "depth"])
def test_what_stands_beside_a_code_hides_it_only_if_nobody_can_read_it(more: str) -> None:
    body = f'{{"error": {{"code": 190, "x": {more}}}}}'.encode()
    sort = Unauthorized if more.isdecimal() else RejectedError
    assert type(_failure(_saying(400, body))) is sort


def test_a_profile_with_a_number_too_long_for_python_is_read() -> None:
    body = b'{"name": "Ann", "timezone": %s}' % (b"9" * 5000)
    assert _saying(200, body).profile(PSID) == Profile("Ann")


def test_a_name_is_written_as_its_person_does() -> None:
    profile = {"first_name": "小明", "last_name": "王", "name": "王小明"}
    assert answering(200, profile).profile(PSID).name == "王小明"
    assert answering(200, profile | {"name": " "}).profile(PSID).name == "小明 王"


def _usage(*minutes: Any) -> str:
    uses = [{"type": "messenger", "estimated_time_to_regain_access": one} for one in minutes]
    return json.dumps({PAGE_A: uses})


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (_usage(5), 300),
        (_usage(0, 2, 1), 120),
        (_usage(0), None),
        (_usage(), None),
        (_usage("5"), None),
        (_usage(10**400), None),
        (_usage(10**6), LONGEST_RETRY_AFTER),
        (_usage(float("inf")), LONGEST_RETRY_AFTER),
        (_usage(float("nan")), None),
        (_usage(-1), None),
        ("[" * 5000, None),
        ("no JSON", None),
        ("[]", None),
        ('{"1": {}}', None),
        ('{"1": [{}]}', None),
    ],
)
def test_a_limit_says_how_long_meta_wants_to_be_left_alone(header: str, seconds: float | None) -> None:
    messenger = answering(400, {"error": {"code": 80006}}, X_Business_Use_Case_Usage=header)
    failure = _failure(messenger)
    assert isinstance(failure, RateLimited)
    assert failure.retry_after == seconds


def test_a_limit_without_the_header_says_nothing_of_its_end() -> None:
    failure = _failure(_refusing(80006))
    assert isinstance(failure, RateLimited)
    assert failure.retry_after is None


@pytest.mark.parametrize(
    "body", [None, [], {}, {"message_id": ""}, {"message_id": 5}, {"recipient_id": PSID}]
)
def test_a_success_without_a_mid_has_an_unknown_outcome(body: Any) -> None:
    failure = _failure(answering(200, body))
    assert isinstance(failure, Unavailable)
    assert failure.maybe_done


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff"])
def test_a_success_that_is_no_json_has_an_unknown_outcome(content: bytes) -> None:
    failure = _failure(Site(lambda _: httpx.Response(200, content=content)).messenger)
    assert isinstance(failure, Unavailable)
    assert failure.maybe_done


@pytest.mark.parametrize(
    ("error", "maybe_done"),
    [(httpx.ConnectError, False), (httpx.ReadTimeout, True), (httpx.RemoteProtocolError, True)],
)
def test_without_an_answer_the_outcome_is_unknown_once_a_byte_went_out(
    error: type[httpx.TransportError],
    maybe_done: bool,  # noqa: FBT001 - a table's column
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("no answer")

    failure = _failure(Site(fail).messenger)
    assert isinstance(failure, Unavailable)
    assert (failure.maybe_done, failure.remote) == (maybe_done, f"{CHANNEL}:{PAGE_A}")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"data": {}},
        {"data": [None]},
        {"data": [{}]},
        {"data": [{"participants": None}]},
        {"data": [{"participants": {"data": [None]}}]},
    ],
)
def test_an_odd_profile_is_a_client_error_or_an_empty_profile(body: Any) -> None:
    try:
        assert answering(200, body).profile(PSID) == Profile()
    except ClientError:
        return


def test_a_conversation_that_cannot_be_read_costs_the_name_only() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/conversations"):
            return httpx.Response(400, json={"error": {"code": 10}})
        return httpx.Response(200, json={"profile_pic": "https://x/p.jpg"})

    assert Site(answer).messenger.profile(PSID) == Profile(picture="https://x/p.jpg")


@pytest.mark.parametrize(
    "picture",
    ["javascript:alert(1)", "data:image/svg+xml,x", "//x/p", "http://[", 'https://x/"><b', "https:", ""],
)
def test_a_picture_is_of_the_web_or_there_is_none(picture: str) -> None:
    assert answering(200, {"name": "Ann", "profile_pic": picture}).profile(PSID) == Profile("Ann")


def test_a_name_has_no_line_breaks_and_no_controls() -> None:
    answer = {
        "first_name": "Ann\n\x1b[2J",
        "last_name": "\u202eNowak",
        "profile_pic": "HTTPS://x/p.jpg?a=1&b",
    }
    profile = answering(200, answer).profile(PSID)

    assert profile == Profile("Ann [2J Nowak", "Ann [2J", "Nowak", "HTTPS://x/p.jpg?a=1&b")


def test_no_failure_and_no_log_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failures = [_failure(_refusing(code, message=TOKEN)) for code in (1, 10, 100, 190, 613, 4242)]
    failures += [_failure(answering(status, {"echo": TOKEN})) for status in (200, 400, 401, 500)]
    assert TOKEN not in "".join(f"{one!r} {one.__cause__!r}" for one in failures) + caplog.text
