"""A connection as the settings list it, and as it is added at run time: a page, its secrets, and its desk."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

import tasks.connections
from clients.channel import Credentials
from clients.channels.meta.messenger import Messenger
from connector import faults
from connector.cipher import Cipher
from connector.values import AppSecret, Filled, PageId, Section, Token
from tasks.connections import Off
from tasks.inbox.queues import account_remote

SECRETS = ("page_access_token", "app_secret", "verify_token")
"""The fields that nobody is shown, and that the store has encrypted."""
_GRANTED, _OFF = "granted", "off"
MOST_HISTORY_DAYS = 30
"""How much of its history is fetched at most, in days: Meta lists requests that are older no more."""
_NEEDED = PydanticCustomError("needed", "must not be empty while the connection is active")


def record_name(page_id: str) -> str:
    """Return what a page's connection is called in the store."""
    return account_remote(Messenger.name, page_id)


class Granted(NamedTuple):
    """Whose login gave a page's token: by their id for the app, and when (seconds since 1970)."""

    user_id: str
    time: int


def _within_window(hours: float) -> float:
    window = Messenger.reply_window / timedelta(hours=1)
    if hours >= window:
        raise ValueError(f"must be less than {window:g}, the hours for which Messenger allows a reply")
    return hours


class Connection(Section):
    """One Facebook page and the desk it leads to."""

    page_id: PageId
    page_name: str = ""
    page_access_token: Token = SecretStr("")
    app_secret: AppSecret = SecretStr("")
    verify_token: SecretStr = SecretStr("")
    desk_id: Filled
    category_id: str | None = None
    active: bool = True
    human_agent: bool = False
    take_control: bool = False
    link_large_files: bool = False
    remind_before: Annotated[float, Field(ge=0), AfterValidator(_within_window)] = 0
    history_days: Annotated[float, Field(ge=0, le=MOST_HISTORY_DAYS)] = 0
    language: Literal["en", "pl"] = "en"

    @field_validator("category_id")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        return value or None

    @model_validator(mode="after")
    def _active_has_its_secrets(self) -> Self:
        missing = [name for name in SECRETS if not getattr(self, name).get_secret_value().strip()]
        if self.active and missing:
            lacking = [InitErrorDetails(type=_NEEDED, loc=(name,), input=None) for name in missing]
            raise ValidationError.from_exception_data("Connection", lacking)
        return self

    def encode(self, cipher: Cipher, granted: Granted | None = None, off: Off | None = None) -> bytes:
        """Return the connection as the store keeps it, its secrets encrypted.

        `granted` says whose login gave the token, if one did; `off` since when it is not active.
        """
        fields = self.model_dump()
        encrypted = {name: cipher.encrypt(fields[name].get_secret_value()) for name in SECRETS}
        more = {name: value for name, value in ((_GRANTED, granted), (_OFF, off)) if value}
        return json.dumps(fields | encrypted | more, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, body: bytes, cipher: Cipher) -> Self:
        """Read a connection from the store. Raises `Unreadable`, or `ValueError` for no connection."""
        fields = stored_fields(body)
        decrypted = {name: cipher.decrypt(fields[name]) for name in SECRETS}
        try:
            return cls.model_validate(fields | decrypted)
        except ValidationError as error:  # which quotes values
            raise ValueError("; ".join(faults.of_values(error))) from None

    def as_data(self) -> tasks.connections.Connection:
        """Return the connection as the work knows it."""
        credentials = Credentials(
            self.page_id,
            self.page_access_token.get_secret_value(),
            self.app_secret.get_secret_value(),
            self.verify_token.get_secret_value(),
            human_agent=self.human_agent,
            take_control=self.take_control,
        )
        return tasks.connections.Connection(
            Messenger.name,
            credentials,
            self.page_name,
            self.desk_id,
            self.category_id,
            self.active,
            self.language,
            self.link_large_files,
            timedelta(hours=self.remind_before),
            timedelta(days=self.history_days),
        )


def rotated(body: bytes, cipher: Cipher) -> bytes | None:
    """Return a connection as the store keeps it, its secrets encrypted anew; None if that is done.

    Raises `Unreadable`, or `ValueError` for no connection.
    """
    fields = _stored(body)
    if all(cipher.is_newest(fields[name]) for name in SECRETS):
        return None
    encrypted = {name: cipher.rotate(fields[name]) for name in SECRETS}
    return json.dumps(fields | encrypted, separators=(",", ":")).encode()


def granted_by(body: bytes) -> Granted | None:
    """Return whose login gave the token of a connection, as the store keeps it; None if none did."""
    found = _stored(body).get(_GRANTED)
    return Granted(*found) if found else None


def off_of(body: bytes) -> Off | None:
    """Return since when a connection is not active, as the store keeps it; None if it is, or nobody knows."""
    found = _stored(body).get(_OFF)
    return Off(*found) if found else None


def read_stored(body: bytes, cipher: Cipher) -> tasks.connections.Connection:
    """Return a connection of the store as the work knows it. Raises as `Connection.decode`."""
    data = Connection.decode(body, cipher).as_data()
    return data if data.active else replace(data, off=off_of(body))


def stored_fields(body: bytes) -> dict[str, Any]:
    """Return what the store has of a connection, its secrets encrypted. Raises `ValueError` if it is none."""
    return {name: value for name, value in _stored(body).items() if name not in (_GRANTED, _OFF)}


def _stored(body: bytes) -> dict[str, Any]:
    fields = json.loads(body)
    if not isinstance(fields, dict):
        raise ValueError("it is no connection")  # noqa: TRY004 - as any other that cannot be read
    return fields | {name: str(fields.get(name, "")) for name in SECRETS}
