"""Jobs that are kept for an operator, as commands: list, show, drop, and one that does them again."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import click

from connector.cli.common import Command, counted, fail, reachable_inbox, read_settings, settings_option
from connector.cli.shown import moment, table
from connector.kept import Filters, summary, whole
from connector.kept import as_json as to_json
from connector.settings import load_store_settings
from tasks.inbox.inbox import Inbox
from tasks.inbox.kept_jobs import KeptJob, KeptJobs


@dataclass(frozen=True, slots=True)
class KeptCommands:
    """A kind of kept jobs: the name of its commands, what one and many are called, and where they are.

    `since` is what happened when one was kept, as in “died at”; `whole` says what `show` shows.
    """

    command: str
    one: str
    many: str
    since: str
    whole: str
    of: Callable[[Inbox], KeptJobs]

    def there(self) -> KeptJobs:
        """Return those in the store, or end with a line that says why it cannot be read."""
        return self.of(reachable_inbox(read_settings(self.command, load_store_settings)))

    def named(self, there: KeptJobs, ids: Sequence[int]) -> list[KeptJob]:
        """Return those with these ids, or end with a line if one is not there."""
        found = [(id_, there.get(id_)) for id_ in ids]
        for id_ in (id_ for id_, job in found if job is None):
            fail(f"There is no {self.one} {id_}; “connector {self.command} list” shows those there are.")
        return [job for _, job in found if job]

    def meant(self, there: KeptJobs, ids: Sequence[int], filters: Filters, *, every: bool) -> list[KeptJob]:
        """Return those that a command is about, or end with a line if that is not said well."""
        if every and ids:
            fail("Name ids or use --all, not both.")
        if every:
            return list(filter(filters.match, there.all()))
        if filters != Filters():
            fail("Filters choose among all: add --all.")
        if not ids:
            fail("Name the ids, or use --all.")
        return self.named(there, ids)

    def filters(self, command: Command) -> Command:
        """Add the options that choose among them; the command gets them as its `filters`."""

        @functools.wraps(command)
        def filtered(
            *,
            page: str | None,
            since: datetime | None,
            until: datetime | None,
            reason: str | None,
            **rest: Any,
        ) -> Any:
            return command(filters=Filters(page, since, until, reason), **rest)

        options = [
            click.option("--page", metavar="ID", help="Those of this page."),
            click.option(
                "--since",
                type=moment,
                metavar="TIME",
                help="Those from then or later: 2026-11-28, 2h, 7d.",
            ),
            click.option("--until", type=moment, metavar="TIME", help="Those from before then."),
            click.option("--reason", metavar="WORDS", help="Those with these words in their code or reason."),
        ]
        return functools.reduce(
            lambda inner, option: option(inner), reversed(options), cast("Command", filtered)
        )


def add_commands(group: click.Group, kept: KeptCommands) -> None:
    """Add `list`, `show` and `drop` to a group of commands."""

    @group.command("list", help=f"List the {kept.many}, the oldest first.")
    @settings_option
    @kept.filters
    @click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
    def list_(*, filters: Filters, as_json: bool) -> None:
        there = kept.there().all()
        found = list(filter(filters.match, there))
        if as_json:
            click.echo(to_json([summary(one, kept.since) for one in found]))
        elif found:
            click.echo(table(found, kept.since))
        elif there:
            click.echo(f"None of the {len(there)} {kept.many} matches.")
        else:
            click.echo(f"There are no {kept.many}.")

    @group.command(help=f"Show one {kept.one} whole, as JSON: {kept.whole}.")
    @click.argument("id_", metavar="ID", type=int)
    @settings_option
    def show(id_: int) -> None:
        (one,) = kept.named(kept.there(), (id_,))
        click.echo(to_json(whole(one, kept.since)))

    @group.command(help=f"Delete {kept.many}, for good.")
    @click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
    @click.option("--all", "every", is_flag=True, help="All of them that the filters choose; asks first.")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @kept.filters
    @settings_option
    def drop(ids: tuple[int, ...], *, filters: Filters, every: bool, yes: bool) -> None:
        there = kept.there()
        meant = kept.meant(there, ids, filters, every=every)
        if every and meant and not yes:
            click.confirm(f"Delete {counted(len(meant), kept.one)} for good?", abort=True, err=True)
        click.echo(f"{sum(there.drop(one.job.id) for one in meant)} dropped.")


def requeue(there: KeptJobs, meant: Sequence[KeptJob]) -> None:
    """Put jobs back into their queues, and say how many."""
    # Nobody has to be woken, which would need the settings of Celery: the sweep finds them in a second.
    click.echo(f"{sum(there.requeue(one) for one in meant)} requeued.")
