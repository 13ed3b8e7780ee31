"""The sandbox Meta's login: as strict as Meta's own, with its errors."""

import itertools
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.fakes.sandbox_meta import SECRET, Page, Receiver, fault

NUMBERS = itertools.count(1)
BACK = "https://connector.example.com/connect/facebook/callback"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPES = "pages_show_list,pages_messaging,pages_manage_metadata,pages_read_engagement"


class Login:
    """Somebody who manages the page, and the app at which they log in."""

    def __init__(self, page: Page) -> None:
        self.page, self.http = page, page.http
        self.user_id = f"1015{next(NUMBERS):012}"
        app = {
            "app_secret": SECRET,
            "redirect_uris": [BACK],
            "deauthorize_url": f"{page.receiver.url}/deauthorize",
            "data_deletion_url": f"{page.receiver.url}/delete",
        }
        self.http.put(f"/sandbox/apps/{page.app_id}", json=app)
        user = {"name": "Ola", "tasks": {page.id: ["MESSAGING", "MODERATE"]}, "psids": {page.id: "77"}}
        self.http.put(f"/sandbox/users/{self.user_id}", json=user)
        self.answer()

    def answer(self, **answer: Any) -> None:
        self.http.put("/sandbox/login", json={"user_id": self.user_id} | answer)

    def dialog(self, **query: str) -> httpx.Response:
        known = {"client_id": self.page.app_id, "redirect_uri": BACK, "state": "s", "scope": SCOPES}
        return self.http.get("/v26.0/dialog/oauth", params=known | query)

    def came_back(self, **query: str) -> dict[str, str]:
        answer = self.dialog(**query)
        assert answer.status_code == 302, answer.text
        parts = urlsplit(answer.headers["location"])
        return {name: values[0] for name, values in parse_qs(parts.query).items()}

    def token(self, **form: str) -> httpx.Response:
        known = {"client_id": self.page.app_id, "client_secret": SECRET, "redirect_uri": BACK}
        return self.http.post("/v26.0/oauth/access_token", data=known | form)

    def logged_in(self) -> str:
        return str(self.token(code=self.came_back()["code"]).json()["access_token"])

    def exchanged(self) -> str:
        form = {"grant_type": "fb_exchange_token", "fb_exchange_token": self.logged_in()}
        return str(self.token(**form).json()["access_token"])

    def page_token(self, token: str) -> str:
        answer = self.http.get("/v26.0/me/accounts", params={"access_token": token})
        return str(answer.json()["data"][0]["access_token"])

    def debug(self, token: str) -> Any:
        params = {"input_token": token, "access_token": self.page.app_token}
        return self.http.get("/v26.0/debug_token", params=params).json()["data"]


@pytest.fixture
def login(page: Page) -> Login:
    return Login(page)


def test_somebody_who_clicks_is_asked_who_they_are(login: Login) -> None:
    login.http.put("/sandbox/login", json={})

    assert "Continue as Ola" in login.dialog().text
    assert login.came_back(sandbox_user="")["error"] == "access_denied"
    assert "code" in login.came_back(sandbox_user=login.user_id)


def test_a_code_is_good_once_and_at_its_address(login: Login) -> None:
    code = login.came_back()["code"]

    assert fault(login.token(code=code, redirect_uri=BACK + "/")) == (400, 100, 36008)
    assert login.token(code=code).json()["token_type"] == "bearer"
    assert fault(login.token(code=code)) == (400, 100, 36009)


def test_a_code_ends(login: Login) -> None:
    login.page.behave(code_lifetime=0)

    assert fault(login.token(code=login.came_back()["code"])) == (400, 100, 36007)


@pytest.mark.parametrize("method", ["S256", "plain"])
def test_a_code_with_a_challenge_needs_its_verifier(login: Login, method: str) -> None:
    challenge = CHALLENGE if method == "S256" else VERIFIER
    code = login.came_back(code_challenge=challenge, code_challenge_method=method)["code"]

    assert fault(login.token(code=code)) == (400, 100, None)
    assert fault(login.token(code=code, code_verifier="w" * 43)) == (400, 100, None)
    assert login.token(code=code, code_verifier=VERIFIER).status_code == 200


@pytest.mark.parametrize(
    ("form", "code"),
    [({"client_id": "1"}, 101), ({"client_secret": "f" * 32}, 1), ({"code": "AQ"}, 100), ({"code": ""}, 100)],
)
def test_a_wrong_app_or_code_is_refused(login: Login, form: dict[str, str], code: int) -> None:
    assert fault(login.token(**{"code": login.came_back()["code"]} | form)) == (400, code, None)


@pytest.mark.parametrize(
    "query", [{"client_id": "1"}, {"redirect_uri": BACK + "/"}, {"response_type": "token"}]
)
def test_the_dialog_leads_to_nobody_else(login: Login, query: dict[str, str]) -> None:
    assert login.dialog(**query).status_code == 400


def test_who_denies_comes_back_without_a_code(login: Login) -> None:
    login.answer(grants=False)

    back = login.came_back()
    assert (back["error"], back["error_reason"], back["state"]) == ("access_denied", "user_denied", "s")


def test_the_token_of_a_page_lasts_if_that_of_the_user_is_long_lived(login: Login) -> None:
    brief, lasting = login.page_token(login.logged_in()), login.page_token(login.exchanged())
    known = {name: login.debug(lasting)[name] for name in ("type", "profile_id", "user_id", "expires_at")}

    assert login.debug(brief)["expires_at"] > 0
    assert known == {"type": "PAGE", "profile_id": login.page.id, "user_id": login.user_id, "expires_at": 0}
    assert login.page.get("me", access_token=lasting).json()["id"] == login.page.id


def test_permissions_and_pages_may_be_left_out(login: Login) -> None:
    login.answer(without=["pages_messaging"], pages=[])
    token = login.logged_in()

    assert "pages_messaging" not in login.debug(token)["scopes"]
    assert login.http.get("/v26.0/me/accounts", params={"access_token": token}).json()["data"] == []


def test_who_removes_the_app_takes_its_tokens_along(login: Login, receiver: Receiver) -> None:
    token = login.exchanged()
    of_page = login.page_token(token)
    removal = {"app_id": login.page.app_id}
    answer = login.http.post(f"/sandbox/users/{login.user_id}/deauthorize", json=removal)

    assert answer.json() == {"status": 200, "body": "EVENT_RECEIVED"}
    assert receiver.came["/deauthorize"][-1][1].startswith(b"signed_request=")
    assert fault(login.page.get("me", access_token=of_page)) == (400, 190, 460)
    assert fault(login.http.get("/v26.0/me/accounts", params={"access_token": token})) == (400, 190, None)


def test_the_ids_of_a_user_on_pages_are_the_apps_to_ask(login: Login) -> None:
    path, app = f"/v26.0/{login.user_id}/ids_for_pages", {"access_token": login.page.app_token}

    found = login.http.get(path, params=app).json()["data"]
    assert [(one["id"], one["page"]["id"]) for one in found] == [("77", login.page.id)]
    assert fault(login.http.get(path, params={"access_token": login.page.token})) == (400, 100, None)
