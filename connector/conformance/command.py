"""`connector conformance`: the checks against the helpdesk of the settings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from clients.adapters import make_adapter
from clients.helpdesk import Helpdesk
from clients.http import HttpClient
from connector.conformance import report
from connector.conformance.bench import Bench
from connector.conformance.checks import CHECKS
from connector.conformance.exchanges import recorded
from connector.conformance.hands import Hands
from connector.conformance.person import PATIENCE, Files, Person
from connector.conformance.receiver import Receiver
from connector.conformance.suite import run
from connector.settings import Settings
from tasks.services import helpdesk_http


def conformance(settings: Settings, desk: str, category: str | None, *, hands: bool, as_json: bool) -> bool:
    """Run the checks, print what came of them, and tell whether none failed. Raises `OSError`."""
    results = []
    with (
        helpdesk_http(settings) as http,
        _bench(settings, http, desk, category, hands=hands) as bench,
        _until_stopped(),
    ):
        for result in run(bench, CHECKS):
            results.append(result)
            if not as_json:
                click.echo(report.line(result))
    cannot = report.cannot_of(results, dict(bench.helpdesk.cannot))
    told = report.as_json(results, cannot, bench.made)
    click.echo(
        json.dumps(told, indent=2, ensure_ascii=False)
        if as_json
        else report.summary(results, cannot, bench.made)
    )
    return bool(told["passed"]) and len(results) == len(CHECKS)


@contextmanager
def _until_stopped() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nStopped; the checks that are not named were not made.", err=True)


@contextmanager
def _bench(
    settings: Settings, http: HttpClient, desk: str, category: str | None, *, hands: bool
) -> Iterator[Bench]:
    helpdesk, stranger = _adapter(settings, http), _adapter(settings, http, api_token="wrong-token")  # noqa: S106 - it is meant to be none
    bench = Bench(helpdesk, desk, category, Hands(), stranger=stranger, exchanges=recorded(http))
    if not hands:
        yield bench
        return
    with Receiver(settings.host, settings.port) as receiver, Files() as files:
        click.echo(
            f"The helpdesk's webhooks are taken at {receiver.url}, where the connector takes them as well: "
            "stop it meanwhile. You will be asked to do a few things as an agent.",
            err=True,
        )
        person = Person(files, bench.address)
        yield replace(bench, hands=person, receiver=receiver, within=PATIENCE)


def _adapter(settings: Settings, http: HttpClient, **changes: str) -> Helpdesk:
    helpdesk = settings.helpdesk
    known = {
        "base_url": helpdesk.base_url,
        "api_token": helpdesk.api_token.get_secret_value(),
        "webhook_secret": helpdesk.webhook_secret.get_secret_value(),
    }
    return make_adapter(helpdesk.adapter, http, **{**known, **changes}, **helpdesk.options)
