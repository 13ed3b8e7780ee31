"""Tokens and proofs of the sandbox Meta."""

import hashlib
import hmac
from typing import Any

from tests.fakes.sandbox_meta import SECRET, Page, fault


def test_a_call_without_token_is_refused(page: Page) -> None:
    assert fault(page.http.get("/v26.0/me")) == (400, 104, None)


def test_an_unknown_token_is_refused(page: Page) -> None:
    assert fault(page.get("me", access_token="EAAwrong")) == (400, 190, None)


def test_a_token_that_was_replaced_is_refused(page: Page) -> None:
    new = {"name": "Sugester", "access_token": page.token + "new", "app_id": page.app_id}
    page.order("PUT", "", new, psid=None)
    assert fault(page.get("me")) == (400, 190, 460)


def test_an_app_may_require_the_proof_of_its_secret(page: Page) -> None:
    page.http.put(f"/sandbox/apps/{page.app_id}", json={"app_secret": SECRET, "require_proof": True})
    proof = hmac.new(SECRET.encode(), page.token.encode(), hashlib.sha256).hexdigest()
    assert page.get("me", appsecret_proof=proof).json() == {"id": page.id, "name": "Sugester"}
    missing = page.get("me")
    assert fault(missing) == (400, 100, None)
    assert "require an appsecret_proof" in missing.json()["error"]["message"]


def test_a_wrong_proof_is_refused_always(page: Page) -> None:
    answer = page.get("me", appsecret_proof="0" * 64)
    assert fault(answer) == (400, 100, None)
    assert answer.json()["error"]["type"] == "GraphMethodException"


def test_debug_token_tells_a_good_token_from_a_revoked_one(page: Page) -> None:
    def debug() -> Any:
        params = {"input_token": page.token, "access_token": page.app_token}
        return page.http.get("/v26.0/debug_token", params=params).json()["data"]

    assert (debug()["is_valid"], debug()["profile_id"], debug()["expires_at"]) == (True, page.id, 0)
    new = {"name": "Sugester", "access_token": page.token + "new", "app_id": page.app_id}
    page.order("PUT", "", new, psid=None)
    assert (debug()["is_valid"], debug()["error"]["subcode"]) == (False, 460)


def test_debug_token_tells_an_unknown_token_with_status_200(page: Page) -> None:
    params = {"input_token": "EAAwrong", "access_token": page.app_token}
    answer = page.http.get("/v26.0/debug_token", params=params)
    assert (answer.status_code, answer.json()["data"]["is_valid"]) == (200, False)


def test_a_token_names_its_app(page: Page) -> None:
    assert page.get("app").json()["id"] == page.app_id


def test_a_token_that_has_expired_is_refused_and_described_as_such(page: Page) -> None:
    page.order("PUT", "/token", {"expires_at": 1_700_000_000}, psid=None)
    assert fault(page.get("me")) == (400, 190, 463)
    params = {"input_token": page.token, "access_token": page.app_token}
    told = page.http.get("/v26.0/debug_token", params=params).json()["data"]
    assert (told["is_valid"], told["expires_at"], told["error"]["subcode"]) == (False, 1_700_000_000, 463)
