"""The records of connections in the store."""

from tasks.inbox.connections import Record
from tasks.inbox.inbox import Inbox

PAGE = "facebook_messenger:1"


def test_a_record_is_read_as_it_was_put(inbox: Inbox) -> None:
    version = inbox.connections.put(PAGE, b'{"a": 1}', "")

    assert version == 1
    assert inbox.connections.get(PAGE) == Record(PAGE, 1, b'{"a": 1}')
    assert inbox.connections.names() == [PAGE]


def test_a_record_replaces_the_version_that_its_writer_saw_and_no_other(inbox: Inbox) -> None:
    first = inbox.connections.put(PAGE, b"1", "")
    assert inbox.connections.put(PAGE, b"2", "") is None
    assert inbox.connections.put(PAGE, b"2", str(first)) == 2
    assert inbox.connections.put(PAGE, b"3", str(first)) is None
    assert inbox.connections.remove(PAGE, str(first)) is None
    assert inbox.connections.get(PAGE) == Record(PAGE, 2, b"2")


def test_a_call_that_is_repeated_as_its_answer_got_lost_changes_nothing_more(inbox: Inbox) -> None:
    assert inbox.connections.put(PAGE, b"1", "") == 1
    assert inbox.connections.put(PAGE, b"1", "") == 1
    assert inbox.connections.version() == 1


def test_what_changed_is_told_since_a_version(inbox: Inbox) -> None:
    for number in range(3):
        inbox.connections.put(f"x:{number}", b"1")
    inbox.connections.put("x:0", b"2")
    inbox.connections.remove("x:1")

    assert list(inbox.connections.changed(3)) == [Record("x:0", 4, b"2"), Record("x:1", 5, b"")]
    assert [one.name for one in inbox.connections.changed(0)] == ["x:2", "x:0", "x:1"]


def test_many_are_read_in_several_calls(inbox: Inbox) -> None:
    for number in range(2500):
        inbox.connections.put(f"x:{number}", b"1")
    assert len(list(inbox.connections.changed(0))) == 2500


def test_removing_what_is_not_there_is_told(inbox: Inbox) -> None:
    assert inbox.connections.remove(PAGE) is False
    assert inbox.connections.version() == 0


def test_a_new_record_has_what_waits_for_its_account_go_on(inbox: Inbox) -> None:
    inbox.pause(PAGE, 600, "the token was refused")
    inbox.connections.put(PAGE, b"1")
    assert inbox.state().pauses == {PAGE: True}  # shown a little longer
    inbox.pause("facebook_messenger:2", 600, "the token was refused")
    assert float(inbox.store.zscore("mc:pauses", PAGE) or 0) / 1000 <= inbox.now()
