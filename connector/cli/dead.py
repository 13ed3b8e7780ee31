"""`connector dead`: the events and replies that could not be delivered."""

import functools
from datetime import datetime
from typing import Any, cast

import click

from connector.cli import letters
from connector.cli.common import Command, fail, reachable_inbox, read_settings, settings_option
from connector.cli.letters import Filters, moment
from connector.settings import load_store_settings
from tasks.inbox.dead_letters import DeadLetter, DeadLetters


@click.group()
def dead() -> None:
    """Events and replies that could not be delivered."""


def filters(command: Command) -> Command:
    """Add the options that choose among dead letters; the command gets them as its `filters`."""

    @functools.wraps(command)
    def filtered(
        *, page: str | None, since: datetime | None, until: datetime | None, reason: str | None, **rest: Any
    ) -> Any:
        return command(filters=Filters(page, since, until, reason), **rest)

    options = [
        click.option("--page", metavar="ID", help="Those of this page."),
        click.option(
            "--since", type=moment, metavar="TIME", help="Those that died then or later: 2026-11-28, 2h, 7d."
        ),
        click.option("--until", type=moment, metavar="TIME", help="Those that died before then."),
        click.option("--reason", metavar="WORDS", help="Those with these words in their code or reason."),
    ]
    return functools.reduce(lambda inner, option: option(inner), reversed(options), cast("Command", filtered))


def _dead_letters() -> DeadLetters:
    return reachable_inbox(read_settings("dead", load_store_settings)).dead_letters


def _named(there: DeadLetters, ids: tuple[int, ...]) -> list[DeadLetter]:
    found = [(id_, there.get(id_)) for id_ in ids]
    for id_ in (id_ for id_, letter in found if letter is None):
        fail(f"There is no dead letter {id_}; “connector dead list” shows those there are.")
    return [letter for _, letter in found if letter]


def _meant(there: DeadLetters, ids: tuple[int, ...], filters: Filters, *, every: bool) -> list[DeadLetter]:
    if every and ids:
        fail("Name ids or use --all, not both.")
    if every:
        return list(filter(filters.match, there.all()))
    if filters != Filters():
        fail("Filters choose among all: add --all.")
    if not ids:
        fail("Name the ids, or use --all.")
    return _named(there, ids)


@dead.command("list")
@settings_option
@filters
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_letters(*, filters: Filters, as_json: bool) -> None:
    """List the dead letters, the oldest first."""
    there = _dead_letters().all()
    found = list(filter(filters.match, there))
    if as_json:
        click.echo(letters.as_json([letters.summary(letter) for letter in found]))
    elif found:
        click.echo(letters.table(found))
    else:
        click.echo(
            f"None of the {len(there)} dead letters matches." if there else "There are no dead letters."
        )


@dead.command()
@click.argument("id_", metavar="ID", type=int)
@settings_option
def show(id_: int) -> None:
    """Show one dead letter whole, as JSON: its event, why it failed, and its history."""
    (letter,) = _named(_dead_letters(), (id_,))
    click.echo(letters.as_json(letters.whole(letter)))


@dead.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them that the filters choose, the oldest first.")
@filters
@settings_option
def retry(ids: tuple[int, ...], *, filters: Filters, every: bool) -> None:
    """Deliver dead letters again: each goes back into its queue, in its place by time."""
    there = _dead_letters()
    # Nobody has to be woken, which would need the settings of Celery: the sweep finds them in a second.
    requeued = [letter for letter in _meant(there, ids, filters, every=every) if there.requeue(letter)]
    click.echo(f"{len(requeued)} requeued.")


@dead.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them that the filters choose; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@filters
@settings_option
def drop(ids: tuple[int, ...], *, filters: Filters, every: bool, yes: bool) -> None:
    """Delete dead letters, for good."""
    there = _dead_letters()
    meant = _meant(there, ids, filters, every=every)
    if every and meant and not yes:
        click.confirm(f"Delete {len(meant)} dead letters for good?", abort=True, err=True)
    click.echo(f"{sum(there.drop(letter.job.id) for letter in meant)} dropped.")
