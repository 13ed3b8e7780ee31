"""The command line of the demo with a helpdesk of a vendor's own."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import httpx
import msgspec

from clients.errors import ClientError
from clients.notices import say
from connector.settings import PATH_VARIABLE, SettingsError, load_settings
from sandbox.demo import FOLDER, Verdict, already_runs, conclude, heed_signals, hold_open
from sandbox.stack import PAGES, NeverHappened, free_port
from sandbox.vendor.notes import Notes
from sandbox.vendor.stack import JOURNAL, Place, VendorStack
from sandbox.vendor.story import Desk, VendorStory, tell
from sandbox.vendor.witness import Witness
from tasks.services import helpdesk_http, helpdesk_of

PAGE = "docs/build-the-helpdesks-side.md"
LOCAL = {"127.0.0.1", "localhost", "::1"}


def introduce(stack: VendorStack, *, at_hand: bool) -> None:
    """Say where the helpdesk's webhooks have to go; `at_hand` is one that finds the connector there."""
    click.echo(
        f"""
  Your helpdesk  {stack.desk_url}
  Its webhooks   have it send them to {stack.door}
                 signed with the secret that you gave as SECRET ({PAGE}, "Sign the webhooks")
"""
    )
    if not at_hand:
        host, port = httpx.URL(stack.desk_url).host, stack.port
        click.echo(
            f"  It is on another machine, where that address has to lead here. One way is, on this machine:\n"
            f"  ssh -N -R {port}:127.0.0.1:{port} {host}\n"
            f"  Another is a tunnel: name its address with ARGS='--public-url https://…'\n"
        )


def stay(stack: VendorStack) -> None:
    """Keep running, and say how to take part."""
    click.echo(
        f"""
It keeps running until Ctrl-C.

  {stack.folder / JOURNAL}   every call of the helpdesk, and every webhook
  {stack.folder}/connector.log   the connector's log
  .venv/bin/python -m sandbox write "Where is my parcel?"     writes as Anna, from a second terminal
  .venv/bin/python -m sandbox write --file LICENSE            any file of yours
  .venv/bin/python -m sandbox show                            what Anna sees
"""
    )
    hold_open(stack)


def take_secrets() -> None:
    """Hand TOKEN and SECRET to the connector by its own variables: no file and no command line has them."""
    for given, setting in (("TOKEN", "API_TOKEN"), ("SECRET", "WEBHOOK_SECRET")):
        value = os.environ.pop(given, "")
        if not value:
            raise click.ClickException(f"Set {given} in the environment: export {given}=…; see {PAGE}.")
        os.environ[f"CONNECTOR_HELPDESK__{setting}"] = value


@contextmanager
def desk_of(stack: VendorStack) -> Iterator[Desk]:
    """Give the helpdesk as the connector's settings have it. Ends the program if they are faulty."""
    os.environ[PATH_VARIABLE] = str(stack.settings_file)
    try:
        settings = load_settings()
    except SettingsError as error:
        faults = "\n".join(error.faults)
        raise click.ClickException(
            f"{faults}\n(HELPDESK is helpdesk.base_url, TOKEN api_token, SECRET webhook_secret, DESK desk_id)"
        ) from None
    with helpdesk_http(settings) as http:
        adapter = helpdesk_of(settings, http)
        assert isinstance(adapter, Witness)  # noqa: S101 - the settings above name it
        yield Desk(adapter)


@click.command()
@click.argument("base_url")
@click.option("--desk", default=PAGES[0].desk_id, show_default=True, help="The desk that tickets go to.")
@click.option("--category", help="Their category; none if not given.")
@click.option("--once", is_flag=True, help="Exit after the verdict: 0 if all held, else 1.")
@click.option(
    "--patience", default=600.0, show_default=True, help="How long an agent is waited for, in seconds."
)
@click.option("--port", default=8000, show_default=True, help="Where the connector listens on this machine.")
@click.option(
    "--public-url", default="", help="Where the helpdesk reaches the connector, if it is not there."
)
def main(  # noqa: PLR0913 - the options of the command line
    base_url: str, desk: str, category: str | None, *, once: bool, patience: float, port: int, public_url: str
) -> None:
    """Let a customer write to the helpdesk whose API is at BASE_URL, and have an agent answer there.

    The environment holds the API's token as TOKEN and the secret of webhooks as SECRET.
    """
    heed_signals()
    take_secrets()
    if already_runs():
        raise click.ClickException(f"A demo already runs in {FOLDER.resolve()}. Stop it first, with Ctrl-C.")
    if free_port(port) != port:  # the helpdesk knows this one
        raise click.ClickException(f"Port {port} is in use. Name another: ARGS='--port …'")
    shutil.rmtree(FOLDER, ignore_errors=True)
    stack = VendorStack(FOLDER, Place(base_url, desk, category, port, public_url))
    introduce(stack, at_hand=bool(public_url) or httpx.URL(base_url).host in LOCAL)
    sys.exit(play(stack, patience, once=once))


def play(stack: VendorStack, patience: float, *, once: bool) -> int:
    """Play the story and return the exit code."""
    verdict, notes = Verdict(), Notes(stack.folder / JOURNAL)
    try:
        with desk_of(stack) as desk:
            nothing = desk.tickets(external_id="ping") == []
            verdict.step("the helpdesk answers, and takes the token")
            verdict.holds("findTickets finds nothing by an external_id that there is not", truth=nothing)
            with stack:
                verdict.step(f"the connector and a sandbox Meta are up (process {os.getpid()})")
                VendorStory(stack, desk, notes, verdict, patience).play()
                code = conclude(verdict)
                if not once:
                    stay(stack)
    except KeyboardInterrupt:
        click.echo("\nStopped.")
        code = 1 if verdict.failures else 0
    except (NeverHappened, ClientError, msgspec.ValidationError) as error:
        reason = say(error.notice) if isinstance(error, ClientError) else error
        click.echo(click.style(f"\n✘ This did not happen: {reason}", fg="red"))
        tell(notes.failures())
        click.echo(f"  All calls are in {stack.folder / JOURNAL}, the connector's log beside it.")
        code = 1
    return code
