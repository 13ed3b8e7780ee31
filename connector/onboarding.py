"""Connecting the accounts that somebody showed us by a login: each is checked, stored and subscribed."""

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog

from clients.channel import Credentials, Login, Offer, OfferedAccount
from clients.findings import Finding
from clients.notices import Notice, notice
from connector.admin import ChangedMeanwhile, ConnectionAdmin, ListedConnection, NoConnection, Refused
from connector.connection import Granted
from connector.links import Link
from connector.settings import Settings
from tasks import checks
from tasks.connections import Connection, Directory
from tasks.services import Services

log = structlog.get_logger(__name__)

THREADS = 4
"""How many accounts are connected at the same time: each takes about ten calls, one after the other."""


@dataclass(frozen=True, slots=True)
class AccountChoice:
    """An account that somebody may choose, what is known of it, and whether they may not choose it."""

    account: OfferedAccount
    state: Notice
    is_open: bool
    entry: ListedConnection | None = None


@dataclass(frozen=True, slots=True)
class AccountOutcome:
    """What came of an account that was chosen: `said`, and what is still wrong with its connection."""

    account: OfferedAccount
    said: Notice
    is_connected: bool
    findings: Sequence[Finding] = ()


class Onboarding:
    """Connects the accounts of a login to a desk. Its methods raise `redis.RedisError`."""

    def __init__(
        self,
        settings: Settings,
        admin: ConnectionAdmin,
        login: Login,
        directory: Directory,
        services: Callable[[], Services],
    ) -> None:
        self._settings, self._admin, self._login = settings, admin, login
        self._directory, self._services = directory, services

    def choices(self, offer: Offer, link: Link) -> list[AccountChoice]:
        """Return what may be chosen, by name."""
        found = [self._choice(one, link) for one in offer.accounts]
        return sorted(found, key=lambda one: (not one.is_open, one.account.name.casefold()))

    def connect(
        self, offer: Offer, link: Link, account_ids: set[str], *, history_days: int = 0
    ) -> list[AccountOutcome]:
        """Connect accounts, and return what came of each. Of new ones so many days of history are fetched."""
        chosen = [one for one in offer.accounts if one.account_id in account_ids]
        granted = Granted(offer.user_id, offer.time)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="connect") as threads:
            connect = partial(self._connect, link=link, granted=granted, history_days=history_days)
            return list(threads.map(connect, chosen))

    def _choice(self, account: OfferedAccount, link: Link) -> AccountChoice:
        if account.refusal:
            return AccountChoice(account, account.refusal, is_open=False)
        entry = self._known(account.account_id)
        if entry is None:
            shared = notice("page_is_shared", apps=", ".join(account.others))
            return AccountChoice(account, shared if account.others else notice("page_is_new"), is_open=True)
        if entry.fixed:
            return AccountChoice(account, notice("page_is_fixed"), is_open=False)
        if entry.connection is None:
            return AccountChoice(account, notice("page_is_unreadable"), is_open=False)
        if entry.connection.desk_id != link.desk_id:
            return AccountChoice(account, notice("page_is_elsewhere"), is_open=False)
        return AccountChoice(account, notice("page_is_here"), is_open=True, entry=entry)

    def _known(self, account_id: str) -> ListedConnection | None:
        try:
            return self._admin.get(account_id)
        except NoConnection:
            return None

    def _connect(
        self, account: OfferedAccount, link: Link, granted: Granted, history_days: int
    ) -> AccountOutcome:
        choice = self._choice(account, link)
        if not choice.is_open:
            return AccountOutcome(account, choice.state, is_connected=False)
        if faults := list(self._check_grant(account)):
            log.warning("page_not_connected", page=account.account_id, finding=str(faults[0].what))
            said = notice("page_not_connected", reason=[one.what for one in faults])
            return AccountOutcome(account, said, is_connected=False)
        try:
            is_new = self._store(account, link, granted, choice.entry, history_days)
        except ChangedMeanwhile:
            return AccountOutcome(account, notice("page_changed_meanwhile"), is_connected=False)
        except Refused as error:
            log.warning("page_not_connected", page=account.account_id, reason=str(error))
            return AccountOutcome(account, notice("page_cannot_be_stored"), is_connected=False)
        log.info("page_connected", page=account.account_id, desk=link.desk_id, is_new=is_new)
        said = notice("page_connected" if is_new else "page_renewed")
        return AccountOutcome(account, said, is_connected=True, findings=self._subscribe(account.account_id))

    def _check_grant(self, account: OfferedAccount) -> Sequence[Finding]:
        service, secret = self._services(), self._app_secret
        credentials = Credentials(account.account_id, account.access_token, secret)
        return list(service.channel(self._login.channel).account(service.network, credentials).check_grant())

    @property
    def _app_secret(self) -> str:
        return self._settings.graph.app_secret.get_secret_value()

    def _store(
        self,
        account: OfferedAccount,
        link: Link,
        granted: Granted,
        entry: ListedConnection | None,
        history_days: int,
    ) -> bool:
        """Store a connection, and return whether it is new. `entry` is what was known of it.

        Raises `ChangedMeanwhile` if it was changed since, and `Refused`.
        """
        fields = {
            "page_name": account.name,
            "page_access_token": account.access_token,
            "app_secret": self._app_secret,
            "active": True,
        }
        if entry is None:
            fields |= {"desk_id": link.desk_id, "verify_token": secrets.token_urlsafe(24)}
            fields |= {"history_days": history_days}
            fields |= {"language": link.language} if link.language else {}
        version = entry.version if entry else None
        self._admin.put_granted(account.account_id, fields, version, granted)
        return entry is None

    def _subscribe(self, account_id: str) -> Sequence[Finding]:
        """Subscribe an account and its app as far as need be; return what is wrong then."""
        self._directory.refresh()  # the channel asks at once whether its webhooks are wanted
        service = self._services()
        service.connections.refresh()
        connection = service.connection(self._login.channel, account_id)
        wrong = _set_up(service, connection)
        if wrong:
            time.sleep(checks.OTHERS_KNOW_AFTER)  # the channel asked a process that did not know it yet
            wrong = _set_up(service, connection)
        wrong = [*wrong, *(one for one in checks.check_desk(service.helpdesk, connection) if one.is_wrong)]
        checks.note(service, connection, wrong)
        return wrong


def _set_up(service: Services, connection: Connection) -> Sequence[Finding]:
    """Check a connection, and put right what is put right when it is made; return what is still wrong."""
    found = list(checks.check_account(service, connection))
    ours = [one for one in found if one.meaning.is_set_up]
    failed = checks.repair(service, connection, ours)
    return [one for one in found if one.is_wrong and one not in ours] + failed
