"""`connector conformance`: the checks against the helpdesk of the settings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from clients.helpdesk import Helpdesk
from clients.helpdesks.registry import make_adapter
from clients.http import HttpClient
from conformance import report
from conformance.agent import HelpdeskAgent
from conformance.checks import CHECKS
from conformance.context import Context
from conformance.exchanges import recorded
from conformance.receiver import Receiver
from conformance.runner import missing, run
from conformance.terminal_agent import REPLY_WITHIN, Files, TerminalAgent
from connector.cli.common import fail
from connector.settings import Settings
from tasks.services import helpdesk_http


def conformance(settings: Settings, desk: str, category: str | None, *, agent: bool, as_json: bool) -> bool:
    """Run the checks, print what came of them, and return whether none failed. Raises `OSError`.

    Ends with a line where there is no such desk or category.
    """
    results = []
    with (
        helpdesk_http(settings) as http,
        _context(settings, http, desk, category, agent=agent) as context,
        _until_stopped(),
    ):
        for result in run(context, CHECKS):
            results.append(result)
            if not as_json:
                click.echo(report.line(result))
    cannot = report.cannot_of(results, dict(context.helpdesk.cannot))
    found = report.as_json(results, cannot, context.made)
    click.echo(
        json.dumps(found, indent=2, ensure_ascii=False)
        if as_json
        else report.summary(results, cannot, context.made)
    )
    return bool(found["passed"]) and len(results) == len(CHECKS)


@contextmanager
def _until_stopped() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped; checks that are not listed were not run.", err=True)


@contextmanager
def _context(
    settings: Settings, http: HttpClient, desk: str, category: str | None, *, agent: bool
) -> Iterator[Context]:
    helpdesk, wrong_token = _adapter(settings, http), _adapter(settings, http, api_token="wrong-token")  # noqa: S106 - it is meant to be none
    context = Context(
        helpdesk, desk, category, HelpdeskAgent(), wrong_token=wrong_token, exchanges=recorded(http)
    )
    if why := missing(context):
        fail(
            f"{why}, so no ticket can be made there. Create it, or name one that is there: --desk and "
            "--category here, desk_id and category_id of the connection in the settings."
        )
    if not agent:
        yield context
        return
    with Receiver(settings.host, settings.port) as receiver, Files() as files:
        click.echo(
            f"The helpdesk's webhooks are received at {receiver.url}, as by the connector: "
            "stop that meanwhile. You will be asked to do a few things as an agent.",
            err=True,
        )
        person = TerminalAgent(files, context.address)
        yield replace(context, agent=person, receiver=receiver, within=REPLY_WITHIN)


def _adapter(settings: Settings, http: HttpClient, **changes: str) -> Helpdesk:
    helpdesk = settings.helpdesk
    known = {
        "base_url": helpdesk.base_url,
        "api_token": helpdesk.api_token.get_secret_value(),
        "webhook_secret": helpdesk.webhook_secret.get_secret_value(),
    }
    return make_adapter(helpdesk.adapter, http, **{**known, **changes}, **helpdesk.options)
