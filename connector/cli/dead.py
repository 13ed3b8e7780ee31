"""`connector dead`: the events and replies that could not be delivered."""

import click

from connector.cli.common import settings_option
from connector.cli.kept import KeptCommands, add_commands, requeue
from connector.kept import Filters

DEAD = KeptCommands(
    "dead",
    "dead letter",
    "dead letters",
    since="died",
    whole="its event, why it failed, and its history",
    of=lambda inbox: inbox.dead_letters,
)


@click.group()
@settings_option
def dead() -> None:
    """Events and replies that could not be delivered."""


add_commands(dead, DEAD)


@dead.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them that the filters choose, the oldest first.")
@DEAD.filters
@settings_option
def retry(ids: tuple[int, ...], *, filters: Filters, every: bool) -> None:
    """Deliver dead letters again: each goes back into its queue, in its place by time."""
    there = DEAD.there()
    requeue(there, DEAD.meant(there, ids, filters, every=every))
