"""What `/metrics` shows: counters of this web process, and the state of the inbox."""

from collections.abc import Iterator, Mapping

import redis
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasks.clocks import differences
from tasks.findings import kept
from tasks.inbound.backfill import UnderWay, under_way
from tasks.inbox.inbox import Inbox


class Counters:
    """Counters of one web process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"connector_{name}", text, labels, registry=registry)

        labels = ("endpoint", "page", "reason")
        self.refused = counter("webhooks_refused", "Webhooks that were not taken", labels)
        self.ignored = counter("events_ignored", "Events that are not relayed", ("reason",))
        self.kept = counter("events_kept", "Events that wait until their page is connected")
        self.not_stored = counter("events_not_stored", "Events that were answered 503")


class InboxCollector(Collector):
    """Reads the state of the inbox when it is asked."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def collect(self) -> Iterator[Metric]:
        """Yield the inbox's metrics; none while the store is away."""
        try:
            state, stats = self._inbox.state(), self._inbox.stats()
            differing = differences(self._inbox)
            given_up = self._inbox.given_up()
            unknown = self._inbox.unknown_events.count()
            findings = self._inbox.findings()
            backfills = under_way(self._inbox)
        except redis.RedisError:
            return
        yield GaugeMetricFamily("connector_queues", "Queues with work", value=state.queues)
        help_ = "Age of the oldest accepted event that is not done"
        yield GaugeMetricFamily("connector_oldest_seconds", help_, value=state.oldest)
        help_ = "How long a queue that could be worked on waits for a worker"
        yield GaugeMetricFamily("connector_overdue_seconds", help_, value=state.overdue)
        yield GaugeMetricFamily(
            "connector_dead_letters", "Events that could not be delivered", value=state.dead
        )
        help_ = "Events of kinds that are not known yet, kept for replay"
        yield GaugeMetricFamily("connector_unknown_events", help_, value=unknown)
        paused = GaugeMetricFamily(
            "connector_remote_paused", "1 while nothing gets through to it", labels=("remote",)
        )
        for remote, is_paused in sorted(state.pauses.items()):
            paused.add_metric([remote], is_paused)
        yield paused
        help_ = "By how much a clock is ahead of the store's"
        clocks = GaugeMetricFamily("connector_clock_difference_seconds", help_, labels=("clock",))
        for name, ahead in sorted(differing.items()):
            clocks.add_metric([name], ahead)
        yield clocks
        help_ = "1 for each thing that the last check of a connection found to be wrong"
        wrong = GaugeMetricFamily("connector_check_findings", help_, labels=("remote", "finding", "level"))
        for remote, stored in sorted(findings.items()):
            for one in kept(stored):
                wrong.add_metric([remote, one.what.code, str(one.finding.level)], 1)
        yield wrong
        yield from _of_backfills(backfills)
        help_ = "Events by what became of them, receipts and notes included"
        events = CounterMetricFamily("connector_events", help_, labels=("outcome",))
        for outcome, count in sorted(stats.items()):
            events.add_metric([outcome], count)
        yield events
        help_ = "Dead letters that there ever were, by the code of their reason"
        codes = CounterMetricFamily("connector_given_up", help_, labels=("code",))
        for code, count in sorted(given_up.items()):
            codes.add_metric([code], count)
        yield codes


def _of_backfills(backfills: Mapping[str, UnderWay]) -> Iterator[Metric]:
    """Yield how many backfills there are, and how far each got."""
    help_ = "Backfills that are not done: a worker is at it, or it waits"
    states = GaugeMetricFamily("connector_backfills", help_, labels=("state",))
    running = sum(one.is_running for one in backfills.values())
    states.add_metric(["running"], running)
    states.add_metric(["waiting"], len(backfills) - running)
    yield states
    help_ = "Conversations that a backfill looked at, and knows of so far"
    conversations = GaugeMetricFamily(
        "connector_backfill_conversations", help_, labels=("remote", "conversations")
    )
    help_ = "Messages that a backfill found, and that are new"
    messages = GaugeMetricFamily("connector_backfill_messages", help_, labels=("remote", "messages"))
    for remote, one in sorted(backfills.items()):
        conversations.add_metric([remote, "looked_at"], one.looked_at)
        conversations.add_metric([remote, "known"], one.known)
        messages.add_metric([remote, "found"], one.messages)
        messages.add_metric([remote, "new"], one.new)
    yield conversations
    yield messages
