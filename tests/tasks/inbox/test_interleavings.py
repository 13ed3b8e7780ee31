"""Any interleaving of workers that claim, die, come back late and repeat themselves."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from clients.errors import LeaseLost
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Step
from tasks.inbox.lease import Lease
from tasks.inbox.queues import direction_of
from tests.fakes.inbox import PAGE, REMOTE, Stored, new_job


@dataclass
class Expected:
    """What a queue should look like: plain lists of (time, id, name)."""

    queue: list[tuple[int, int, str]] = field(default_factory=list)
    owner: Lease | None = None
    expired: bool = False
    waits: bool = False
    waits_for: str = ""
    begun: bool = False

    def insert(self, event: tuple[int, int, str]) -> None:
        """Put an event in its place by time, but not before a head that was begun."""
        first = 1 if self.begun and self.queue else 0
        self.queue[first:] = sorted([*self.queue[first:], event])

    def take(self) -> tuple[int, int, str]:
        """Take the head off, as its owner does."""
        self.waits = False
        head = self.queue.pop(0)
        if not self.queue:
            self.let_go()
        return head

    def let_go(self) -> None:
        """Forget who works on the queue, and that its head was begun."""
        self.owner, self.expired, self.waits, self.begun = None, False, False, False


@dataclass
class ExpectedRemote:
    """Whether a remote is paused, was away and has not worked since, and by which lease it is tried."""

    paused: bool = False
    untried: bool = False
    trial: Lease | None = None


QUEUES = ["in:chat:1:0", "in:chat:1:1", "out:chat:1:0", "out:chat:1:1"]
REMOTES = {"in": REMOTE, "out": PAGE}
queues = st.sampled_from(QUEUES)
remotes = st.sampled_from([REMOTE, PAGE])
names = st.integers(0, 25).map(str)
numbers = st.integers(0, 3)


class Interleaving(RuleBasedStateMachine):
    """Workers that claim, die, come back late, and repeat themselves, against plain lists."""

    def __init__(self, store: Any) -> None:
        super().__init__()
        for key in store.scan_iter("mc:*"):
            store.delete(key)
        self.workers = [Inbox(store), Inbox(store)]
        self.stored = Stored(self.workers[0])
        self.expected: dict[str, Expected] = {queue: Expected() for queue in QUEUES}
        self.remotes = {remote: ExpectedRemote() for remote in (REMOTE, PAGE)}
        self.leases: list[Lease] = []
        self.accepted, self.done = set[str](), list[str]()
        self.dead: dict[str, tuple[int, int, str]] = {}
        self.steps: dict[str, dict[str, str]] = {}

    @rule(queue=queues, name=names, at=st.integers(0, 5))
    def accept(self, queue: str, name: str, at: int) -> None:
        """Accept an event, perhaps for a second time."""
        self.workers[0].accept([new_job(name, at, queue)])
        if name not in self.accepted:
            self.accepted.add(name)
            self.expected[queue].insert((at, len(self.accepted), name))

    @rule(worker=st.integers(0, 1), queue=queues)
    def claim(self, worker: int, queue: str) -> None:
        """Claim a queue; it works only if nobody has it and its head does not wait."""
        model = self.expected[queue]
        free = (model.owner is None or model.expired) and not self.is_held(queue)
        lease = self.workers[worker].claim(queue)
        assert (lease is not None) == (free and not model.waits and bool(model.queue))
        self.note_moves()
        if lease:
            self.took(lease)

    @rule(worker=st.integers(0, 1))
    def claim_any(self, worker: int) -> None:
        """Claim the queue whose turn it is; there is one if any can be worked on."""
        self.sweep()
        free = {
            name: self.remote_of(name)
            for name, one in self.expected.items()
            if one.queue and not one.owner and not one.waits and not self.is_held(name)
        }
        lease = self.workers[worker].claim()
        assert (lease.queue in free) if lease else not free
        self.note_moves()
        if lease:
            self.took(lease)
            if (remote := free[lease.queue]).untried:
                remote.trial, remote.paused = lease, True

    def remote_of(self, queue: str) -> ExpectedRemote:
        """Return the remote that a queue waits for."""
        return self.remotes[self.expected[queue].waits_for or REMOTES[direction_of(queue)]]

    def is_held(self, queue: str) -> bool:
        """Tell whether the remote of a queue is paused, or its own one if it waits for another."""
        return self.remote_of(queue).paused or self.remotes[REMOTES[direction_of(queue)]].paused

    def took(self, lease: Lease) -> None:
        """Note that a queue was claimed."""
        model = self.expected[lease.queue]
        model.owner, model.expired, model.begun = lease, False, True
        self.leases.append(lease)
        self.head_is_right(lease)

    def note_moves(self) -> None:
        """Note who waits no more for another remote: it was claimed, or its own is paused, too."""
        for queue, model in self.expected.items():
            if model.waits_for and "waits_for" not in self.stored.lease(queue):
                assert (
                    self.stored.lease(queue).get("token") or self.remotes[REMOTES[direction_of(queue)]].paused
                )
                model.waits_for = ""

    def end_trial(self, lease: Lease, *, worked: bool) -> None:
        """Note that the queue went on which tries a remote, if it is one."""
        for remote in self.remotes.values():
            if remote.trial is lease:
                remote.trial, remote.paused, remote.untried = None, False, remote.untried and not worked

    @rule(remote=remotes)
    def pause(self, remote: str) -> None:
        """Find a remote away."""
        self.workers[0].pause(remote, 90, "it is down")
        self.remotes[remote] = ExpectedRemote(paused=True, untried=True)

    @rule(remote=remotes)
    def end_pause(self, remote: str) -> None:
        """Let the pause of a remote be over, or the lease of who tries it run out."""
        self.stored.end_pause(remote)
        self.remotes[remote].paused = False

    @rule()
    def sweep(self) -> None:
        """Have what is due wait for a worker: whose lease has run out loses it."""
        self.workers[0].sweep(100, 64)
        for model in self.expected.values():
            if model.expired:
                model.owner, model.expired = None, False

    def head_is_right(self, lease: Lease) -> None:
        """Compare what a lease says with what is known."""
        event = lease.job
        assert (event.time, event.id, event.body.decode()) == self.expected[lease.queue].queue[0]
        assert lease.job.steps == self.steps.get(event.body.decode(), {})

    def pick(self, number: int) -> Lease | None:
        """Return one of the last leases, perhaps one that was lost."""
        return self.leases[-1 - number % len(self.leases)] if self.leases else None

    def owns(self, lease: Lease) -> bool:
        """Tell whether a lease is good."""
        return self.expected[lease.queue].owner is lease

    @rule(number=numbers, repeated=st.booleans())
    def finish(self, *, number: int, repeated: bool) -> None:
        """Finish the event of a lease; a repeated call is one whose answer got lost."""
        if lease := self.pick(number):
            name, owned, announced = lease.job.body.decode(), self.owns(lease), lease._next_step
            if repeated:
                self.finish_unheard(lease, announced)
                self.announce(lease, announced, left=self.expected[lease.queue].queue[1:] if owned else [])
            goes_on = lease.finish()
            self.taken(lease, name, goes_on=goes_on)
            if goes_on:
                self.announce(lease, announced, left=self.expected[lease.queue].queue)

    def finish_unheard(self, lease: Lease, announced: tuple[Step, str]) -> None:
        """Finish the job of a lease, which does not get the answer."""
        step, value = announced
        ahead = (f"step:{step}", value) if step else announced
        self.workers[0]._script.run(
            "finish", lease.queue, lease.token, lease.job.id, "relayed:in", "", *ahead
        )

    def announce(self, lease: Lease, announced: tuple[str, str], left: list[tuple[int, int, str]]) -> None:
        """Note the step that the next event got, unless it had taken it before."""
        if left and announced[0]:
            self.steps.setdefault(left[0][2], {}).setdefault(*announced)

    @rule(number=numbers, value=names)
    def foresee(self, number: int, value: str) -> None:
        """Announce a step of the next event."""
        if lease := self.pick(number):
            lease.foresee(Step.call(), value)

    @rule(number=numbers)
    def move_to_dead_letters(self, number: int) -> None:
        """Move the event of a lease to the dead letters."""
        if lease := self.pick(number):
            name, owned, announced = lease.job.body.decode(), self.owns(lease), lease._next_step
            head = self.expected[lease.queue].queue[0] if owned else None
            goes_on = lease.move_to_dead_letters("refused")
            self.taken(lease, name, goes_on=goes_on, done=False)
            if goes_on:
                self.announce(lease, announced, left=self.expected[lease.queue].queue)
            if head:
                self.dead[lease.queue + " " + name] = head

    def taken(self, lease: Lease, name: str, *, goes_on: bool, done: bool = True) -> None:
        """Note that the head of a lease was taken off, if the lease was good."""
        if not self.owns(lease):
            assert not goes_on
            return
        model = self.expected[lease.queue]
        self.end_trial(lease, worked=True)
        assert model.take()[2] == name
        if done:
            self.done.append(name)
            self.steps.pop(name, None)
        assert goes_on == bool(model.queue)
        if goes_on:
            self.head_is_right(lease)

    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        """Take a letter back into its queue."""
        letters = self.workers[0].dead_letters.all()
        assert {f"{letter.job.queue} {letter.job.body.decode()}" for letter in letters} == set(self.dead)
        if letters:
            letter = data.draw(st.sampled_from(letters))
            assert self.workers[0].dead_letters.requeue(letter)
            self.expected[letter.job.queue].insert(
                self.dead.pop(f"{letter.job.queue} {letter.job.body.decode()}")
            )

    @rule(number=numbers, step=st.sampled_from([Step.call(), Step.sent(0)]), value=names)
    def save_step(self, number: int, step: Step, value: str) -> None:
        """Record a step; a lease that is lost cannot."""
        if not (lease := self.pick(number)):
            return
        if self.owns(lease):
            lease.save_step(step, value)
            self.steps.setdefault(lease.job.body.decode(), {})[step] = value
        elif (step, value) == lease._saved_ahead:
            lease.save_step(step, value)  # nothing is written: whoever has the queue now finds it there
        else:
            with pytest.raises(LeaseLost):
                lease.save_step(step, value)

    @rule(number=numbers)
    def retry_later(self, number: int) -> None:
        """Put the head of a lease off."""
        if lease := self.pick(number):
            lease.retry_later(60, "refused", counts=True)
            if self.owns(lease):
                self.end_trial(lease, worked=False)
                model = self.expected[lease.queue]
                model.owner, model.waits = None, True

    @rule(number=numbers, remote=remotes)
    def wait(self, number: int, remote: str) -> None:
        """Put the head of a lease off until a remote is back."""
        if lease := self.pick(number):
            lease.wait(remote, "it is down")
            if self.owns(lease):
                self.end_trial(lease, worked=False)
                model = self.expected[lease.queue]
                model.owner, model.expired = None, False
                model.waits_for = remote if remote != REMOTES[direction_of(lease.queue)] else ""

    @rule(number=numbers)
    def renew(self, number: int) -> None:
        """Renew a lease, perhaps one that ran out."""
        if lease := self.pick(number):
            lease.renew()
            assert bool(lease.deadline) == self.owns(lease)
            if self.owns(lease):
                self.expected[lease.queue].expired = False
                for remote in self.remotes.values():
                    remote.paused = remote.paused or remote.trial is lease

    @rule(number=numbers)
    def release(self, number: int) -> None:
        """Let go of a queue."""
        if lease := self.pick(number):
            lease.release()
            if self.owns(lease):
                self.expected[lease.queue].let_go()
                self.expected[lease.queue].queue.sort()

    @rule(queue=queues)
    def expire(self, queue: str) -> None:
        """Let the lease of a queue run out, and the backoff of its head be over."""
        self.stored.expire(queue)
        self.stored.end_backoff(queue)
        self.expected[queue].expired, self.expected[queue].waits = True, False

    @invariant()
    def queues_are_as_expected(self) -> None:
        """Compare every queue with its list, and see that what was not begun is in order."""
        for queue, model in self.expected.items():
            assert self.stored.queue(queue) == [name for _, _, name in model.queue]
            waiting = [at for at, _, _ in model.queue[1:]]
            assert waiting == sorted(waiting)
            assert (self.stored.due_in(queue) is not None) == bool(model.queue)

    def teardown(self) -> None:
        """Relay the rest: everything was done once, and nothing is left behind."""
        for letter in self.workers[0].dead_letters.all():
            self.workers[0].dead_letters.requeue(letter)
        for queue in self.expected:
            self.stored.expire(queue)
            self.stored.end_backoff(queue)
        for remote in self.remotes:
            self.stored.end_pause(remote)
        while lease := self.workers[1].claim() or self.workers[1].claim():
            self.relay_all(lease)
        assert sorted(self.done) == sorted(self.accepted)
        left = {name for name in self.stored.names() if not name.startswith(("mc:seen:", "mc:pause:"))}
        assert left <= {"mc:format", "mc:given_up", "mc:ids", "mc:stats", "mc:last", "mc:pauses"}

    def relay_all(self, lease: Lease) -> None:
        """Relay what a queue holds."""
        self.done.append(lease.job.body.decode())
        while lease.finish():
            self.done.append(lease.job.body.decode())


def test_no_interleaving_loses_doubles_or_disorders_anything(inbox: Inbox) -> None:
    run_state_machine_as_test(
        lambda: Interleaving(inbox.store),  # type: ignore[arg-type]  # whatever makes one will do
        settings=hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None),
    )
