"""The sandbox Meta subscribes callbacks."""

from tests.fakes.sandbox_meta import VERIFY_TOKEN, Page, fault


def test_a_callback_that_knows_the_verify_token_is_subscribed(page: Page) -> None:
    data = {"object": "page", "callback_url": page.receiver.url + page.path, "verify_token": VERIFY_TOKEN}
    data |= {"fields": "messages", "include_values": "true", "access_token": page.app_token}
    answer = page.http.post(f"/v26.0/{page.app_id}/subscriptions", data=data)
    assert answer.json() == {"success": True}
    listed = page.http.get(f"/v26.0/{page.app_id}/subscriptions", params={"access_token": page.app_token})
    assert listed.json()["data"][0]["fields"] == [{"name": "messages", "version": "v26.0"}]


def test_a_callback_that_refuses_the_handshake_is_not_subscribed(page: Page) -> None:
    answer = page.connect(verify_token="another")
    assert fault(answer) == (400, 2200, None)
    assert "HTTP Status Code = 403" in answer.json()["error"]["message"]


def test_a_callback_that_answers_another_challenge_is_not_subscribed(page: Page) -> None:
    page.receiver.challenge = '"quoted"'
    assert fault(page.connect()) == (400, 2200, None)


def test_a_callback_that_cannot_be_reached_is_not_subscribed(page: Page) -> None:
    assert fault(page.connect(callback_url="http://127.0.0.1:1/hook")) == (400, 2200, None)


def test_the_app_subscription_wants_the_app_s_own_token(page: Page) -> None:
    url = f"/v26.0/{page.app_id}/subscriptions"
    assert fault(page.http.get(url, params={"access_token": f"{page.app_id}|wrong"})) == (400, 190, None)
    assert fault(page.http.get(url, params={"access_token": page.token})) == (400, 100, None)


def test_an_app_without_subscription_gets_no_webhook(page: Page) -> None:
    url, params = f"/v26.0/{page.app_id}/subscriptions", {"access_token": page.app_token}
    assert page.http.delete(url, params=params).json() == {"success": True}
    page.writes("hello")
    assert page.items() == []


def test_the_page_subscription_is_listed_replaced_and_deleted(page: Page) -> None:
    url, params = f"/v26.0/{page.id}/subscribed_apps", {"access_token": page.token}
    page.http.post(url, params={**params, "subscribed_fields": "messages,message_echoes"})
    (app,) = page.http.get(url, params=params).json()["data"]
    assert (app["id"], app["subscribed_fields"]) == (page.app_id, ["messages", "message_echoes"])
    assert page.http.delete(url, params=params).json() == {"success": True}
    assert page.http.get(url, params=params).json() == {"data": []}


def test_an_unknown_field_cannot_be_subscribed(page: Page) -> None:
    params = {"access_token": page.token, "subscribed_fields": "message"}
    answer = page.http.post(f"/v26.0/{page.id}/subscribed_apps", params=params)
    assert fault(answer) == (400, 100, None)


def test_only_fields_of_both_levels_are_sent(page: Page) -> None:
    params = {"access_token": page.token, "subscribed_fields": "messages,message_reads"}
    page.http.post(f"/v26.0/{page.id}/subscribed_apps", params=params)
    page.writes("hello")
    assert page.send({"text": "hi"}).status_code == 200
    assert [set(item) & {"message", "delivery", "read"} for item in page.items()] == [{"message"}, {"read"}]


def test_a_subscription_may_take_effect_later_than_it_is_listed(page: Page) -> None:
    url, params = f"/v26.0/{page.id}/subscribed_apps", {"access_token": page.token}
    page.behave(subscription_delay=60)
    page.http.post(url, params={**params, "subscribed_fields": "messages,message_echoes,standby"})
    page.writes("of a field that was subscribed before")
    page.settle()
    page.http.delete(url, params=params)
    page.http.post(url, params={**params, "subscribed_fields": "messages"})
    page.writes("too early")

    assert page.http.get(url, params=params).json()["data"][0]["subscribed_fields"] == ["messages"]
    assert [item["message"]["text"] for item in page.items()] == ["of a field that was subscribed before"]


def test_a_page_that_meta_unsubscribed_is_listed_as_such(page: Page) -> None:
    page.order("POST", "/unsubscribe", psid=None)
    assert page.get(f"{page.id}/subscribed_apps").json() == {"data": []}
    unsubscribed = page.http.get("/sandbox/webhooks").json()["unsubscribed"]
    assert page.id in {one["page_id"] for one in unsubscribed}


def test_the_page_subscription_wants_its_permission(page: Page) -> None:
    page.order("PUT", "/token", {"scopes": ["pages_messaging"]}, psid=None)
    assert fault(page.get(f"{page.id}/subscribed_apps")) == (403, 200, None)


def test_an_app_subscription_that_is_not_active_brings_no_webhook(page: Page) -> None:
    url = f"/sandbox/apps/{page.app_id}/subscription"
    assert page.http.patch(url, json={"active": False}).status_code == 200
    page.writes("hello")
    assert page.items() == []
    listed = page.http.get(f"/v26.0/{page.app_id}/subscriptions", params={"access_token": page.app_token})
    assert listed.json()["data"][0]["active"] is False
