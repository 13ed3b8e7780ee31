"""Which of the comments in the helpdesk go out, and the queue in which they wait."""

from dataclasses import replace

import pytest

from tasks.outbound.jobs import is_public_reply, reply_job
from tests.conftest import PAYLOADS
from tests.fakes.helpdesk_webhooks import AT, PERSON, received

IS_SENT = {
    "comment_of_agent": True,
    "comment_of_a_rule": True,
    "comment_with_file": True,
    "comment_number_ids": True,
    "comment_without_created_at": True,
    "comment_on_ticket_without_config": True,
    "comment_updated": True,  # a change waits behind what it changes
    "comment_deleted": True,
    "comment_internal": False,
    "comment_without_internal": False,
    "comment_internal_as_text": False,
    "comment_internal_as_number": False,
    "comment_of_customer": False,
    "comment_of_system": False,
    "comment_without_author": False,
    "comment_from_page_inbox": False,
    "comment_on_foreign_ticket": False,
    "comment_on_ticket_without_person": False,
}
NO_COMMENTS = {
    *("ticket_closed", "ticket_reopened", "unknown_type"),
    *("comment_without_ticket", "comment_without_comment"),
}


def test_every_payload_file_is_read_here() -> None:
    files = {file.stem for file in (PAYLOADS / "helpdesk").iterdir()}
    assert files == IS_SENT.keys() | NO_COMMENTS


@pytest.mark.parametrize(("name", "expected"), IS_SENT.items())
def test_only_an_agents_public_comment_on_a_ticket_of_ours_goes_out(name: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_public_reply(received(name)) is expected


def test_a_reply_waits_in_its_persons_queue() -> None:
    job = reply_job(received("comment_of_agent"))
    assert (job.queue, job.time) == (
        f"out:{PERSON.channel}:{PERSON.account_id}:{PERSON.person_id}",
        int(AT.timestamp() * 1000),
    )


def test_a_reply_to_somebody_unknown_waits_in_its_tickets_queue() -> None:
    assert reply_job(received("comment_on_ticket_without_config")).queue == "ticket:42"


def test_a_reply_that_is_not_confirmed_waits_in_its_tickets_queue_whomever_it_names() -> None:
    claimed = replace(received("comment_of_agent"), is_confirmed=False)
    assert claimed.ticket.customer
    assert is_public_reply(claimed)
    assert reply_job(claimed).queue == "ticket:42"


def test_a_reply_has_another_key_in_its_tickets_queue() -> None:
    one, other = received("comment_of_agent"), received("comment_on_ticket_without_config")
    assert reply_job(one).key != reply_job(other).key
