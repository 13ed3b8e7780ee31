"""`connector unknown`: the events of kinds that the connector did not know, kept as they came."""

import click

from clients.channels.registry import CHANNELS
from clients.text.line import one_line
from connector.cli.common import fail, settings_option
from connector.cli.kept import KeptCommands, add_commands, requeue
from connector.kept import Filters
from tasks.inbound.unknown import is_known
from tasks.words import described

UNKNOWN = KeptCommands(
    "unknown",
    "unknown event",
    "unknown events",
    since="kept",
    whole="as it came, and why it is kept",
    of=lambda inbox: inbox.unknown_events,
)


@click.group()
@settings_option
def unknown() -> None:
    """Events of kinds that the connector did not know; an upgrade may know them."""


add_commands(unknown, UNKNOWN)


@unknown.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option(
    "--all", "every", is_flag=True, help="All whose kinds are known by now, of those the filters choose."
)
@UNKNOWN.filters
@settings_option
def replay(ids: tuple[int, ...], *, filters: Filters, every: bool) -> None:
    """Show events anew, after an upgrade to a version that knows their kinds.

    Each goes back into its queue, in its place by time, and becomes another comment.
    """
    there = UNKNOWN.there()
    meant = UNKNOWN.meant(there, ids, filters, every=every)
    known = [one for one in meant if is_known(one.job, CHANNELS)]
    if len(known) < len(meant) and not every:
        first = next(one for one in meant if one not in known)
        fail(f"{first.job.id} cannot be replayed yet: {one_line(described(first.reason))}. Upgrade first.")
    requeue(there, known)
    if left := len(meant) - len(known):
        others = "kind of 1 other" if left == 1 else f"kinds of {left} others"
        click.echo(f"This version of the connector does not know the {others}: upgrade first.")
