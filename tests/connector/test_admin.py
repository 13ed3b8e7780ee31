"""Connections as admins list, add, change and remove them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from clients.channel import Withdrawal
from connector.admin import (
    AlreadyConnected,
    ChangedMeanwhile,
    ConnectionAdmin,
    Fixed,
    InvalidFields,
    ListedConnection,
    NoConnection,
    NoSecretKey,
)
from connector.cipher import Cipher, new_key
from connector.connection import SECRETS, Connection, Granted, read_stored
from tasks.connections import Off
from tasks.inbox.connections import ConnectionRecords
from tasks.inbox.inbox import Inbox
from tasks.store import connect
from tests.conftest import PAGE_A, PAGE_B, PAGE_OFF, SECRET_A, MakeSettings, connection

KEY, NEW = new_key(), "204496721830099"
NAME = f"facebook_messenger:{NEW}"
TOKEN = "EAAG0123456789abcdef"
FIELDS = {
    "page_access_token": TOKEN,
    "app_secret": SECRET_A,
    "verify_token": "verify-1",
    "desk_id": "7",
}

Admins = Callable[..., ConnectionAdmin]


@pytest.fixture
def records(store_url: str) -> Iterator[ConnectionRecords]:
    with closing(connect(store_url)) as store:
        yield Inbox(store).connections


@pytest.fixture
def admins(make_settings: MakeSettings, records: ConnectionRecords, store_url: str) -> Admins:
    """Give a function that makes an admin of the settings that it is given."""

    def make(**changes: Any) -> ConnectionAdmin:
        settings = {"redis_url": store_url, "secret_key": KEY, "graph": {"base_url": "http://127.0.0.1:9"}}
        return ConnectionAdmin(make_settings(**settings | changes), records)

    return make


@pytest.fixture
def admin(admins: Admins) -> ConnectionAdmin:
    return admins()


def _in_store(records: ConnectionRecords, key: str = KEY) -> Connection:
    record = records.get(NAME)
    assert record
    return Connection.decode(record.body, Cipher([key]))


def test_a_page_that_is_added_is_shown_without_its_secrets(admin: ConnectionAdmin) -> None:
    added = admin.put(NEW, FIELDS, None)

    assert admin.get(NEW) == added
    assert added.as_json() == {
        "page_id": NEW,
        "page_name": "",
        "page_access_token": {"set": True, "ends_in": "cdef"},
        "app_secret": {"set": True, "ends_in": "5a5a"},
        "verify_token": {"set": True, "ends_in": None},
        "desk_id": "7",
        "category_id": None,
        "active": True,
        "human_agent": False,
        "take_control": False,
        "link_large_files": False,
        "remind_before": 0,
        "history_days": 0,
        "language": "en",
        "inactive": None,
        "fixed": False,
        "version": 1,
        "fault": None,
    }


def test_since_when_a_page_is_off_is_known_until_it_is_on_again(
    admin: ConnectionAdmin, records: ConnectionRecords
) -> None:
    before = int(time.time())
    admin.put(NEW, FIELDS, None)
    assert _off(records) is None

    admin.change(NEW, {"active": False})
    since = _off(records)
    assert since
    assert (since.since >= before, since.is_withdrawn) == (True, False)
    admin.change(NEW, {"page_name": "New name"})
    assert _off(records) == since
    admin.change(NEW, {"active": True})
    assert _off(records) is None


def _off(records: ConnectionRecords) -> Off | None:
    record = records.get(NAME)
    assert record
    return read_stored(record.body, Cipher([KEY])).off


def test_access_that_was_withdrawn_is_known_until_there_is_a_new_token(
    admin: ConnectionAdmin, records: ConnectionRecords
) -> None:
    admin.put_granted(NEW, FIELDS, None, Granted("1", 5))
    for time_ in (7, 9):  # the second changes nothing
        assert admin.withdraw(Withdrawal(SECRET_A, user_id="1", time=time_)) == [NEW]
    assert _off(records) == Off(7, is_withdrawn=True)

    admin.change(NEW, {"page_name": "New name"})
    assert _off(records) == Off(7, is_withdrawn=True)
    admin.change(NEW, {"page_access_token": "EAAGanother-token-of-the-page"})
    assert _off(records) == Off(7)


def _withdrawn(time_: int, page_id: str = PAGE_A, secret: str = SECRET_A) -> Withdrawal:
    return Withdrawal(secret, account_id=page_id, time=time_)


def test_a_page_of_the_settings_is_off_once_its_access_was_withdrawn_until_it_has_another_token(
    admins: Admins, records: ConnectionRecords
) -> None:
    admin = admins(secret_key="", connections=[connection(PAGE_A, SECRET_A)])
    assert admin.withdraw(_withdrawn(7)) == [PAGE_A]
    assert admin.withdraw(_withdrawn(9)) == []  # it is off already
    (entry,) = admin.list(10)
    assert entry == admin.get(PAGE_A)
    assert (entry.fixed, entry.as_json()["active"], entry.off) == (True, False, Off(7, is_withdrawn=True))
    assert entry.as_json()["inactive"] == {"since": 7, "withdrawn": True}
    assert records.names() == []

    later = connection(PAGE_A, SECRET_A) | {"page_access_token": "EAAGanother-token-of-the-page"}
    assert admins(connections=[later]).get(PAGE_A).off is None


def test_a_page_of_the_settings_whose_access_works_again_can_be_said_to(admins: Admins) -> None:
    admin = admins(connections=[connection(PAGE_A, SECRET_A)])
    with pytest.raises(Fixed):
        admin.change(PAGE_A, {"active": True})
    now = int(time.time())
    admin.withdraw(_withdrawn(now - 5))
    with pytest.raises(Fixed):
        admin.change(PAGE_A, {"active": True, "desk_id": "8"})

    assert admin.change(PAGE_A, {"active": True}).as_json()["active"]
    assert admin.withdraw(_withdrawn(now - 5)) == []  # the old word comes again
    assert admin.withdraw(_withdrawn(now + 5)) == [PAGE_A]


@pytest.mark.parametrize(
    "withdrawal", [_withdrawn(7, PAGE_B), _withdrawn(7, secret="0" * 32), Withdrawal(SECRET_A, user_id="1")]
)
def test_a_page_of_the_settings_stays_on_whatever_else_is_withdrawn(
    admins: Admins, withdrawal: Withdrawal
) -> None:
    admin = admins(connections=[connection(PAGE_A, SECRET_A)])
    assert admin.withdraw(withdrawal) == []

    assert admin.get(PAGE_A).as_json()["active"]


def test_a_page_that_was_off_before_is_not_said_to_have_lost_its_access(
    admin: ConnectionAdmin, records: ConnectionRecords
) -> None:
    admin.put_granted(NEW, FIELDS | {"active": False}, None, Granted("1", 5))
    admin.withdraw(Withdrawal(SECRET_A, user_id="1", time=7))

    off = _off(records)
    assert off
    assert not off.is_withdrawn


def test_a_secret_that_is_not_set_is_said_to_be_none(admin: ConnectionAdmin) -> None:
    added = admin.put(NEW, {"desk_id": "7", "active": False}, None)

    assert added.as_json()["app_secret"] == {"set": False, "ends_in": None}


def test_nothing_that_is_shown_or_represented_has_a_secret(admin: ConnectionAdmin) -> None:
    added = admin.put(NEW, FIELDS, None)
    shown = json.dumps(added.as_json()) + repr(added)

    assert not [secret for secret in (TOKEN, SECRET_A, "verify-1") if secret in shown]


def test_a_secret_that_is_left_out_of_a_replacement_stays_and_all_else_is_new(
    admin: ConnectionAdmin, records: ConnectionRecords
) -> None:
    first = admin.put(NEW, FIELDS | {"page_name": "Old", "category_id": "12"}, None)
    admin.put(NEW, {"desk_id": "8", "verify_token": "verify-2"}, first.version)
    stored = _in_store(records)

    assert [getattr(stored, name).get_secret_value() for name in SECRETS] == [TOKEN, SECRET_A, "verify-2"]
    assert (stored.desk_id, stored.page_name, stored.category_id) == ("8", "", None)


def test_a_change_leaves_all_other_fields_as_they_are(
    admin: ConnectionAdmin, records: ConnectionRecords
) -> None:
    admin.put(NEW, FIELDS | {"page_name": "Sugester", "category_id": "12"}, None)
    admin.change(NEW, {"active": False})
    admin.change(NEW, {"page_access_token": "EAAnew"})
    stored = _in_store(records)

    assert (stored.page_name, stored.category_id, stored.active) == ("Sugester", "12", False)
    assert stored.page_access_token.get_secret_value() == "EAAnew"
    assert stored.app_secret.get_secret_value() == SECRET_A


def test_an_empty_secret_is_taken_away(admin: ConnectionAdmin) -> None:
    admin.put(NEW, FIELDS, None)
    changed = admin.change(NEW, {"active": False, "page_access_token": ""})

    assert changed.as_json()["page_access_token"] == {"set": False, "ends_in": None}


def test_without_a_key_nothing_is_added_or_changed(admin: ConnectionAdmin, admins: Admins) -> None:
    admin.put(NEW, FIELDS, None)
    keyless = admins(secret_key="")

    with pytest.raises(NoSecretKey, match="connector secrets new-key"):
        keyless.put("1", FIELDS, None)
    with pytest.raises(NoSecretKey):
        keyless.change(NEW, {"active": False})


def test_a_page_that_the_settings_list_is_shown_and_not_changed(admin: ConnectionAdmin) -> None:
    shown = admin.get(PAGE_A)

    assert (shown.fixed, shown.version, shown.as_json()["desk_id"]) == (True, None, "7")
    with pytest.raises(Fixed, match="change it there"):
        admin.put(PAGE_A, FIELDS, None)
    with pytest.raises(Fixed):
        admin.change(PAGE_A, {"active": False})
    with pytest.raises(Fixed):
        admin.remove(PAGE_A, 1)


def test_of_a_page_that_the_settings_list_twice_the_active_connection_is_shown(admins: Admins) -> None:
    twice = [connection(PAGE_A, SECRET_A), connection(PAGE_A, SECRET_A, active=False, desk_id="9")]

    assert admins(connections=twice).get(PAGE_A).as_json()["desk_id"] == "7"


def test_a_page_that_is_not_connected_is_not_found(admin: ConnectionAdmin) -> None:
    with pytest.raises(NoConnection):
        admin.get(NEW)
    with pytest.raises(NoConnection):
        admin.change(NEW, {})
    with pytest.raises(NoConnection):
        admin.remove(NEW, 1)


def test_a_page_is_added_once(admin: ConnectionAdmin) -> None:
    admin.put(NEW, FIELDS, None)
    with pytest.raises(AlreadyConnected):
        admin.put(NEW, FIELDS, None)


def test_what_somebody_else_changed_is_neither_replaced_nor_removed(admin: ConnectionAdmin) -> None:
    first = admin.put(NEW, FIELDS, None)
    admin.change(NEW, {"desk_id": "8"})
    assert first.version
    with pytest.raises(ChangedMeanwhile):
        admin.put(NEW, FIELDS, first.version)
    with pytest.raises(ChangedMeanwhile):
        admin.remove(NEW, first.version)

    assert admin.get(NEW).as_json()["desk_id"] == "8"


def test_a_change_between_reading_and_writing_is_noticed(
    admin: ConnectionAdmin, records: ConnectionRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.put(NEW, FIELDS, None)
    encode = Connection.encode

    def change_meanwhile(*arguments: Any) -> bytes:
        records.put(NAME, b"{}")
        return encode(*arguments)

    monkeypatch.setattr(Connection, "encode", change_meanwhile)
    with pytest.raises(ChangedMeanwhile):
        admin.change(NEW, {"active": False})


def test_each_field_that_is_wrong_has_a_line_without_its_value(admin: ConnectionAdmin) -> None:
    wrong = FIELDS | {"app_secret": "hush", "desk_id": " ", "active": "yes", "languag": "pl", "page_id": "1"}
    with pytest.raises(InvalidFields) as refused:
        admin.put(NEW, wrong, None)

    assert sorted(field for field, _ in refused.value.faults) == [
        "active",
        "app_secret",
        "desk_id",
        "languag",
    ]
    assert "hush" not in str(refused.value)
    assert all(line.partition(": ")[2] for line in str(refused.value).splitlines())


def test_each_secret_that_an_active_connection_lacks_has_a_line(admin: ConnectionAdmin) -> None:
    with pytest.raises(InvalidFields) as refused:
        admin.put(NEW, {"desk_id": "7"}, None)

    assert [field for field, _ in refused.value.faults] == list(SECRETS)


def test_a_secret_in_the_place_of_a_fields_name_is_not_repeated(admin: ConnectionAdmin) -> None:
    with pytest.raises(InvalidFields) as refused:
        admin.put(NEW, FIELDS | {TOKEN: "7"}, None)

    assert [field for field, _ in refused.value.faults] == [""]
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("page_id", ["1", "x", f" {NEW}"])
def test_a_connection_is_of_the_page_that_is_named(admin: ConnectionAdmin, page_id: str) -> None:
    with pytest.raises(InvalidFields) as refused:
        admin.put(page_id, FIELDS | ({"page_id": NEW} if page_id == "1" else {}), None)

    assert [field for field, _ in refused.value.faults] == ["page_id"]


# --- Lists. -------------------------------------------------------------------------------------------------


def test_pages_are_listed_by_their_ids_those_of_the_settings_too(admin: ConnectionAdmin) -> None:
    admin.put(NEW, FIELDS, None)
    admin.put("1", FIELDS, None)

    listed = admin.list(10)
    assert [one.page_id for one in listed] == ["1", PAGE_A, PAGE_B, NEW, PAGE_OFF]
    assert [one.fixed for one in listed] == [False, True, True, False, True]


def test_a_list_goes_on_after_a_page_also_if_that_was_removed(admin: ConnectionAdmin) -> None:
    version = admin.put(NEW, FIELDS, None).version
    assert version
    assert [one.page_id for one in admin.list(2, PAGE_A)] == [PAGE_B, NEW]
    admin.remove(NEW, version)

    assert [one.page_id for one in admin.list(2, NEW)] == [PAGE_OFF]
    assert admin.list(2, PAGE_OFF) == []


def test_a_stored_page_that_the_settings_list_as_well_is_listed_once(
    admin: ConnectionAdmin, admins: Admins
) -> None:
    admin.put(NEW, FIELDS, None)
    listed = admins(connections=[connection(NEW, SECRET_A)]).list(10)

    assert [(one.page_id, one.fixed) for one in listed] == [(NEW, True)]


# --- What cannot be read. -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "reason"),
    [("", "no secret_key"), (new_key(), "secret_key does not have")],
    ids=["no key", "another key"],
)
def test_a_connection_that_cannot_be_decrypted_is_shown_as_such(
    admin: ConnectionAdmin, admins: Admins, key: str, reason: str
) -> None:
    version = admin.put(NEW, FIELDS, None).version
    shown = admins(secret_key=key, connections=[]).list(10)[0].as_json()

    assert (shown["page_id"], shown["version"]) == (NEW, version)
    assert reason in shown["fault"]


@pytest.mark.parametrize("body", [b"nothing", b"[]", b"{}"])
def test_a_record_that_is_no_connection_is_shown_as_such_and_can_be_replaced(
    admin: ConnectionAdmin, records: ConnectionRecords, body: bytes
) -> None:
    records.put(NAME, body)
    entry = admin.get(NEW)
    assert entry.fault
    admin.put(NEW, FIELDS, entry.version)

    assert not admin.get(NEW).fault


def test_secrets_that_cannot_be_decrypted_are_not_lost_by_a_change(
    admin: ConnectionAdmin, admins: Admins
) -> None:
    admin.put(NEW, FIELDS, None)
    other = admins(secret_key=new_key())
    with pytest.raises(InvalidFields) as refused:
        other.change(NEW, {"active": False, "app_secret": SECRET_A})
    assert [field for field, _ in refused.value.faults] == ["page_access_token", "verify_token"]

    assert other.change(NEW, {name: FIELDS[name] for name in SECRETS}).as_json()["desk_id"] == "7"


def test_a_connection_that_cannot_be_decrypted_can_be_removed(admin: ConnectionAdmin, admins: Admins) -> None:
    version = admin.put(NEW, FIELDS, None).version
    assert version
    not_done = admins(secret_key="").remove(NEW, version)

    assert "not unsubscribed: there is no secret_key" in not_done


# --- Removal. -----------------------------------------------------------------------------------------------


def test_a_page_is_removed_also_if_it_cannot_be_unsubscribed(admin: ConnectionAdmin) -> None:
    version = admin.put(NEW, FIELDS, None).version
    assert version
    not_done = admin.remove(NEW, version)

    assert "was not unsubscribed" in not_done
    assert "Facebook" in not_done
    assert TOKEN not in not_done
    with pytest.raises(NoConnection):
        admin.get(NEW)


def test_a_page_without_a_token_is_removed(admin: ConnectionAdmin) -> None:
    version = admin.put(NEW, {"desk_id": "7", "active": False}, None).version
    assert version

    assert "it has no page_access_token" in admin.remove(NEW, version)


# --- Other keys. --------------------------------------------------------------------------------------------


def test_all_secrets_are_encrypted_with_the_newest_key(
    admin: ConnectionAdmin, admins: Admins, records: ConnectionRecords
) -> None:
    newest = new_key()
    admin.put(NEW, FIELDS, None)
    admin.put("1", FIELDS, None)
    rotated = list(admins(secret_key=f"{newest},{KEY}").rotate())

    assert rotated == [True, True]
    assert _in_store(records, newest).page_access_token.get_secret_value() == TOKEN


def test_what_was_rotated_before_is_left_alone(
    admin: ConnectionAdmin, admins: Admins, records: ConnectionRecords
) -> None:
    admin.put(NEW, FIELDS, None)
    admin.put("1", FIELDS, None)
    rotating = admins(secret_key=f"{new_key()},{KEY}")
    assert next(rotating.rotate())
    version = records.version()

    assert list(rotating.rotate()) == [False, True]
    assert records.version() == version + 1


def test_rotating_ends_no_pause_and_moves_no_check(
    admin: ConnectionAdmin, admins: Admins, store_url: str
) -> None:
    admin.put(NEW, FIELDS, None)
    with closing(connect(store_url)) as store:
        inbox = Inbox(store)
        inbox.pause(NAME, 600, "the token was refused")
        inbox.put_off_check(NAME, 600)
        before = [store.zscore(key, NAME) for key in ("mc:pauses", "mc:checks")]
        assert list(admins(secret_key=f"{new_key()},{KEY}").rotate()) == [True]

        assert [store.zscore(key, NAME) for key in ("mc:pauses", "mc:checks")] == before
    assert None not in before


def test_a_change_beside_the_rotation_is_kept(
    admin: ConnectionAdmin, admins: Admins, records: ConnectionRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = new_key()
    admin.put(NEW, FIELDS, None)
    rotating, rotate = admins(secret_key=f"{newest},{KEY}"), Cipher.rotate
    changed: list[ListedConnection] = []

    def change_meanwhile(self: Cipher, token: str) -> str:
        if not changed:
            changed.append(admin.change(NEW, {"desk_id": "8"}))
        return rotate(self, token)

    monkeypatch.setattr(Cipher, "rotate", change_meanwhile)

    assert list(rotating.rotate()) == [True]
    assert _in_store(records, newest).desk_id == "8"


def test_what_cannot_be_rotated_is_named_and_costs_no_other(admin: ConnectionAdmin, admins: Admins) -> None:
    admin.put("1", FIELDS, None)
    other = new_key()
    admins(secret_key=other).put(NEW, FIELDS, None)
    first, second = admins(secret_key=f"{new_key()},{other}").rotate()

    assert first == "page 1: its secrets were encrypted with a key that secret_key does not have (any more)"
    assert second is True


def test_without_a_key_nothing_is_rotated(admins: Admins) -> None:
    with pytest.raises(NoSecretKey):
        list(admins(secret_key="").rotate())
