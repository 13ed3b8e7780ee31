"""`connector forget` and `connector export`: what the connector keeps of a person."""

import time
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
import redis

from clients.channel import Conversation
from clients.channels.registry import CHANNELS
from clients.text.line import one_line
from connector import kept
from connector.cli.common import Command, fail, reachable_inbox, read_settings, settings_option
from connector.settings import get_settings, load_store_settings
from tasks import erasures, person, worker
from tasks.inbound import backfill
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tasks.inbox.queues import HELPDESK, erasure_queue
from tasks.services import build, helpdesk_http, helpdesk_of
from tasks.store import reason_of
from tasks.words import described

BEYOND_LEASE = 15.0
"""How much longer than a lease it is waited for workers that are at an erasure, in seconds."""
NOT_YET = 3
"""How `forget` ends while the helpdesk is away."""


def _person_options(command: Command) -> Command:
    options = (
        click.option("--page", required=True, type=_id, metavar="ID", help="The page they wrote to."),
        click.option(
            "--sender", required=True, type=_id, metavar="ID", help="Their id for this page (PSID)."
        ),
        click.option(
            "--channel", type=click.Choice(sorted(CHANNELS)), default=next(iter(CHANNELS)), show_default=True
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _id(value: str) -> str:
    """Read an id. Raises `click.BadParameter` for what would name something else in the store."""
    if not (value := value.strip()) or ":" in value:
        raise click.BadParameter(f"{value!r} is no id")
    return value


OUTCOME_LOOK_EVERY = 0.2
"""How often it is looked what came of an erasure, in seconds."""


@click.command()
@_person_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--code", default="", metavar="CODE", help="The code of a deletion request that this fulfils.")
@settings_option
def forget(*, page: str, sender: str, channel: str, yes: bool, code: str) -> None:
    """Delete all that is kept of a person, and have the helpdesk delete what it keeps.

    The helpdesk is told first; while it is away the wish waits, and this ends with 3.
    """
    settings = read_settings("forget", get_settings)
    inbox, conversation = reachable_inbox(settings), Conversation(channel, page, sender)
    if code and erasures.outcome(inbox, code) is None:
        fail(f"There is no deletion request with the code {one_line(code)}.")
    if not yes:
        click.echo(_summary(inbox, conversation), err=True)
        click.confirm("Delete it for good, and have the helpdesk delete their tickets?", abort=True, err=True)
    try:
        code = erasures.request(inbox, conversation, code)
        with helpdesk_http(settings) as http:
            worker.work_on(build(settings, helpdesk_of(settings, http)), erasure_queue(conversation))
        outcome = _awaited(inbox, code, settings.worker.lease + BEYOND_LEASE)
        inbox.rewrite()
    except redis.RedisError as error:
        fail(f"{settings.store_key}: the store does not work: {reason_of(error)}")
    _report(inbox, code, outcome)


def _awaited(inbox: Inbox, code: str, seconds: float) -> erasures.Outcome | None:
    """Wait for what comes of an erasure, unless the helpdesk is away."""
    until = time.monotonic() + seconds
    while (outcome := erasures.outcome(inbox, code)) and outcome.state == "waiting":
        if time.monotonic() > until or HELPDESK in inbox.reasons():
            break
        time.sleep(OUTCOME_LOOK_EVERY)  # polling: the store tells nobody what came of it
    return outcome


def _report(inbox: Inbox, code: str, outcome: erasures.Outcome | None) -> None:
    """Say what came of it, and end with 1 or 3 if that is not what was asked for."""
    match outcome.state if outcome else "waiting":
        case "done":
            click.echo("Forgotten. The helpdesk was told to delete what it keeps.")
        case "helpdesk_cannot":
            click.echo(
                "Forgotten here. The helpdesk offers no erasures (POST /erasures): delete the tickets there."
            )
        case "refused":
            reason = one_line(described(outcome.reason)) if outcome else ""
            fail(f"Forgotten here, but the helpdesk refused: {reason}. See “connector dead list”.")
        case _:
            reason = inbox.reasons().get(HELPDESK, "")
            why = f" ({one_line(described(reason))})" if reason else ""
            click.echo(
                f"Not yet: the helpdesk could not be told{why}. Workers do it as soon as that works, and "
                f"then forget the person; the code of this is {code}.",
                err=True,
            )
            raise SystemExit(NOT_YET)


@click.command()
@_person_options
@settings_option
def export(*, page: str, sender: str, channel: str) -> None:
    """Print all that is kept of a person, as JSON."""
    inbox = reachable_inbox(read_settings("export", load_store_settings))
    click.echo(kept.as_json(_export(inbox, Conversation(channel, page, sender))))


def _export(inbox: Inbox, conversation: Conversation) -> dict[str, Any]:
    ids = {"page_id": conversation.account_id, "sender_id": conversation.person_id}
    waiting = person.jobs_of(inbox, conversation)
    to_fetch = backfill.kept_of(inbox, conversation)
    return {
        "channel": conversation.channel,
        **ids,
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "waiting": {direction: [_shown(job) for job in jobs] for direction, jobs in waiting.items()},
        "dead_letters": [kept.whole(one, "died") for one in person.dead_letters_of(inbox, conversation)],
        "unknown_events": [kept.whole(one, "kept") for one in person.unknown_events_of(inbox, conversation)],
        "to_be_fetched": msgspec.to_builtins(to_fetch),
        "kept": {
            name.value: _readable(value) for name, value in person.notes_of(inbox, conversation).items()
        },
    }


def _shown(job: Job) -> dict[str, Any]:
    """Return all that is stored of a job that waits; times are in ms."""
    known = {"id": job.id, "time": job.time, "accepted": job.accepted, "attempts": job.attempts}
    history = [one | kept.reason_of(one.get("reason", "")) for one in job.history]
    return known | {"history": history, "steps": dict(job.steps), "event": kept.read(job.body)}


def _readable(value: str | list[tuple[str, int]]) -> Any:
    if isinstance(value, str):
        return kept.read(value.encode())
    return [{"at": at, "value": kept.read(member.encode())} for member, at in value]


def _summary(inbox: Inbox, conversation: Conversation) -> str:
    """Say how much is kept of a person."""
    waiting = sum(map(len, person.jobs_of(inbox, conversation).values()))
    dead = len(person.dead_letters_of(inbox, conversation))
    unknown = len(person.unknown_events_of(inbox, conversation))
    names = ", ".join(person.notes_of(inbox, conversation)) or "nothing"
    return (
        f"Kept of {one_line(conversation.person_id)} on the page {one_line(conversation.account_id)}: "
        f"{waiting} waiting jobs, {dead} dead letters, {unknown} unknown events; beside that: {names}."
    )
