"""`/connections`: what each answer says, and that none has a secret."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from connector.cipher import new_key
from connector.web.connections import MAX_BODY
from tests.conftest import PAGE_A, PAGE_B, PAGE_OFF, SECRET_A, SECRET_B, MakeSettings, Valkey, settings_in
from tests.fakes.admin import ADMIN_TOKEN, FIELDS, NEW, TOKEN, Admin
from tests.fakes.stores import empty
from tests.fakes.web import Doors, doors_at, serving

KEY = new_key()
UNREACHABLE = {"base_url": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def url(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty(valkey), settings_in(tmp_path_factory.mktemp("doors")) as make:
        settings = make(redis_url=valkey, secret_key=KEY, admin_token=ADMIN_TOKEN, graph=UNREACHABLE)
        with serving(settings) as url:
            yield url


@pytest.fixture
def admin(doors: Doors) -> Admin:
    return Admin(doors.http)


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return the status and the kind of a refusal, once it is one as RFC 9457 has it."""
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == answer.status_code
    assert said["title"]
    assert said["detail"][0].isupper()
    assert said["detail"].endswith(".")
    return answer.status_code, said["type"].removeprefix("urn:connector:problem:")


# --- What is taken. -----------------------------------------------------------------------------------------


def test_a_page_that_is_added_is_answered_201_with_its_place_and_version(admin: Admin) -> None:
    added = admin.add()

    assert added.status_code == 201
    assert added.headers["location"] == f"/connections/{NEW}"
    assert added.headers["etag"] == f'"{added.json()["version"]}"'
    found = admin.ask("GET")
    assert (found.status_code, found.json(), found.headers["etag"]) == (
        200,
        added.json(),
        added.headers["etag"],
    )


def test_a_page_is_added_without_a_condition_too(admin: Admin) -> None:
    assert admin.ask("PUT", body=FIELDS).status_code == 201


@pytest.mark.parametrize("condition", ["{tag}", '"0", {tag}', "*"])
def test_a_connection_is_replaced_if_it_is_the_one_that_is_meant(admin: Admin, condition: str) -> None:
    tag = admin.add().headers["etag"]
    answer = admin.ask("PUT", body={"desk_id": "8"}, If_Match=condition.format(tag=tag))

    assert (answer.status_code, answer.json()["desk_id"]) == (200, "8")
    assert answer.headers["etag"] != tag
    assert answer.json()["app_secret"] == {"set": True, "ends_in": "5a5a"}


def test_a_page_that_is_removed_is_gone_and_what_was_not_done_is_said(admin: Admin) -> None:
    tag = admin.add().headers["etag"]
    answer = admin.ask("DELETE", If_Match=tag)

    assert answer.status_code == 200
    assert "The page was not unsubscribed: Facebook" in answer.json()["not_done"]
    assert problem(admin.ask("GET")) == (404, "no-connection")


def test_pages_are_listed_in_parts(admin: Admin) -> None:
    admin.add()
    first = admin.ask("GET", "?limit=3").json()
    rest = admin.ask("GET", f"?limit=3&after={first['next']}").json()

    pages = [one["page_id"] for one in (*first["connections"], *rest["connections"])]
    assert (pages, first["next"], rest["next"]) == ([PAGE_A, PAGE_B, NEW, PAGE_OFF], NEW, None)


def test_a_page_of_the_settings_is_shown_without_a_version(admin: Admin) -> None:
    answer = admin.ask("GET", f"/{PAGE_A}")

    assert (answer.status_code, answer.json()["fixed"], answer.json()["version"]) == (200, True, None)
    assert "etag" not in answer.headers


def test_a_head_is_answered_like_a_get(admin: Admin) -> None:
    assert (admin.ask("HEAD").status_code, admin.ask("HEAD", "").status_code) == (404, 200)


def test_no_answer_is_to_be_kept(admin: Admin) -> None:
    answers = [admin.add(), admin.ask("GET"), admin.ask("GET", ""), admin.ask("GET", "/1")]

    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


# --- What is refused. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "wrong", ADMIN_TOKEN[:-1]])
def test_without_the_token_nothing_is_said(doors: Doors, token: str) -> None:
    answer = Admin(doors.http, token).ask("GET", "")

    assert problem(answer) == (401, "wrong-token")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_without_a_token_in_the_settings_the_api_is_off(own_doors: Doors) -> None:
    for token in ("", "x"):
        answer = Admin(own_doors.http, token).ask("GET", "")
        assert problem(answer) == (403, "no-admin-token")
        assert "admin_token" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("refused", "status", "kind"),
    [
        (lambda admin: admin.ask("GET"), 404, "no-connection"),
        (lambda admin: admin.ask("GET", "/1/2"), 404, "no-connection"),
        (lambda admin: admin.ask("DELETE", If_Match="*"), 404, "no-connection"),
        (lambda admin: admin.ask("PUT", f"/{PAGE_A}", FIELDS), 409, "fixed"),
        (lambda admin: admin.ask("DELETE", f"/{PAGE_A}", If_Match="*"), 409, "fixed"),
        (lambda admin: admin.ask("PUT", body=FIELDS, If_Match='"7"'), 412, "no-connection"),
        (lambda admin: admin.ask("PUT", body=FIELDS, If_None_Match='"7"'), 400, "bad-condition"),
        (lambda admin: admin.ask("PUT", body=FIELDS, Content_Type="text/plain"), 415, "no-json"),
        (lambda admin: admin.ask("PUT", body="x" * MAX_BODY), 413, "large-body"),
        (lambda admin: admin.ask("PUT", body=[]), 422, "invalid-fields"),
        (lambda admin: admin.ask("GET", "?limit=0"), 422, "invalid-fields"),
        (lambda admin: admin.ask("GET", "?limit=101"), 422, "invalid-fields"),
        (lambda admin: admin.ask("GET", "?limit=x"), 422, "invalid-fields"),
    ],
)
def test_a_refusal_says_why(
    admin: Admin, refused: Callable[[Admin], httpx.Response], status: int, kind: str
) -> None:
    assert problem(refused(admin)) == (status, kind)


@pytest.mark.parametrize(
    ("refused", "status", "kind"),
    [
        (lambda admin, _: admin.add(), 412, "already-connected"),
        (lambda admin, _: admin.ask("PUT", body=FIELDS), 428, "no-condition"),
        (lambda admin, _: admin.ask("DELETE"), 428, "no-condition"),
        (lambda admin, _: admin.ask("PUT", body=FIELDS, If_Match='"0"'), 412, "changed-meanwhile"),
        (lambda admin, tag: admin.ask("PUT", body=FIELDS, If_Match=f"W/{tag}"), 412, "changed-meanwhile"),
        (lambda admin, _: admin.ask("DELETE", If_Match='"0"'), 412, "changed-meanwhile"),
    ],
)
def test_what_is_connected_is_changed_only_by_who_knows_it(
    admin: Admin, refused: Callable[[Admin, str], httpx.Response], status: int, kind: str
) -> None:
    tag = admin.add().headers["etag"]

    assert problem(refused(admin, tag)) == (status, kind)
    assert admin.ask("GET").headers["etag"] == tag


@pytest.mark.parametrize("body", [b"", b"{", b'{"desk_id": NaN}', b'{"desk_id": "\\ud800"}', b"\xff"])
def test_a_body_that_is_no_json_is_not_quoted(doors: Doors, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
    answer = doors.http.put(f"/connections/{NEW}", content=body, headers=headers)

    assert problem(answer) == (400, "no-json")
    assert answer.json()["detail"] == "The body is not proper JSON."


@pytest.mark.parametrize(("path", "allowed"), [("", "GET, HEAD"), (f"/{NEW}", "GET, HEAD, PUT, DELETE")])
def test_a_method_that_is_not_known_is_answered_with_those_that_are(
    admin: Admin, path: str, allowed: str
) -> None:
    answer = admin.ask("PATCH", path, {})

    assert problem(answer) == (405, "no-method")
    assert answer.headers["allow"] == allowed


def test_each_field_that_is_refused_is_named(admin: Admin) -> None:
    answer = admin.add(app_secret="hush", language="de")

    assert problem(answer) == (422, "invalid-fields")
    assert {error["field"] for error in answer.json()["errors"]} == {"app_secret", "language"}
    assert "hush" not in answer.text


def test_without_a_secret_key_nothing_is_added(make_settings: MakeSettings, store_url: str) -> None:
    settings = make_settings(redis_url=store_url, admin_token=ADMIN_TOKEN)
    with serving(settings) as url, doors_at(url, store_url) as doors:
        answer = Admin(doors.http).add()

    assert problem(answer) == (403, "no-secret-key")
    assert "connector secrets new-key" in answer.json()["detail"]


def test_while_the_store_is_away_it_is_said(tmp_path: Path, own_store: Valkey) -> None:
    with settings_in(tmp_path) as make:
        settings = make(redis_url=own_store.url, secret_key=KEY, admin_token=ADMIN_TOKEN)
        with serving(settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
            own_store.stop()
            answers = [Admin(http).ask("GET", ""), Admin(http).add()]
            own_store.start()

    assert [problem(answer) for answer in answers] == [(503, "store-away")] * 2


# --- Two admins at once. ------------------------------------------------------------------------------------


def test_of_two_admins_who_change_the_same_one_has_to_look_again(admin: Admin) -> None:
    tag = admin.add().headers["etag"]
    first = admin.ask("PUT", body={"desk_id": "8"}, If_Match=tag)
    second = admin.ask("PUT", body={"desk_id": "9"}, If_Match=tag)

    assert (first.status_code, problem(second)) == (200, (412, "changed-meanwhile"))
    assert admin.ask("GET").json()["desk_id"] == "8"


def test_of_many_admins_at_the_same_moment_one_wins(admin: Admin) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: admin.add().status_code, range(8)))
        tag = admin.ask("GET").headers["etag"]
        answers = pool.map(lambda desk: admin.ask("PUT", body={"desk_id": str(desk)}, If_Match=tag), range(8))
        changed = [answer.status_code for answer in answers]

    assert sorted(added) == [201] + 7 * [412]
    assert sorted(changed) == [200] + 7 * [412]


# --- Secrets. -----------------------------------------------------------------------------------------------


def test_no_secret_is_in_any_answer_any_line_of_the_log_or_the_store(
    valkey: str, store_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with settings_in(tmp_path) as make, capture_logs() as logs:
        settings = make(redis_url=store_url, secret_key=KEY, admin_token=ADMIN_TOKEN, graph=UNREACHABLE)
        with serving(settings) as url, doors_at(url, store_url) as doors:
            admin = Admin(doors.http)
            answers = [
                admin.add(),
                admin.add(),
                admin.add(page_id="1", app_secret=f"{SECRET_B}0"),
                admin.add(page_id="1", page_access_token=f"{TOKEN}ą"),
                admin.add(page_id="1", **{TOKEN: TOKEN}, language=SECRET_B, desk_id=[TOKEN]),
                admin.ask("PUT", body={"desk_id": "8"}, If_Match="*"),
                admin.ask("PUT", body=TOKEN, If_Match="*"),
                admin.ask("GET"),
                admin.ask("GET", ""),
                admin.ask("POST", f"/{NEW}/check"),
                admin.ask("GET", f"/{NEW}/check"),
                Admin(doors.http, KEY).ask("GET", ""),
                admin.ask("DELETE", If_Match="*"),
                admin.add(),
            ]
            said += [answer.text + repr(answer.headers) for answer in answers]
            said += [repr(doors.store.dump(name)) for name in doors.store.scan_iter("*")]
            said += [repr(doors.store.hgetall("mc:connections"))]
    assert [answer.status_code for answer in answers] == [
        *(201, 412, 422, 422, 422, 200, 422, 200, 200, 200, 405, 401, 200, 201)
    ]
    said += [json.dumps(line, default=repr) for line in logs]
    assert {line["event"] for line in logs} >= {
        "connection_added",
        "connection_changed",
        "connection_removed",
    }
    said += [*capfd.readouterr()]

    secrets = [TOKEN[:-1], SECRET_A, SECRET_B, FIELDS["verify_token"], ADMIN_TOKEN, KEY, "desk-token"]
    assert not [secret for secret in secrets for text in said if secret in text]


def test_a_connection_is_checked_on_request(admin: Admin) -> None:
    admin.add()
    answer = admin.ask("POST", f"/{NEW}/check")

    assert answer.status_code == 200
    assert "facebook_away" in {one["code"] for one in answer.json()["findings"]}


def test_a_page_that_is_not_connected_is_not_checked(admin: Admin) -> None:
    assert problem(admin.ask("POST", "/404/check")) == (404, "no-connection")
