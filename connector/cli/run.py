"""`connector up`, and its parts one by one."""

import contextlib
import os
import signal
import sys
from contextlib import closing
from importlib.metadata import version

import click
import structlog
import uvicorn

from clients.channels.meta.messenger import Messenger
from clients.findings import Level
from clients.helpdesk import WEBHOOK_PATH
from connector import logs
from connector.cli.common import fail, read_settings, settings_option
from connector.run.parts import Part, beat_part, store_part, web_part, worker_part
from connector.run.supervisor import PART_VARIABLE, Child, Supervisor
from connector.run.valkey import StoreError, lock_data, wait_for_port
from connector.settings import (
    Settings,
    SettingsError,
    changed_for_good,
    doubtful,
    get_settings,
    load_settings,
)
from connector.web.guard import GuardedProtocol, listen, raise_file_limit
from tasks.checks import check_durability
from tasks.services import store_check_of
from tasks.store import connect, without_secrets
from tasks.store_check import Unusable
from tasks.words import say

log = structlog.get_logger(__name__)


def _settings(part: str) -> Settings:
    """Read the settings of a part, and log what is doubtful."""
    settings = read_settings(part, get_settings)
    if PART_VARIABLE not in os.environ:  # else the supervisor has said it
        _log_doubtful(settings)
    return settings


def _log_doubtful(settings: Settings) -> None:
    for key, hint in doubtful(settings).items():
        log.warning("doubtful_setting", setting=key, hint=hint)


@click.command()
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
        fail(error)


def _supervise(settings: Settings, parts: list[Part]) -> None:
    def ready() -> None:
        log.info(
            "up",
            version=version("messenger-connector"),
            url=f"http://{settings.host}:{settings.port}",
            pages=sum(c.active for c in settings.connections),
            helpdesk=settings.helpdesk.base_url,
            store=without_secrets(settings.store_url),
            callback_for_meta=settings.public_url + Messenger.path,
            callback_for_helpdesk=settings.public_url + WEBHOOK_PATH,
        )
        with closing(connect(settings.store_url, patient=False)) as store:
            for one in check_durability(store):
                if one.level != Level.OK:
                    event = "store_unsafe" if one.is_wrong else "store_not_checked"
                    log.warning(event, reason=str(one.what), hint=say(one.remedy or one.what))

    children = [Child(part) for part in parts]
    check = store_check_of(settings)
    Supervisor(children, settings.store_url, check, lambda: _may_reload("up", settings)).run(ready)
    log.info("stopped")


def _may_reload(part: str, settings: Settings) -> bool:
    """Read the settings anew. Return whether parts may be restarted with them; if not, the log says why."""
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
    _log_doubtful(new)
    return True


@click.command()
@settings_option
def web() -> None:
    """Run the webhook endpoints alone."""
    settings = _settings("web")
    try:
        wait_for_port(settings.host, settings.port)
        store_check_of(settings)()
    except (StoreError, Unusable) as error:
        fail(error)
    raise_file_limit()
    _serve(settings)


def _serve(settings: Settings) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            "connector.app:app",
            host=settings.host,
            port=settings.port,
            log_config=None,
            log_level="error",  # warnings quote what anybody sent, as often as they like
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
        server.run(listen(server.config))
    if reloads:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-m", "connector", *sys.argv[1:]])  # noqa: S606 - ourselves
    if not server.started:
        sys.exit(3)


@click.command()
@settings_option
def worker() -> None:
    """Run one worker, which is started again if it dies or gets stuck."""
    settings = _settings("worker")
    _run_alone("worker", settings, worker_part(settings))


@click.command()
@settings_option
def beat() -> None:
    """Run the scheduler alone."""
    _run_alone("beat", _settings("beat"), beat_part())


def _run_alone(name: str, settings: Settings, part: Part) -> None:
    check = store_check_of(settings)
    try:
        Supervisor([Child(part)], settings.store_url, check, lambda: _may_reload(name, settings)).run()
    except Unusable as error:
        fail(error)
