"""The command line: `connector up`, its parts one by one, the conformance suite, and the dead letters."""

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import redis
import uvicorn

from clients.text import is_misleading, one_line
from connector import logs
from connector.app import HELPDESK, MESSENGER
from connector.embedded import StoreError, doubts, lock_data, wait_for_port
from connector.guard import GuardedProtocol, raise_file_limit
from connector.settings import PATH_VARIABLE, Settings, SettingsError, get_settings, unknown_variables
from connector.status import lines_of, status_of
from connector.supervisor import Part, Supervisor, beat_part, store_part, web_part, worker_part
from tasks.celery import wake
from tasks.inbox import Inbox, Letter
from tasks.services import inbox_of
from tasks.store import reason_of, without_secrets
from tasks.store_check import StoreCheck, Unusable

log = logs.get(__name__)

Command = TypeVar("Command", bound=Callable[..., Any])


def _use_settings(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path:
        os.environ[PATH_VARIABLE] = str(path)


def settings_option(command: Command) -> Command:
    """Add `--settings PATH` to a command."""
    option = click.option(
        "--settings",
        type=click.Path(path_type=Path),
        callback=_use_settings,
        expose_value=False,
        help="The settings file (default: $CONNECTOR_SETTINGS, or settings.yaml here).",
    )
    return option(command)


def _settings(part: str) -> Settings:
    """Read the settings, or end with a line for each fault."""
    try:
        settings = get_settings()
    except SettingsError as error:
        for fault in error.faults:
            click.echo(fault, err=True)
        sys.exit(1)
    logs.configure(part, settings.log_level, settings.log_format)
    for name in unknown_variables():
        log.warning("unknown_variable", name=name, hint="no setting has this name; see settings.yaml")
    return settings


def _fail(reason: object) -> NoReturn:
    click.echo(str(reason), err=True)
    sys.exit(1)


@click.group()
@click.version_option(package_name="messenger-connector")
@settings_option
def main() -> None:
    """Facebook Messenger as a channel of your helpdesk."""


@main.command()
@settings_option
def up() -> None:
    """Run everything on this machine: web, worker, scheduler, and a store if redis_url is empty."""
    settings = _settings("up")
    embedded = not settings.redis_url
    os.umask(0o077)  # what customers write is nobody else's to read
    try:
        with lock_data(settings.data_dir) as lock:
            wait_for_port(settings.host, settings.port)
            parts = [web_part(), worker_part(settings), beat_part()]
            _supervise(settings, [store_part(settings, lock), *parts] if embedded else parts)
    except (StoreError, Unusable) as error:
        _fail(error)


def _supervise(settings: Settings, parts: list[Part]) -> None:
    def ready() -> None:
        log.info(
            "up",
            version=version("messenger-connector"),
            url=f"http://{settings.host}:{settings.port}",
            pages=sum(c.active for c in settings.connections),
            helpdesk=settings.helpdesk.base_url,
            store=without_secrets(settings.store_url),
            callback_for_meta=settings.public_url + MESSENGER,
            callback_for_helpdesk=settings.public_url + HELPDESK,
        )
        for doubt in doubts(settings.store_url):
            log.warning("store_unsafe", reason=doubt)

    Supervisor(parts, settings.store_url, StoreCheck(settings)).run(ready)
    log.info("stopped")


@main.command()
@settings_option
def web() -> None:
    """Run the doors alone."""
    settings = _settings("web")
    try:
        StoreCheck(settings)()
    except Unusable as error:
        _fail(error)
    raise_file_limit()
    uvicorn.run(
        "connector.app:app",
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level="error",  # warnings tell what strangers sent, and as often as they like
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever calls is known by the signature alone
        timeout_graceful_shutdown=5,
        http=GuardedProtocol,
        ws="none",
        limit_concurrency=1000,
    )


@main.command()
@settings_option
def worker() -> None:
    """Run one worker, which is started again if it dies or gets stuck."""
    settings = _settings("worker")
    _run_alone(settings, worker_part(settings))


@main.command()
@settings_option
def beat() -> None:
    """Run the scheduler alone."""
    _run_alone(_settings("beat"), beat_part())


def _run_alone(settings: Settings, part: Part) -> None:
    try:
        Supervisor([part], settings.store_url, StoreCheck(settings)).run()
    except Unusable as error:
        _fail(error)


@main.command()
@settings_option
@click.option("--desk", metavar="ID", help="Where the tickets go (default: the first connection's desk).")
@click.option("--category", metavar="ID", help="Their category (default: the first connection's).")
@click.option("--no-hands", is_flag=True, help="Ask nobody to do anything; what needs that is not checked.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def conformance(*, desk: str | None, category: str | None, no_hands: bool, as_json: bool) -> None:
    """Check that the helpdesk holds what the connector's promises rest on. Makes tickets there."""
    from connector.conformance import command  # noqa: PLC0415 - no other command needs it

    settings = _settings("conformance")
    first = next(iter(settings.connections), None)
    if not desk and not first:
        _fail("Name a desk with --desk, as there is no connection in the settings.")
    if first and not desk:
        desk, category = first.desk_id, category or first.category_id
    try:
        held = command.conformance(settings, desk or "", category, hands=not no_hands, as_json=as_json)
    except OSError as error:
        _fail(f"Port {settings.port} cannot be listened to ({error.strerror}); is the connector running?")
    sys.exit(not held)


@main.command()
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON; times are in seconds since 1970.")
def status(*, as_json: bool) -> None:
    """Tell how each page fares: what came, what was sent, what waits, and why."""
    settings = _settings("status")
    found = status_of(settings, _reachable(settings))
    click.echo(json.dumps(found.as_json(), ensure_ascii=False) if as_json else "\n".join(lines_of(found)))


@main.group()
def dead() -> None:
    """Events and replies that could not be delivered."""


def _inbox() -> Inbox:
    return _reachable(_settings("dead"))


def _reachable(settings: Settings) -> Inbox:
    inbox = inbox_of(settings, patient=False)
    try:
        inbox.store.ping()
    except redis.RedisError as error:
        _fail(
            f"{settings.store_key}: the store does not work: {reason_of(error)}. Is “connector up” running?"
        )
    return inbox


def _letters(inbox: Inbox, ids: tuple[int, ...], *, every: bool) -> list[Letter]:
    if every and ids:
        _fail("Name ids or use --all, not both.")
    if every:
        return inbox.letters()
    if not ids:
        _fail("Name the ids, or use --all.")
    found = [(id_, inbox.letter(id_)) for id_ in ids]
    for id_ in (id_ for id_, letter in found if letter is None):
        _fail(f"There is no dead letter {id_}; “connector dead list” shows those there are.")
    return [letter for _, letter in found if letter]


@dead.command("list")
@settings_option
def list_letters() -> None:
    """List the dead letters, the oldest first."""
    letters = _inbox().letters()
    for letter in letters:
        click.echo(f"{letter.id:>8}  {letter.died_at}  {one_line(letter.thread)}  {one_line(letter.reason)}")
    if not letters:
        click.echo("There are no dead letters.")


@dead.command()
@click.argument("id_", metavar="ID", type=int)
@settings_option
def show(id_: int) -> None:
    """Show one dead letter whole: its event, why it failed, and its history."""
    (letter,) = _letters(_inbox(), (id_,), every=False)
    shown = {
        "id": letter.id,
        "thread": letter.thread,
        "died_at": letter.died_at,
        "reason": letter.reason,
        "history": letter.history,
        "event": _read(letter.body),
    }
    text = json.dumps(shown, indent=2, ensure_ascii=False)
    # JSON leaves some characters alone that a terminal acts on.
    click.echo("".join(f"\\u{ord(c):04x}" if c != "\n" and is_misleading(c) else c for c in text))


def _read(body: str) -> Any:
    """Return what a letter holds; as text, if it is no JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return body


@dead.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them, the oldest first.")
@settings_option
def retry(ids: tuple[int, ...], *, every: bool) -> None:
    """Deliver dead letters again: each goes back into its thread, in its place by time."""
    inbox = _inbox()
    letters = _letters(inbox, ids, every=every)
    revived = [letter for letter in letters if inbox.revive(letter)]
    wake(len({letter.thread for letter in revived}))
    click.echo(f"{len(revived)} back in their threads.")


@dead.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@settings_option
def drop(ids: tuple[int, ...], *, every: bool) -> None:
    """Throw dead letters away, for good."""
    inbox = _inbox()
    dropped = [inbox.drop(letter.id) for letter in _letters(inbox, ids, every=every)]
    click.echo(f"{sum(dropped)} dropped.")
