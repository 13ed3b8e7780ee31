"""`connector connections`: the pages that are connected, listed and changed while the connector runs."""

import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import click
import redis

from clients.channels.registry import CHANNELS
from clients.findings import Finding, finding
from clients.text.line import one_line
from connector import links
from connector.admin import ConnectionAdmin, Fixed, ListedConnection, Refused
from connector.cli.common import Command, fail, reachable_inbox, read_settings, settings_option, state_of
from connector.connection import SECRETS
from connector.kept import as_json as to_json
from connector.settings import get_settings, missing_for_login
from tasks.store import reason_of
from tasks.words import say

AT_ONCE = 1000
"""How many connections are read at once."""


@contextmanager
def admin_of(part: str) -> Iterator[ConnectionAdmin]:
    """Give what lists and changes connections; end with a line that says why something is refused."""
    settings = read_settings(part, get_settings)
    try:
        yield ConnectionAdmin(settings, reachable_inbox(settings).connections)
    except Refused as error:
        fail(error)
    except redis.RedisError as error:
        fail(f"{settings.store_key}: the store does not work: {reason_of(error)}")


@click.group()
@settings_option
def connections() -> None:
    """List and change the pages that are connected; those of the settings are changed there.

    A change takes effect within a second, without a restart.
    """


def _page(command: Command) -> Command:
    """Add the argument and the options of a command about one page."""
    options = [
        click.argument("page_id", metavar="PAGE"),
        settings_option,
        click.option("--json", "as_json", is_flag=True, help="Print what there is then as JSON."),
    ]
    return functools.reduce(lambda inner, option: option(inner), reversed(options), command)


def _fields(command: Command) -> Command:
    """Add an option for each field; the command gets those that are given as `fields`."""

    @functools.wraps(command)
    def with_fields(page_id: str, *, as_json: bool, **given: Any) -> Any:
        fields = {name: _read(value) for name, value in given.items() if value is not None}
        return command(page_id, as_json=as_json, fields=fields)

    def switch(name: str, help_: str) -> Any:
        return click.option(f"--{name}/--no-{name}", default=None, help=help_)

    files = [
        click.option(
            f"--{name.replace('_', '-')}-file",
            name,
            type=click.File(),
            help="A file that holds it; -: standard input.",
        )
        for name in SECRETS
    ]
    options = [
        click.option("--desk", "desk_id", metavar="ID", help="Where the page's tickets go."),
        click.option("--category", "category_id", metavar="ID", help="Their category."),
        click.option("--name", "page_name", metavar="NAME", help="What the page is called on tickets."),
        click.option("--language", metavar="en|pl", help="The language of the page's agents."),
        click.option(
            "--remind-before",
            type=float,
            metavar="HOURS",
            help="Remind agents so long before the 24 h for a reply end.",
        ),
        click.option(
            "--history-days",
            type=float,
            metavar="DAYS",
            help="As the page is connected, fetch what was written in so many days before, as history.",
        ),
        switch("human-agent", "Reply after 24 h with the HUMAN_AGENT tag."),
        switch("take-control", "A reply takes the conversation over from another app."),
        switch("link-large-files", "A file over 25 MiB goes as a link."),
        *files,
    ]
    return functools.reduce(
        lambda inner, option: option(inner), reversed(options), cast("Command", with_fields)
    )


def _read(value: Any) -> Any:
    """Return what is in a file, without the line break at its end; any other value as it is."""
    return value.read().strip() if hasattr(value, "read") else value


def _ask(secret: str) -> str:
    """Ask for a secret, which does not appear; from a pipe it is the next line."""
    if not _is_terminal():
        return sys.stdin.readline().strip()
    return str(click.prompt(secret, hide_input=True, default="", show_default=False, err=True)).strip()


def _is_terminal() -> bool:
    return sys.stdin.isatty()


@connections.command()
@click.option(
    "--desk", "desk_id", required=True, metavar="ID", help="The desk that the pages are to lead to."
)
@click.option("--language", type=click.Choice(links.LANGUAGES), help="The language of the pages shown.")
@click.option("--return-url", default="", metavar="URL", help="Where the helpdesk is, to go back to.")
@click.option(
    "--minutes", type=click.IntRange(1, 60), default=15, show_default=True, help="How long it is good."
)
@click.option("--tab", "is_tab", is_flag=True, help="Print one to the Messenger tab of the desk.")
@settings_option
def link(*, desk_id: str, language: str | None, return_url: str, minutes: int, is_tab: bool) -> None:
    """Print a link by which somebody connects their pages to a desk in a browser, by a login."""
    settings = read_settings("connections", get_settings)
    key = settings.admin_token.get_secret_value()
    if is_tab and not key:
        fail("Nobody can open the Messenger tab: set admin_token.")
    if not is_tab and (missing := missing_for_login(settings)):
        fail(f"Nobody can log in to connect pages: set {', '.join(missing)}.")
    made = links.Link(desk_id, int(time.time()) + 60 * minutes, language or "", return_url)
    logins = (channel.login.path for channel in CHANNELS.values() if channel.login)
    for path in [links.tab_path(desk_id)] if is_tab else logins:
        click.echo(links.address(made, settings.public_url, path, key))


@connections.command("list")
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_(*, as_json: bool) -> None:
    """List the connections, by page id."""
    with admin_of("connections") as admin:
        found = list(_all(admin))
    if as_json:
        click.echo(to_json([one.as_json() for one in found]))
    elif found:
        click.echo(_table(found))
    else:
        click.echo("No page is connected; “connector connections add” connects one.")


def _all(admin: ConnectionAdmin) -> Iterator[ListedConnection]:
    after = ""
    while found := admin.list(AT_ONCE, after):
        yield from found
        after = found[-1].page_id


@connections.command()
@_page
def show(page_id: str, *, as_json: bool) -> None:
    """Show a connection; of its secrets only how they end."""
    with admin_of("connections") as admin:
        entry = admin.get(page_id)
    click.echo(to_json(entry.as_json()) if as_json else "\n".join(_lines(entry)))


@connections.command()
@_page
@_fields
@click.option("--inactive", is_flag=True, help="Add it switched off; then its secrets may be left empty.")
def add(page_id: str, *, as_json: bool, fields: dict[str, Any]) -> None:
    """Connect a page.

    Its secrets are asked for, unless a file holds them: page_access_token, app_secret, verify_token. From a
    pipe they are read in that order, one in each line.
    """
    fields["active"] = not fields.pop("inactive")
    with admin_of("connections") as admin:
        admin.check_new(page_id)  # before anybody looks for its secrets
        for name in SECRETS:
            if name not in fields:
                fields[name] = _ask(name)
        entry = admin.put(page_id, fields, None)
    _tell(entry, f"Page {page_id} is connected.", as_json=as_json)


@connections.command()
@_page
@_fields
def change(page_id: str, *, as_json: bool, fields: dict[str, Any]) -> None:
    """Change what is given, and leave all else as it is."""
    if not fields:
        fail("Say what to change; “connector connections change --help” lists what there is.")
    with admin_of("connections") as admin:
        entry = admin.change(page_id, fields)
    _tell(entry, f"Page {page_id} is changed.", as_json=as_json)


@connections.command()
@_page
def token(page_id: str, *, as_json: bool) -> None:
    """Give a page a new access token, which is asked for; replies that wait for it leave at once."""
    with admin_of("connections") as admin:
        admin.get(page_id)  # before anybody looks for a token
        entry = admin.change(page_id, {"page_access_token": _ask("page_access_token")})
    _tell(entry, f"Page {page_id} has a new token.", as_json=as_json)


@connections.command()
@_page
def enable(page_id: str, *, as_json: bool) -> None:
    """Switch a connection on."""
    with admin_of("connections") as admin:
        entry = admin.change(page_id, {"active": True})
    _tell(entry, f"Page {page_id} is active.", as_json=as_json)


@connections.command()
@_page
def disable(page_id: str, *, as_json: bool) -> None:
    """Switch a connection off: no new tickets, but what was accepted is finished, and replies still leave."""
    with admin_of("connections") as admin:
        entry = admin.change(page_id, {"active": False})
    _tell(entry, f"Page {page_id} is not active any more.", as_json=as_json)


@connections.command()
@_page
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(page_id: str, *, as_json: bool, yes: bool) -> None:
    """Remove a connection, and have Meta send no more webhooks about the page; asks first.

    Messages that wait stay for seven days, in case the page is connected again; replies that wait become dead
    letters. If the connection is removed, but Meta could not be told, this ends with 1.
    """
    with admin_of("connections") as admin:
        entry = admin.get(page_id)
        if entry.version is None:
            raise Fixed(page_id)
        if not yes:
            click.confirm(f"Remove the connection of page {page_id}?", abort=True, err=True)
        not_done = admin.remove(page_id, entry.version)
    if as_json:
        click.echo(to_json({"not_done": not_done or None}))
    else:
        click.echo(f"Page {page_id} is removed.")
        if not_done:
            click.echo(not_done, err=True)
    sys.exit(bool(not_done))


def _tell(entry: ListedConnection, sentence: str, *, as_json: bool) -> None:
    click.echo(to_json(entry.as_json()) if as_json else sentence)


def _table(entries: list[ListedConnection]) -> str:
    rows = [("PAGE", "STATE", "DESK", "FROM", "NAME"), *map(_row, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    )


def _row(entry: ListedConnection) -> tuple[str, str, str, str, str]:
    origin = "settings" if entry.fixed else "added"
    one = entry.connection
    if not one:
        return entry.page_id, "unusable", "", origin, one_line(entry.fault)
    state = state_of(entry.off, is_active=one.active)
    return entry.page_id, state, one_line(one.desk_id), origin, one_line(one.page_name)


def _lines(entry: ListedConnection) -> Iterator[str]:
    shown = {
        name: value for name, value in entry.as_json().items() if name not in {"fault", "inactive"} or value
    }
    width = max(map(len, shown))
    for name, value in shown.items():
        yield f"{name:{width}}  {_words(value)}".rstrip()


def _words(value: Any) -> str:
    match value:
        case {"set": is_set, "ends_in": end}:
            return f"set, ends in …{one_line(end)}" if end else "set" if is_set else "not set"
        case {"since": since, "withdrawn": is_withdrawn}:
            shown = f"since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC"
            return f"{shown}: {_told(finding('access_withdrawn'))}" if is_withdrawn else shown
        case bool():
            return "yes" if value else "no"
        case None:
            return "–"
    return one_line(str(value))


def _told(found: Finding) -> str:
    """Say what is wrong, and what to do."""
    return " ".join(say(part) for part in (found.what, found.remedy) if part)
