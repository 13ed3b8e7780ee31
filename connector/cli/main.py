"""The command line."""

import json
import sys

import click

from connector.cli.backfill import backfill
from connector.cli.board import board
from connector.cli.check import check
from connector.cli.common import fail, reachable_inbox, read_settings, settings_option
from connector.cli.connections import connections
from connector.cli.dead import dead
from connector.cli.keys import secrets
from connector.cli.person import export, forget
from connector.cli.run import beat, up, web, worker
from connector.cli.status import lines_of, status_of
from connector.cli.unknown import unknown
from connector.run.valkey import why_not_listening
from connector.settings import get_settings


@click.group()
@click.version_option(package_name="messenger-connector")
@settings_option
def main() -> None:
    """Facebook Messenger as a channel of your helpdesk."""


@main.command()
@settings_option
@click.option("--desk", metavar="ID", help="Where the tickets go (default: the first connection's desk).")
@click.option("--category", metavar="ID", help="Their category (default: the first connection's).")
@click.option(
    "--non-interactive",
    is_flag=True,
    help="Ask nothing and take no webhooks: what needs a person, or an agent's reply, is not checked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def conformance(*, desk: str | None, category: str | None, non_interactive: bool, as_json: bool) -> None:
    """Check that the helpdesk holds what the connector's promises rest on. Makes tickets there.

    Ends with 0 if nothing failed, also if something was not checked.
    """
    from connector.cli import conformance  # noqa: PLC0415 - no other command needs it

    settings = read_settings("conformance", get_settings)
    first = next(iter(settings.connections), None)
    if not desk and not first:
        fail("Name a desk with --desk, as there is no connection in the settings.")
    if first and not desk:
        desk, category = first.desk_id, category or first.category_id
    try:
        held = conformance.conformance(
            settings, desk or "", category, agent=not non_interactive, as_json=as_json
        )
    except OSError as error:
        fail(why_not_listening(settings.host, settings.port, error))
    sys.exit(not held)


@main.command()
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON; times are in seconds since 1970.")
def status(*, as_json: bool) -> None:
    """Show the state of each page: what came, what was sent, what waits, and why."""
    settings = read_settings("status", get_settings)
    found = status_of(settings, reachable_inbox(settings))
    click.echo(json.dumps(found.as_json(), ensure_ascii=False) if as_json else "\n".join(lines_of(found)))


for command in (
    *(up, web, worker, beat, check, board, connections, secrets),
    *(backfill, dead, unknown, forget, export),
):
    main.add_command(command)
