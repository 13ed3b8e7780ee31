"""What a run of chaos would tell, if something went wrong: a dead letter, as the inbox keeps one."""

import json
from types import SimpleNamespace
from typing import Any, cast

from clients.notices import encode, notice
from tasks.inbox import kept_jobs
from tasks.inbox.job import Job
from tests.chaos import ledger
from tests.chaos.ledger import Ledger, Wrong
from tests.fakes.conversation import IN, OUT, PSID


def _dead(*queues: str) -> list[Wrong]:
    reason = encode(notice("empty_message"))
    letters = [json.loads(kept_jobs.encode(Job(queue=one, time=5000, body=b"{}"), reason)) for one in queues]
    people = SimpleNamespace(written={PSID: []})
    system: Any = None
    return list(Ledger(system, cast("Any", people), cast("Any", SimpleNamespace(letters=letters)))._dead())


def test_a_dead_letter_of_somebody_who_wrote_is_wrong() -> None:
    found = [(one.direction, one.kind, one.since) for one in _dead(IN, OUT)]
    assert found == [(ledger.IN, "dead", 5), (ledger.OUT, "dead", 5)]


def test_a_dead_letter_of_anybody_else_is_none_of_the_run() -> None:
    assert _dead(IN.replace(PSID, "1")) == []
