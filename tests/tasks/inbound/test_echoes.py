"""Echoes of our own replies, and of what is written elsewhere."""

import time
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from tests.conftest import PAGE_A
from tests.fakes.conversation import OUT
from tests.fakes.echoes import receive_unmarked_echo
from tests.fakes.fetching import ACCOUNT, fetch
from tests.fakes.meta import Refusal
from tests.fakes.replies import TWO_PARTS, later_moment
from tests.fakes.world import World


@pytest.mark.parametrize("standby", [True, False])
@pytest.mark.parametrize("changes", [{}, {"mid": "ours_0"}, {"is_echo": "true"}, {"is_echo": None}])
def test_an_echo_of_ours_is_ours_in_every_shape(
    linked: World, changes: dict[str, Any], *, standby: bool
) -> None:
    linked.reply()
    linked.work(OUT)
    for status in ("delivery", "read"):
        linked.receive_receipt(status, later_moment())
        linked.work(OUT)
    receive_unmarked_echo(linked, standby=standby, **changes)
    linked.work()

    assert linked.desk.tickets["t1"].comments == []


def test_an_echo_that_comes_before_the_answer_waits_for_it(linked: World) -> None:
    def echo_early() -> None:
        linked.meta.hooks.clear()
        receive_unmarked_echo(linked)
        linked.work()
        assert linked.waiting() == 1

    linked.meta.hooks["send"] = echo_early
    linked.reply()
    linked.work(OUT)
    linked.resume()

    assert linked.desk.tickets["t1"].comments == []
    assert linked.waiting() == 0


def test_an_echo_of_the_first_part_is_ours_while_the_second_waits(linked: World) -> None:
    linked.meta.fail("send", None, Refusal(613))
    linked.reply(TWO_PARTS)
    linked.work(OUT)
    receive_unmarked_echo(linked)
    linked.work()

    assert linked.desk.tickets["t1"].comments == []


def test_an_echo_of_what_did_arrive_of_a_failed_reply_is_ours(linked: World) -> None:
    linked.meta.fail("send", None, Refusal(100))
    linked.reply(TWO_PARTS)
    linked.work(OUT)
    linked.desk.tickets["42"] = linked.desk.tickets["t1"]
    receive_unmarked_echo(linked)
    linked.work()

    assert [one.external_id for one in linked.desk.tickets["t1"].comments if not one.internal] == []


def test_an_echo_waits_no_longer_than_an_outcome_may_be_unknown(linked: World) -> None:
    linked.configure(worker={"echo_wait": 0})
    linked.meta.fail("send", httpx.ReadTimeout("slow"))
    linked.reply()
    linked.work(OUT)
    receive_unmarked_echo(linked, "m_of_another_app")
    linked.work()
    assert linked.waiting() == 1
    linked.inbox.now = lambda: time.time() + 60  # type: ignore[method-assign]
    linked.service.inbox.now = linked.inbox.now  # type: ignore[method-assign]
    linked.resume()

    assert [one.body for one in linked.desk.tickets["t1"].comments] == ["Hello"]


def test_one_that_was_fetched_waits_as_long_as_the_reply_may_be_paused(
    linked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look finds what was sent just before Meta went away, and the reply learns of it after its pause."""
    now = time.time()
    linked.meta.fail("send", httpx.ReadTimeout("slow"))
    linked.reply()
    linked.work(OUT)
    linked.meta.say("m_ours_0", int(now * 1000), sender=PAGE_A)
    linked.inbox.backfills.request(ACCOUNT, int(now * 1000))
    fetch(linked)
    for later, waiting in [(100, 1), (600, 1), (700, 0)]:
        for inbox in (linked.inbox, linked.service.inbox):
            monkeypatch.setattr(inbox, "now", Mock(return_value=now + later))
        linked.resume()
        assert linked.waiting() == waiting

    assert len(linked.desk.tickets["t1"].comments) == 1


def test_what_an_agent_writes_in_metas_inbox_does_not_wait(linked: World) -> None:
    linked.meta.fail("send", httpx.ReadTimeout("slow"))
    linked.reply()
    linked.work(OUT)
    receive_unmarked_echo(linked, "m_of_the_inbox", app_id="263902037430900")
    linked.work()

    assert [one.body for one in linked.desk.tickets["t1"].comments] == ["Hello"]
