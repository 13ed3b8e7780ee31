"""Connections as admins see and change them, by the REST API and by the command line."""

import json
import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import SecretStr, ValidationError

from clients.channel import Withdrawal
from clients.channels.registry import CHANNELS
from clients.errors import ClientError
from connector import faults
from connector.cipher import Cipher, Unreadable
from connector.connection import (
    SECRETS,
    Connection,
    Granted,
    granted_by,
    off_of,
    record_name,
    rotated,
    stored_fields,
)
from connector.settings import Settings
from tasks.connections import Off, Taken, digest_of
from tasks.inbox.connections import WITHDRAWN, ConnectionRecords, Record
from tasks.inbox.queues import account_id_of
from tasks.services import network_of
from tasks.words import say

LONG = 16
"""From which length on it is shown how a secret ends."""
_NAME = re.compile("[a-z_]{1,30}")
_NO_KEY = "there is no secret_key to decrypt its secrets with"
_LOST = "cannot be kept, as it cannot be decrypted with the secret_key of the settings; give it anew"


class Refused(Exception):
    """A connection cannot be shown, or changed so; `str()` says why, and what to do."""


class NoSecretKey(Refused):
    """Secrets cannot be encrypted."""

    def __init__(self) -> None:
        super().__init__(
            "Secrets cannot be stored, as secret_key is not set. “connector secrets new-key” prints a key: "
            "write it into the settings, and reload or restart."
        )


class NoConnection(Refused):
    """The page is not connected."""

    def __init__(self, page_id: str) -> None:
        super().__init__(f"There is no connection of page {page_id}.")


class AlreadyConnected(Refused):
    """The page is connected, and was to be added."""

    def __init__(self, page_id: str) -> None:
        super().__init__(f"Page {page_id} is connected already: change that connection, or remove it first.")


class Fixed(Refused):
    """The settings list the page."""

    def __init__(self, page_id: str) -> None:
        super().__init__(f"The settings list page {page_id}: change it there, and reload.")


class ChangedMeanwhile(Refused):
    """The connection is not the one that was to be changed."""

    def __init__(self, page_id: str) -> None:
        super().__init__(
            f"The connection of page {page_id} was changed meanwhile: look at it, and try again if need be."
        )


class InvalidFields(Refused):
    """Fields of a connection are wrong: `faults` are their names, and what is wrong with each."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{field}: {words}" if field else words for field, words in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class ListedConnection:
    """A connection. The settings list one without a `version`; one that cannot be read is None.

    `fault` says why it cannot. `off` is since when it is not active, as far as that is known, and why.
    """

    page_id: str
    connection: Connection | None
    version: int | None = None
    fault: str = ""
    off: Off | None = None

    @property
    def fixed(self) -> bool:
        """Return whether the settings list it."""
        return self.version is None

    def as_json(self) -> dict[str, Any]:
        """Return it as admins may see it: of a secret only whether it is set, and how a long one ends."""
        shown: dict[str, Any] = {}
        if self.connection:
            shown = self.connection.model_dump()
            shown |= {name: _shown(getattr(self.connection, name)) for name in SECRETS}
            shown["inactive"] = (
                {"since": int(self.off.since), "withdrawn": self.off.is_withdrawn} if self.off else None
            )
        about = {"fixed": self.fixed, "version": self.version, "fault": self.fault or None}
        return {"page_id": self.page_id} | shown | about


def _shown(secret: SecretStr) -> dict[str, Any]:
    value = secret.get_secret_value()
    return {"set": bool(value), "ends_in": value[-4:] if len(value) >= LONG else None}


class ConnectionAdmin:
    """Lists and changes connections. Every method raises `redis.RedisError` if the store is away."""

    def __init__(self, settings: Settings, records: ConnectionRecords) -> None:
        self._settings, self._records, self._cipher = settings, records, settings.cipher
        active = {one.page_id: one for one in settings.connections if one.active}
        self._fixed = {one.page_id: one for one in settings.connections} | active

    def list(self, limit: int, after: str = "") -> list[ListedConnection]:
        """Return the connections of so many pages, by page id, beginning after one."""
        stored = (name for name in self._records.names() if name == record_name(account_id_of(name)))
        pages = sorted({*self._fixed, *map(account_id_of, stored)})
        start = bisect_right(pages, after)
        chosen = pages[start : start + limit]
        records = self._records.get_all([self._name(one) for one in chosen])
        found = ((one, records.get(self._name(one))) for one in chosen)
        return [self._entry(one, record) for one, record in found if record or one in self._fixed]

    def get(self, page_id: str) -> ListedConnection:
        """Return the connection of a page. Raises `NoConnection`."""
        record = self._records.get(self._name(page_id))
        if not record and page_id not in self._fixed:
            raise NoConnection(page_id)
        return self._entry(page_id, record)

    def check_new(self, page_id: str) -> None:
        """Raise `Refused` if a page cannot be added."""
        _, record = self._may_change(page_id)
        if record:
            raise AlreadyConnected(page_id)

    def put(self, page_id: str, fields: Mapping[str, Any], version: int | None) -> ListedConnection:
        """Add a connection, or replace the one of this version; a secret that is left out stays as it is.

        Raises `Refused`, and `redis.OutOfMemoryError`.
        """
        cipher, record = self._may_change(page_id)
        known = _known(record, cipher)
        secrets = {name: known[name] for name in SECRETS if name in known}
        granted = _kept_grant(record, fields)
        return self._write(page_id, secrets | dict(fields), cipher, record, version=version, granted=granted)

    def change(self, page_id: str, fields: Mapping[str, Any]) -> ListedConnection:
        """Change these fields of a connection. Raises as `put`.

        Of one of the settings, whose access was withdrawn, it can be said that it works again: `active`.
        """
        if fields == {"active": True} and page_id in self._fixed and self.get(page_id).off:
            self._note_taken(page_id, Taken(int(time.time())))
            return self.get(page_id)
        cipher, record = self._may_change(page_id)
        if not record:
            raise NoConnection(page_id)
        changed, granted = _known(record, cipher) | dict(fields), _kept_grant(record, fields)
        return self._write(page_id, changed, cipher, record, version=record.version, granted=granted)

    def put_granted(
        self, page_id: str, fields: Mapping[str, Any], version: int | None, granted: Granted
    ) -> ListedConnection:
        """Add a connection, or change these fields of the one of this version: a login gave its token.

        Raises as `put`.
        """
        cipher, record = self._may_change(page_id)
        changed = _known(record, cipher) | dict(fields)
        return self._write(page_id, changed, cipher, record, version=version, granted=granted)

    def withdraw(self, withdrawal: Withdrawal, *, forget: bool = False) -> Sequence[str]:
        """Switch the connections off whose tokens somebody granted, and now does not; return their pages.

        With `forget` it is kept no longer who that was. Nobody knows whose login gave the token of a page of
        the settings: it is switched off if it is named.
        """
        pages = [withdrawal.account_id] if self._take(withdrawal) else []
        if cipher := self._cipher:
            about = partial(self._withdraw, withdrawal=withdrawal, cipher=cipher, forget=forget)
            pages += [account_id_of(name) for name in self._records.names() if about(name)]
        return pages

    def remove(self, page_id: str, version: int) -> str:
        """Delete the connection of this version, and have the page unsubscribed.

        Return what could not be done of that. Raises `Refused`.
        """
        entry = self.get(page_id)
        if entry.fixed:
            raise Fixed(page_id)
        removed = self._records.remove(record_name(page_id), str(version))
        if not removed:
            raise ChangedMeanwhile(page_id) if removed is None else NoConnection(page_id)
        # Only now: a page that is connected, but sends nothing, would lose what people write.
        reason = entry.fault or self._unsubscribe(entry.connection)
        return reason and (
            f"The page was not unsubscribed: {reason}. Until it is, its webhooks are refused, or kept for "
            "seven days if the app of another connection signs them."
        )

    def rotate(self) -> Iterator[bool | str]:
        """Encrypt the secrets of all connections with the newest key, one connection after the other.

        Yield of each whether that was to be done, or why it cannot be. Raises `NoSecretKey`.
        """
        if not self._cipher:
            raise NoSecretKey
        for name in self._records.names():
            yield self._rotate(name, self._cipher)

    def count(self) -> int:
        """Return how many connections are stored."""
        return len(self._records.names())

    def _rotate(self, name: str, cipher: Cipher) -> bool | str:
        while record := self._records.get(name):
            try:
                body = rotated(record.body, cipher)
            except ValueError as error:
                return f"page {account_id_of(name)}: {error}"
            if body is None:
                break
            if self._records.put(name, body, str(record.version), is_same=True):
                return True
        return False

    def _withdraw(self, name: str, withdrawal: Withdrawal, cipher: Cipher, *, forget: bool) -> bool:
        while record := self._records.get(name):
            try:
                granted = granted_by(record.body)
                connection = Connection.decode(record.body, cipher)
            except ValueError:
                break
            is_theirs = granted is not None and granted.user_id == withdrawal.user_id
            if not is_theirs and account_id_of(name) != withdrawal.account_id:
                break
            # Who connected the page again meanwhile means it: an old word does not count, nor its repetition.
            if granted and withdrawal.time and granted.time > withdrawal.time:
                break
            if connection.app_secret.get_secret_value() != withdrawal.app_secret:
                break
            kept = None if is_theirs and forget else granted
            withdrawn = Off(withdrawal.time or int(time.time()), is_withdrawn=True)
            off = withdrawn if connection.active else off_of(record.body)
            body = connection.model_copy(update={"active": False}).encode(cipher, kept, off)
            if self._records.put(name, body, str(record.version)):
                return True
        return False

    def _take(self, withdrawal: Withdrawal) -> bool:
        """Note that the access was withdrawn which the token of a page of the settings gave."""
        fixed = self._fixed.get(withdrawal.account_id)
        if not fixed or not fixed.active or fixed.app_secret.get_secret_value() != withdrawal.app_secret:
            return False
        record = self._records.get(self._name(fixed.page_id))
        known = Taken.read(record.body) if record else Taken(0)
        token, since = fixed.page_access_token.get_secret_value(), withdrawal.time or int(time.time())
        if known.is_of(token) or since <= known.since:  # it came before, or is an old word
            return False
        self._note_taken(fixed.page_id, Taken(since, digest_of(token)))
        return True

    def _note_taken(self, page_id: str, taken: Taken) -> None:
        self._records.put(self._name(page_id), json.dumps(taken).encode(), is_same=True)

    def _name(self, page_id: str) -> str:
        """Return the name of what is stored of a page: of one of the settings no more than is withdrawn."""
        return (WITHDRAWN if page_id in self._fixed else "") + record_name(page_id)

    def _record(self, page_id: str) -> Record | None:
        return self._records.get(record_name(page_id))

    def _entry(self, page_id: str, record: Record | None) -> ListedConnection:
        """Return what is known of a page, which has a record or is listed in the settings."""
        if page_id in self._fixed:
            return _fixed_entry(self._fixed[page_id], record)
        assert record  # noqa: S101 - else there is nothing to show
        if self._cipher is None:
            return ListedConnection(page_id, None, record.version, _NO_KEY)
        try:
            connection = Connection.decode(record.body, self._cipher)
            off = None if connection.active else off_of(record.body)
            return ListedConnection(page_id, connection, record.version, off=off)
        except ValueError as error:
            return ListedConnection(page_id, None, record.version, str(error))

    def _may_change(self, page_id: str) -> tuple[Cipher, Record | None]:
        if page_id in self._fixed:
            raise Fixed(page_id)
        if not self._cipher:
            raise NoSecretKey
        return self._cipher, self._record(page_id)

    def _write(  # noqa: PLR0913 - what is to be stored, in place of what, and how
        self,
        page_id: str,
        fields: Mapping[str, Any],
        cipher: Cipher,
        record: Record | None,
        *,
        version: int | None,
        granted: Granted | None,
    ) -> ListedConnection:
        if version is None and record:
            raise AlreadyConnected(page_id)
        if version != (record.version if record else None):
            raise ChangedMeanwhile(page_id)
        connection = _checked(page_id, fields, is_new=record is None)
        expected = "" if version is None else str(version)
        off = _off(connection, record, cipher)
        stored = self._records.put(record_name(page_id), connection.encode(cipher, granted, off), expected)
        if stored is None:
            raise AlreadyConnected(page_id) if version is None else ChangedMeanwhile(page_id)
        return ListedConnection(page_id, connection, stored, off=off)

    def _unsubscribe(self, connection: Connection | None) -> str:
        """Have a page unsubscribed, or return why that cannot be done."""
        if not connection or not connection.page_access_token.get_secret_value():
            return "it has no page_access_token"
        data, network = connection.as_data(), network_of(self._settings)
        with network.http:
            try:
                CHANNELS[data.channel].account(network, data.credentials).unsubscribe()
            except ClientError as error:
                return say(error.notice)
        return ""


def _fixed_entry(connection: Connection, record: Record | None) -> ListedConnection:
    """Return what is known of a page of the settings, by what is noted of its token."""
    taken = Taken.read(record.body) if record else None
    if not connection.active or not taken or not taken.is_of(connection.page_access_token.get_secret_value()):
        return ListedConnection(connection.page_id, connection)
    off = Off(taken.since, is_withdrawn=True)
    return ListedConnection(connection.page_id, connection.model_copy(update={"active": False}), off=off)


def _kept_grant(record: Record | None, fields: Mapping[str, Any]) -> Granted | None:
    """Return whose login gave the token, unless there is another token now."""
    try:
        return granted_by(record.body) if record and "page_access_token" not in fields else None
    except ValueError:
        return None


def _off(connection: Connection, record: Record | None, cipher: Cipher) -> Off | None:
    """Return since when a connection is not active; only what it had before can have been withdrawn."""
    if connection.active:
        return None
    known = _known(record, cipher)
    if not record or known.get("active", True):
        return Off(int(time.time()))
    off = off_of(record.body)
    is_new = known.get("page_access_token") != connection.page_access_token.get_secret_value()
    return off._replace(is_withdrawn=False) if off and is_new else off


def _known(record: Record | None, cipher: Cipher) -> dict[str, Any]:
    """Return what is stored of a connection, without the secrets if they cannot be decrypted."""
    try:
        fields = stored_fields(record.body) if record else {}
    except ValueError:
        return {}
    try:
        return fields | {name: cipher.decrypt(fields[name]) for name in SECRETS if name in fields}
    except Unreadable:
        return {name: value for name, value in fields.items() if name not in SECRETS}


def _checked(page_id: str, fields: Mapping[str, Any], *, is_new: bool) -> Connection:
    """Make a connection of fields. Raises `InvalidFields`."""
    lost = [] if is_new else [(name, _LOST) for name in SECRETS if name not in fields]
    if lost:
        raise InvalidFields(lost)
    try:
        # By way of JSON, as strict as that can be: there a text is none that only looks like a number.
        given = json.dumps(dict.fromkeys(SECRETS, "") | {"page_id": page_id} | dict(fields))
        connection = Connection.model_validate_json(given, strict=True)
    except ValidationError as error:
        # A name that is none of a field's may be a secret that was pasted there.
        found = [(key if _NAME.fullmatch(key) else "", words) for key, words in faults.by_key(error)]
        raise InvalidFields(found) from None
    if connection.page_id != page_id:
        raise InvalidFields([("page_id", f"must be {page_id}, as in the address")])
    return connection
