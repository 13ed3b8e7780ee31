"""`connector secrets`: the keys that encrypt the secrets of connections that were added."""

import sys

import click

from connector.cipher import new_key as make_key
from connector.cli.common import settings_option
from connector.cli.connections import admin_of


@click.group()
@settings_option
def secrets() -> None:
    """Make, and change, the keys that encrypt the secrets of connections that were added at run time."""


@secrets.command()
def new_key() -> None:
    """Print a new key for secret_key."""
    click.echo(make_key())


@secrets.command()
@settings_option
def rotate() -> None:
    """Encrypt all secrets anew, with the first key of secret_key.

    Before, write a new key in front of the old one, with a comma between them, and reload all parts on all
    machines, which else could not read what is encrypted with it. Afterwards take the old key out. It may be
    stopped, and run again: what is done stays so.
    """
    done, before, faults = 0, 0, []
    with (
        admin_of("secrets") as admin,
        click.progressbar(
            admin.rotate(), length=admin.count(), file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as outcomes,
    ):
        for outcome in outcomes:
            if isinstance(outcome, str):
                faults.append(outcome)
            else:
                done, before = done + outcome, before + (not outcome)
    connections = "1 connection was" if done == 1 else f"{done} connections were"
    click.echo(f"{connections} encrypted anew, {before} {'was' if before == 1 else 'were'} before.")
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        click.echo("Leave the old keys in secret_key, or give these pages their secrets anew.", err=True)
        sys.exit(1)
    click.echo("The other keys can be taken out of secret_key.")
