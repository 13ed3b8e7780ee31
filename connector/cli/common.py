"""What the commands share: reading the settings, and ending with a line that says what is wrong."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import redis
import structlog

from connector import logs
from connector.run.supervisor import PART_VARIABLE
from connector.settings import PATH_VARIABLE, SettingsError, StoreSettings, unknown_variables
from tasks.connections import Off
from tasks.inbox.inbox import Inbox
from tasks.store import connect, is_of_another_format, reason_of

log = structlog.get_logger(__name__)

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


def read_settings(part: str, read: Callable[[], S]) -> S:
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


def fail(reason: object) -> NoReturn:
    """End with a line that says why."""
    click.echo(str(reason), err=True)
    sys.exit(1)


def reachable_inbox(settings: StoreSettings) -> Inbox:
    """Return the inbox, or end with a line that says why it cannot be reached."""
    inbox = Inbox(connect(settings.store_url, patient=False), prefix=settings.key_prefix)
    try:
        inbox.state()
    except redis.RedisError as error:
        if is_of_another_format(error):
            fail(f"{settings.store_key}: the store cannot be used: {reason_of(error)}")
        fail(f"{settings.store_key}: the store does not work: {reason_of(error)}. Is “connector up” running?")
    return inbox


def counted(number: int, what: str) -> str:
    """Say how many there are."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def state_of(off: Off | None, *, is_active: bool) -> str:
    """Say whether a connection is active, and if not, whether its access was withdrawn."""
    return "active" if is_active else "withdrawn" if off and off.is_withdrawn else "inactive"
