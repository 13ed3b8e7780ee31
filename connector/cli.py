"""The command line: `connector up`, its parts one by one, the conformance suite, and the dead letters."""

import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import click
import redis
import uvicorn

from connector import letters, logs
from connector.app import HELPDESK, MESSENGER
from connector.embedded import StoreError, doubts, lock_data, wait_for_port, why_not_listening
from connector.guard import GuardedProtocol, raise_file_limit
from connector.letters import Filters, moment
from connector.settings import (
    PATH_VARIABLE,
    Settings,
    SettingsError,
    StoreSettings,
    changed_for_good,
    doubtful,
    get_settings,
    load_settings,
    load_store_settings,
    unknown_variables,
)
from connector.status import lines_of, status_of
from connector.supervisor import PART_VARIABLE, Part, Supervisor, beat_part, store_part, web_part, worker_part
from tasks.inbox import Inbox, Letter
from tasks.store import connect, reason_of, without_secrets
from tasks.store_check import StoreCheck, Unusable

log = logs.get(__name__)

Command = TypeVar("Command", bound=Callable[..., Any])
S = TypeVar("S", bound=StoreSettings)


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
    """Read the settings of a part, and tell what is doubtful."""
    settings = _read_settings(part, get_settings)
    if PART_VARIABLE not in os.environ:  # else the supervisor has said it
        _tell_doubts(settings)
    return settings


def _tell_doubts(settings: Settings) -> None:
    for key, hint in doubtful(settings).items():
        log.warning("doubtful_setting", setting=key, hint=hint)


def _read_settings(part: str, read: Callable[[], S]) -> S:
    """Read the settings, or end with a line for each fault."""
    try:
        settings = read()
    except SettingsError as error:
        for fault in error.faults:
            click.echo(fault, err=True)
        sys.exit(1)
    logs.configure(part, settings.log_level, settings.log_format)
    if PART_VARIABLE not in os.environ:
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

    Supervisor(parts, settings.store_url, StoreCheck(settings), lambda: _may_reload("up", settings)).run(
        ready
    )
    log.info("stopped")


def _may_reload(part: str, settings: Settings) -> bool:
    """Read the settings anew, and tell whether parts may be restarted with them. If not, the log says why."""
    try:
        new = load_settings()
    except SettingsError as error:
        faults = error.faults
    else:
        faults = [f"{key}: a change needs a restart" for key in changed_for_good(settings, new)]
    for fault in faults:
        log.error("reload_refused", reason=fault, hint="what runs goes on with the settings it has")
    if faults:
        return False
    logs.configure(part, new.log_level)
    _tell_doubts(new)
    return True


@main.command()
@settings_option
def web() -> None:
    """Run the doors alone."""
    settings = _settings("web")
    try:
        wait_for_port(settings.host, settings.port)
        StoreCheck(settings)()
    except (StoreError, Unusable) as error:
        _fail(error)
    raise_file_limit()
    _serve(settings)


def _serve(settings: Settings) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
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
    )
    reloads = False

    def reload(*_: object) -> None:
        nonlocal reloads
        if not reloads and _may_reload("web", settings):
            log.info("restarting", name="web")
            reloads = server.should_exit = True

    # A supervisor restarts its parts by itself; and what is ignored stays so in the program that follows.
    signal.signal(signal.SIGHUP, signal.SIG_IGN if PART_VARIABLE in os.environ else reload)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if reloads:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-m", "connector", *sys.argv[1:]])  # noqa: S606 - ourselves
    if not server.started:
        sys.exit(3)


@main.command()
@settings_option
def worker() -> None:
    """Run one worker, which is started again if it dies or gets stuck."""
    settings = _settings("worker")
    _run_alone("worker", settings, worker_part(settings))


@main.command()
@settings_option
def beat() -> None:
    """Run the scheduler alone."""
    _run_alone("beat", _settings("beat"), beat_part())


def _run_alone(name: str, settings: Settings, part: Part) -> None:
    check = StoreCheck(settings)
    try:
        Supervisor([part], settings.store_url, check, lambda: _may_reload(name, settings)).run()
    except Unusable as error:
        _fail(error)


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
    from connector.conformance import command  # noqa: PLC0415 - no other command needs it

    settings = _read_settings("conformance", get_settings)
    first = next(iter(settings.connections), None)
    if not desk and not first:
        _fail("Name a desk with --desk, as there is no connection in the settings.")
    if first and not desk:
        desk, category = first.desk_id, category or first.category_id
    try:
        held = command.conformance(settings, desk or "", category, hands=not non_interactive, as_json=as_json)
    except OSError as error:
        _fail(why_not_listening(settings.host, settings.port, error))
    sys.exit(not held)


@main.command()
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON; times are in seconds since 1970.")
def status(*, as_json: bool) -> None:
    """Tell how each page fares: what came, what was sent, what waits, and why."""
    settings = _read_settings("status", get_settings)
    found = status_of(settings, _reachable(settings))
    click.echo(json.dumps(found.as_json(), ensure_ascii=False) if as_json else "\n".join(lines_of(found)))


@main.group()
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
        click.option("--reason", metavar="WORDS", help="Those with these words in their reason."),
    ]
    return functools.reduce(lambda inner, option: option(inner), reversed(options), cast("Command", filtered))


def _inbox() -> Inbox:
    return _reachable(_read_settings("dead", load_store_settings))


def _reachable(settings: StoreSettings) -> Inbox:
    inbox = Inbox(connect(settings.store_url, patient=False), prefix=settings.key_prefix)
    try:
        inbox.store.ping()
    except redis.RedisError as error:
        _fail(
            f"{settings.store_key}: the store does not work: {reason_of(error)}. Is “connector up” running?"
        )
    return inbox


def _named(inbox: Inbox, ids: tuple[int, ...]) -> list[Letter]:
    found = [(id_, inbox.letter(id_)) for id_ in ids]
    for id_ in (id_ for id_, letter in found if letter is None):
        _fail(f"There is no dead letter {id_}; “connector dead list” shows those there are.")
    return [letter for _, letter in found if letter]


def _meant(inbox: Inbox, ids: tuple[int, ...], filters: Filters, *, every: bool) -> list[Letter]:
    if every and ids:
        _fail("Name ids or use --all, not both.")
    if every:
        return list(filter(filters.match, inbox.letters()))
    if filters != Filters():
        _fail("Filters choose among all: add --all.")
    if not ids:
        _fail("Name the ids, or use --all.")
    return _named(inbox, ids)


@dead.command("list")
@settings_option
@filters
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def list_letters(*, filters: Filters, as_json: bool) -> None:
    """List the dead letters, the oldest first."""
    there = _inbox().letters()
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
    (letter,) = _named(_inbox(), (id_,))
    click.echo(letters.as_json(letters.whole(letter)))


@dead.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them that the filters choose, the oldest first.")
@filters
@settings_option
def retry(ids: tuple[int, ...], *, filters: Filters, every: bool) -> None:
    """Deliver dead letters again: each goes back into its thread, in its place by time."""
    inbox = _inbox()
    # Nobody has to be woken, which would need the settings of Celery: the sweep finds them in a second.
    revived = [letter for letter in _meant(inbox, ids, filters, every=every) if inbox.revive(letter)]
    click.echo(f"{len(revived)} back in their threads.")


@dead.command()
@click.argument("ids", metavar="[ID]...", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them that the filters choose; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@filters
@settings_option
def drop(ids: tuple[int, ...], *, filters: Filters, every: bool, yes: bool) -> None:
    """Throw dead letters away, for good."""
    inbox = _inbox()
    meant = _meant(inbox, ids, filters, every=every)
    if every and meant and not yes:
        click.confirm(f"Throw {len(meant)} dead letters away, for good?", abort=True, err=True)
    click.echo(f"{sum(inbox.drop(letter.id) for letter in meant)} dropped.")
