"""`connector board`: a link to the operator's board."""

import time

import click

from connector import links
from connector.cli.common import fail, read_settings, settings_option
from connector.settings import get_settings


@click.command()
@click.option("--language", type=click.Choice(links.LANGUAGES), help="The language of the board.")
@click.option(
    "--minutes", type=click.IntRange(1, 60), default=15, show_default=True, help="How long the link is good."
)
@settings_option
def board(*, language: str | None, minutes: int) -> None:
    """Print a link to the board, where a browser shows how all pages stand, and what was not delivered.

    Whoever has the link may use the board for an hour once they opened it: give it to nobody else.
    """
    settings = read_settings("board", get_settings)
    if not (key := settings.admin_token.get_secret_value()):
        fail("There is no board without admin_token: set it in the settings.")
    link = links.Link("", int(time.time()) + 60 * minutes, language or "")
    click.echo(links.address(link, settings.public_url, links.BOARD_PATH, key))
