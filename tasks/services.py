"""What a task needs to do its work: the settings, the inbox, and a client for each remote."""

import functools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from celery import signals

from clients.channel import Account, Channel, Network
from clients.channels.registry import make_channels
from clients.errors import LeaseLost, RejectedError, RetryableError
from clients.helpdesk import Helpdesk
from clients.helpdesks.registry import make_adapter
from clients.http import HttpClient
from clients.media import MediaFetcher
from clients.notices import ENGLISH
from clients.single_flight import TransferLimits
from connector.settings import Settings, get_settings
from tasks.celery import touch_heartbeat
from tasks.clocks import Clocks
from tasks.connections import Connection, Directory
from tasks.inbox.inbox import Inbox
from tasks.inbox.renewer import Renewer
from tasks.installation import Installation
from tasks.remotes import Remotes
from tasks.store import connect
from tasks.store_check import Address, StoreCheck, Unusable

LONGEST_TURN = 2.0
"""How long a worker waits at most until it may ask an account for its past, in seconds."""


@dataclass(frozen=True, slots=True)
class Services:
    """The clients of one worker process, for use by many threads; `network` leads to the channels."""

    settings: Settings
    inbox: Inbox
    helpdesk: Helpdesk
    channels: Mapping[str, Channel]
    connections: Directory
    network: Network
    clocks: Clocks
    installation: Installation
    remotes: Remotes
    renewer: Renewer

    def channel(self, name: str) -> Channel:
        """Return a channel. Raises `RejectedError` if there is none of this name."""
        if channel := self.channels.get(name):
            return channel
        raise RejectedError("unknown_channel", channel=name)

    def active_connection(self, channel: str, account_id: str) -> Connection | None:
        """Return the connection of an account, if there is one and it is active."""
        return self.connections.of(channel).active.get(account_id)

    def connection(self, channel: str, account_id: str) -> Connection:
        """Return the connection of an account, which may not be active any more.

        Raises `RejectedError` if there is none.
        """
        if connection := self.connections.of(channel).known.get(account_id):
            return connection
        raise RejectedError("not_connected", page_id=account_id)

    def language(self, account: str) -> str:
        """Return the language of the agents of an account (`<channel>:<id>`).

        Of one that is not known, it is that of the first connection.
        """
        every = sorted(self.connections.all, key=lambda one: not one.active)
        known = (one.language for one in every if f"{one.channel}:{one.account_id}" == account)
        return next(known, every[0].language if every else ENGLISH)

    def account(self, connection: Connection) -> Account:
        """Return a connection's account."""
        return self.channel(connection.channel).account(self.network, connection.credentials)

    def is_up(self, remote: str) -> bool:
        """Return whether a remote answers when it is asked for something small. Raises `LeaseLost`."""
        channel, _, account_id = remote.partition(":")
        try:
            if account_id:
                self.account(self.connection(channel, account_id)).ping()
            else:
                self.helpdesk.ping()
        except LeaseLost:
            raise
        except RetryableError:
            return False
        except RejectedError:
            pass
        return True


def helpdesk_http(settings: Settings, transfer_limits: TransferLimits | None = None) -> HttpClient:
    """Return the HTTP client for the helpdesk. Close it, unless it is for the life of the process."""
    helpdesk = settings.helpdesk
    return HttpClient(
        transfer_limits=transfer_limits,
        file_hosts=helpdesk.file_hosts,
        ca_file=helpdesk.ca_file,
        proxy=helpdesk.http_proxy,
    )


def network_of(settings: Settings, transfer_limits: TransferLimits | None = None) -> Network:
    """Return how channels are reached. Close its HTTP client, unless it is for the life of the process."""
    http = HttpClient(transfer_limits=transfer_limits, proxy=settings.graph.http_proxy, public_by_proxy=True)
    return Network(
        http,
        f"{settings.graph.base_url}/{settings.graph.version}",
        MediaFetcher(http, settings.graph.media_hosts, settings.attachments.max_bytes),
    )


def helpdesk_of(settings: Settings, http: HttpClient) -> Helpdesk:
    """Return the adapter that the settings name."""
    helpdesk = settings.helpdesk
    return make_adapter(
        helpdesk.adapter,
        http,
        base_url=helpdesk.base_url,
        api_token=helpdesk.api_token.get_secret_value(),
        webhook_secret=helpdesk.webhook_secret.get_secret_value(),
        **helpdesk.options,
    )


def inbox_of(settings: Settings, *, patient: bool = True) -> Inbox:
    """Return the inbox; a patient one waits while the store restarts."""
    store = connect(settings.store_url, patient=patient)
    return Inbox(store, settings.worker.lease, settings.key_prefix)


def installation_in(inbox: Inbox, settings: Settings) -> Installation:
    """Return the mark of the installation; an embedded store is nobody else's: its folder is locked."""
    name = f"{settings.public_url} with the helpdesk {settings.helpdesk.base_url}"
    return Installation(inbox, name, is_sure=not settings.redis_url)


def directory_of(settings: Settings, inbox: Inbox) -> Directory:
    """Return the connections: those that the settings list, and those in the store."""
    return Directory(settings.fixed_connections, inbox.connections, settings.read_connection)


def store_check_of(settings: Settings) -> StoreCheck:
    """Return what tries the store and the broker that the settings name."""
    return StoreCheck(
        Address(settings.store_key, settings.store_url),
        Address(settings.broker_key, settings.celery_broker_url),
        settings.key_prefix,
        lambda inbox: installation_in(inbox, settings),
    )


@signals.celeryd_init.connect
@signals.beat_init.connect
def check_at_start(**_: Any) -> None:
    """End a process of Celery's that could do nothing with its store."""
    try:
        store_check_of(get_settings())()
    except Unusable as error:
        sys.exit(str(error))


def turns_in(inbox: Inbox) -> Callable[[str, float], bool]:
    """Return what waits for an account's turn to be asked for its past (`Network.take_turn`)."""

    def take_turn(account: str, spacing: float) -> bool:
        wait = inbox.take_turn(account, spacing, LONGEST_TURN)
        if wait is not None:
            time.sleep(wait)  # the channel takes no call of this account sooner
        return wait is not None

    return take_turn


def build(settings: Settings, helpdesk: Helpdesk | None = None, *, patient: bool = True) -> Services:
    """Build the services from settings, perhaps with a helpdesk that the caller closes.

    Patient ones wait while the store restarts.
    """
    transfer_limits = TransferLimits(settings.worker.concurrency)
    inbox = inbox_of(settings, patient=patient)
    return Services(
        settings=settings,
        inbox=inbox,
        helpdesk=helpdesk or helpdesk_of(settings, helpdesk_http(settings, transfer_limits)),
        channels=make_channels(settings.graph.app_id),
        connections=directory_of(settings, inbox),
        network=replace(network_of(settings, transfer_limits), take_turn=turns_in(inbox)),
        clocks=Clocks(inbox, "worker"),
        installation=installation_in(inbox, settings),
        remotes=Remotes(inbox),
        renewer=Renewer(settings.worker.lease / 3, touch_heartbeat),
    )


@functools.cache
def services() -> Services:
    """Return this process's services. The first task builds them: nothing is shared over a fork."""
    return build(get_settings())
