"""The document holds all that the page shows of a customer, and of nobody else."""

from tests.fakes.playground import PAGE, Beside

READ = {"delivery": {"status": "read", "message_ids": ["m_1"]}}
FAILED = {"delivery": {"status": "failed", "message_ids": [], "error": "Meta was in a bad mood"}}


def test_the_phone_shows_the_conversation(beside: Beside) -> None:
    mid = beside.writes(text="hello")
    beside.replies("Hi", reply_to={"mid": mid})
    phone = beside.state()["phone"]

    assert (phone["name"], phone["page"]) == ("Anna Nowak", "Sugester")
    shown = [(one["mine"], one["text"], one["answers"]) for one in phone["messages"]]
    assert shown == [(True, "hello", ""), (False, "Hi", "hello")]
    assert phone["closes_at"] == phone["wrote_at"] + 24 * 3_600_000


def test_the_phone_shows_what_the_page_has_seen_and_that_it_types(beside: Beside) -> None:
    beside.writes(text="hello")
    before = beside.state()["phone"]
    beside.replies("", sender_action="mark_seen")
    beside.replies("", sender_action="typing_on")
    after = beside.state()["phone"]

    assert (before["seen_at"], before["typing"]) == (None, False)
    assert (after["seen_at"] >= after["wrote_at"], after["typing"]) == (True, True)


def test_the_phone_of_somebody_unknown_is_empty(beside: Beside) -> None:
    answer = beside.http.get("/state", params={"page_id": PAGE, "psid": "404"})
    assert answer.json()["phone"] == {"name": "", "wrote_at": None, "messages": []}


def test_a_place_that_a_customer_sends_is_named(beside: Beside) -> None:
    beside.writes(attachments=[{"type": "location", "title": "Pinned", "payload": {}}])
    assert beside.state()["phone"]["messages"][0]["files"] == [{"kind": "none", "name": "Pinned"}]


def test_the_desk_shows_the_customers_tickets_the_newest_first(beside: Beside) -> None:
    first = beside.ticket(title="First", external_id="m_1")
    beside.do("POST", f"/tickets/{first}/close")
    second = beside.ticket(title="Second", external_id="m_2")
    beside.desk.new_ticket(title="Somebody else's", external_id="m_3")
    desk = beside.state()["desk"]

    shown = [(one["id"], one["title"], one["closed"]) for one in desk["tickets"]]
    assert shown == [(second, "Second", False), (first, "First", True)]
    assert desk["tickets"][0]["url"] == f"{beside.desk.url}/tickets/{second}"
    assert (desk["agent"], desk["error"]) == ("Ola", "")


def test_a_comment_shows_who_wrote_it_and_what_became_of_it(beside: Beside) -> None:
    ticket = beside.ticket()
    beside.desk.agent(ticket, body="On its way", config=READ)
    beside.desk.agent(ticket, body="Again", config=FAILED, internal=True)
    opened, reply, note = beside.state()["desk"]["tickets"][0]["comments"]

    assert (opened["who"], opened["role"]) == ("Anna Nowak", "customer")
    assert (reply["who"], reply["role"], reply["delivery"]) == ("Ola", "agent", "read")
    assert (note["internal"], note["delivery"], note["error"]) == (True, "failed", "Meta was in a bad mood")


def test_the_customers_of_all_pages_are_listed(beside: Beside) -> None:
    anna = {"page_id": PAGE, "page": "Sugester", "psid": beside.anna, "name": "Anna Nowak"}
    assert anna in beside.state()["customers"]


def test_the_pages_that_a_customer_can_write_to_are_listed(beside: Beside) -> None:
    assert [page["name"] for page in beside.state()["pages"]] == ["Sugester", "Fakturownia"]


def test_the_connectors_figures_are_shown(beside: Beside) -> None:
    beside.stack.figures = (
        "# HELP connector_queues Queues with work\nconnector_queues 2.0\nconnector_oldest_seconds 7.9\n"
        'connector_dead_letters 1.0\nconnector_remote_paused{remote="helpdesk"} 1.0\n'
        'connector_remote_paused{remote="facebook_messenger:1"} 0.0\n'
    )
    assert beside.state()["connector"] == {
        "runs": True,
        "waiting": 2,
        "oldest": 7,
        "dead": 1,
        "paused": ["the helpdesk"],
    }


def test_a_connector_that_does_not_answer_is_said(beside: Beside) -> None:
    assert beside.state()["connector"] == {"runs": False}


def test_what_is_known_is_not_sent_again(beside: Beside) -> None:
    where = {"page_id": PAGE, "psid": beside.anna}
    first = beside.http.get("/state", params=where)
    again = beside.http.get("/state", params=where, headers={"If-None-Match": first.headers["etag"]})
    beside.writes(text="hello")
    changed = beside.http.get("/state", params=where, headers={"If-None-Match": first.headers["etag"]})

    assert [first.status_code, again.status_code, changed.status_code] == [200, 304, 200]


def test_what_was_done_is_seen_at_once(beside: Beside) -> None:
    beside.known()
    beside.writes(text="hello")
    assert len(beside.known()["phone"]["messages"]) == 1


def test_the_log_tells_what_was_asked_of_meta(beside: Beside) -> None:
    beside.writes(text="hello")
    beside.replies("Hi")
    newest = next(one for one in beside.state()["log"] if one["to"] == "Meta")

    assert (newest["what"], newest["call"], newest["answer"]) == (
        "sends a text",
        "POST /v26.0/me/messages",
        "200",
    )
    assert '"text": "Hi"' in newest["detail"]


def test_the_log_tells_what_was_asked_of_the_helpdesk(beside: Beside) -> None:
    beside.ticket()
    newest = next(one for one in beside.state()["log"] if one["to"] == "helpdesk")
    assert (newest["what"], newest["call"], newest["ok"]) == ("opens a ticket", "POST /api/v1/tickets", True)


def test_only_pages_of_the_product_that_answer_are_linked(beside: Beside) -> None:
    assert beside.http.get("/links").json() == {}
    beside.stack.answers = {"/board": 200, "/desks/7/messenger": 401}
    assert list(beside.http.get("/links").json()) == ["board"]
    beside.stack.answers = {"/desks/7/messenger": 200}
    (address,) = beside.http.get("/links").json().values()
    assert address.startswith(f"{beside.stack.url}/desks/7/messenger?")
