"""Dead letters and unknown events on the board: found, opened, tried again and dropped, one or many."""

import re
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from structlog.testing import capture_logs

from clients.channels.meta import kinds
from clients.channels.meta.messenger import Messenger
from clients.notices import encode, notice
from connector.cipher import new_key
from connector.web import board_kept
from tasks.inbox.inbox import Inbox
from tasks.inbox.job import Job
from tests.conftest import PAGE_A, PAGE_B, settings_in
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.board import WORDS, Reader, die, keep_unknown, letters, link_to_board, remote, text
from tests.fakes.inbox import Stored
from tests.fakes.stores import empty
from tests.fakes.web import serving

LARGE = notice("file_too_large", limit_bytes=26_214_400)
QUEUE_A, QUEUE_B = f"in:{remote(PAGE_A)}:7", f"out:{remote(PAGE_B)}:7"


@pytest.fixture(scope="module")
def url(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        empty(valkey),
        settings_in(tmp_path_factory.mktemp("board")) as make,
        serving(make(redis_url=valkey, secret_key=new_key(), admin_token=ADMIN_TOKEN)) as url,
    ):
        yield url


@pytest.fixture
def mixed(inbox: Inbox) -> list[int]:
    """Give the ids of three dead letters: two of page A with different reasons, one of page B."""
    token = notice("page_token_refused")
    return [
        die(inbox, LARGE, queue=QUEUE_A),
        die(inbox, token, queue=QUEUE_A),
        die(inbox, token, queue=QUEUE_B),
    ]


def there(inbox: Inbox) -> list[int]:
    return [one.job.id for one in inbox.dead_letters.all()]


def waiting(inbox: Inbox, queue: str) -> int:
    return len(inbox.jobs(queue))


def test_there_are_none_is_said(reader: Reader) -> None:
    assert "There are no dead letters." in text(reader.see("/dead"))
    assert "There are no unknown events." in text(reader.see("/unknown"))


def test_dead_letters_are_listed_the_newest_first_without_what_people_wrote(
    reader: Reader, mixed: list[int]
) -> None:
    page = reader.see("/dead")

    assert letters(page) == mixed[::-1]
    assert "it is larger than 25 MB" in text(page)
    assert WORDS not in page.text


def test_they_are_found_by_page_and_by_words_of_code_or_reason(reader: Reader, mixed: list[int]) -> None:
    first, second, third = mixed

    assert letters(reader.see("/dead", of=PAGE_A)) == [second, first]
    assert letters(reader.see("/dead", words="FILE_TOO")) == [first]
    assert letters(reader.see("/dead", words="access token")) == [third, second]
    assert letters(reader.see("/dead", words="access token", of=f" {PAGE_B} ")) == [third]
    assert letters(reader.see("/dead", of="7")) == []


def test_words_are_looked_for_in_the_newest_only_and_that_is_said(
    reader: Reader, mixed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Only the newest" not in text(reader.see("/dead", words="larger"))

    monkeypatch.setattr(board_kept, "MOST", 2)
    page = reader.see("/dead", words="larger")
    assert letters(page) == []
    assert "Only the newest 2 were looked at." in text(page)
    assert mixed


def test_a_letter_is_shown_with_its_history_and_what_was_written_after_a_click_that_is_logged(
    reader: Reader, inbox: Inbox
) -> None:
    inbox.accept([Job(key="1", queue=QUEUE_A, time=1, body=f'{{"text": "{WORDS}"}}'.encode())])
    lease = inbox.claim(QUEUE_A)
    assert lease
    lease.retry_later(0, encode(notice("machine_fault", detail="disk")), counts=True)
    Stored(inbox).end_backoff(QUEUE_A)
    again = inbox.claim(QUEUE_A)
    assert again
    again.move_to_dead_letters(encode(LARGE))
    id_ = lease.job.id

    with capture_logs() as logs:
        page = reader.see(f"/dead/{id_}")
        assert "a fault of the connector's server (disk)" in text(page)
        assert QUEUE_A in text(page)
        assert WORDS not in page.text
        assert logs == []

        assert WORDS in reader.send(f"/dead/{id_}", {}).text
    assert [one for one in logs if one["event"] == "dead_letter_opened"] == [
        {"event": "dead_letter_opened", "id": id_, "log_level": "info"}
    ]
    assert WORDS not in str(logs)


def test_those_ticked_are_put_back_into_their_queues(reader: Reader, inbox: Inbox, mixed: list[int]) -> None:
    page = reader.send("/dead", {"do": "retry", "id": mixed[:2]})

    assert "2 requeued." in text(page)
    assert there(inbox) == letters(page) == mixed[2:]
    assert waiting(inbox, QUEUE_A) == 2
    assert inbox.dead_ids(remote(PAGE_A)) == []


def test_before_any_is_dropped_it_is_asked(reader: Reader, inbox: Inbox, mixed: list[int]) -> None:
    asked = reader.send("/dead", {"do": "drop", "id": mixed[:2]})
    assert "Delete 2 dead letters for good?" in text(asked)
    assert there(inbox) == mixed

    fields = _hidden(asked)
    dropped = reader.send("/dead", fields | {"do": ["drop"]})
    assert "2 dropped." in text(dropped)
    assert there(inbox) == mixed[2:]
    assert waiting(inbox, QUEUE_A) == 0


def _hidden(page: httpx.Response) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text):
        found.setdefault(name, []).append(value)
    return found


def test_all_that_the_filters_choose_are_retried(reader: Reader, inbox: Inbox, mixed: list[int]) -> None:
    page = reader.send("/dead", {"do": "retry_all", "words": "access token"})

    assert "2 requeued." in text(page)
    assert there(inbox) == mixed[:1]


def test_no_more_than_some_thousands_are_done_at_once_the_oldest_first(
    reader: Reader, inbox: Inbox, mixed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_kept, "MOST", 2)
    assert "At most 2 at once" in text(reader.see("/dead"))

    reader.send("/dead", {"do": "retry_all"})
    assert there(inbox) == mixed[2:]


def test_what_died_since_it_was_asked_is_not_dropped(reader: Reader, inbox: Inbox, mixed: list[int]) -> None:
    asked = reader.send("/dead", {"do": "drop_all"})
    assert "Delete 3 dead letters for good?" in text(asked)
    later = die(inbox)

    page = reader.send("/dead", _hidden(asked) | {"do": ["drop_all"]})
    assert "3 dropped." in text(page)
    assert there(inbox) == [later]
    assert later > max(mixed)


def test_nothing_ticked_is_told(reader: Reader, inbox: Inbox, mixed: list[int]) -> None:
    for fields in ({"do": "retry"}, {"do": "drop"}, {"do": "nonsense", "id": mixed}, {}, {"id": "x"}):
        assert "Nothing was ticked" in text(reader.send("/dead", fields))
    assert there(inbox) == mixed


def test_of_two_operators_the_second_is_told_what_was_gone(
    url: str, reader: Reader, inbox: Inbox, mixed: list[int]
) -> None:
    first, second, third = mixed
    with closing(Reader(url)) as other:
        other.send("/dead", {"do": "retry", "id": [first]})
        page = reader.send("/dead", {"do": "retry", "id": [first, second]})
        assert "1 requeued." in text(page)
        assert "1 was not there any more" in text(page)
        assert waiting(inbox, QUEUE_A) == 2

        dropped = other.send("/dead", {"do": "drop", "id": [second, third], "sure": "yes"})
        assert "1 dropped." in text(dropped)
        assert waiting(inbox, QUEUE_A) == 2


def test_a_letter_that_somebody_took_is_told_of(reader: Reader, inbox: Inbox, mixed: list[int]) -> None:
    inbox.dead_letters.drop(mixed[0])
    with capture_logs() as logs:
        for page in (reader.see(f"/dead/{mixed[0]}"), reader.send(f"/dead/{mixed[0]}", {})):
            assert page.status_code == 404
            assert f"There is no dead letter {mixed[0]} any more" in text(page)
    assert [one for one in logs if one["event"] == "dead_letter_opened"] == []


@pytest.mark.parametrize("id_", ["0", "x", "٣", "9" * 5000])
def test_what_is_no_id_is_no_letter(reader: Reader, id_: str) -> None:
    assert reader.see(f"/dead/{id_}").status_code == 404


@pytest.mark.parametrize("path", ["/dead", "/unknown", "/dead/{id}"])
def test_a_form_of_another_site_does_nothing(
    url: str, reader: Reader, inbox: Inbox, mixed: list[int], path: str
) -> None:
    fields = {"do": "retry", "id": str(mixed[0])}
    link = dict(httpx.URL(link_to_board(url)).params)
    opened = reader.query["opened"]
    forgeries = [{}, link, link | {"opened": ""}, link | {"opened": "f" * 64}]
    forgeries += [{"opened": opened}, reader.query | {"expires": str(int(reader.query["expires"]) + 60)}]
    for query in forgeries:
        reader.query = query
        answer = reader.send(path.format(id=mixed[0]), fields)
        assert answer.status_code == 403
        assert WORDS not in answer.text
    assert there(inbox) == mixed


def test_a_form_that_is_too_large_is_refused(reader: Reader, inbox: Inbox, mixed: list[int]) -> None:
    assert reader.send("/dead", {"do": "drop", "id": ["1" * 9] * 10_000}).status_code == 413
    assert there(inbox) == mixed


def test_the_list_keeps_ticks_while_it_is_brought_up_to_date(reader: Reader, mixed: list[int]) -> None:
    page = reader.poll("/dead")

    assert f'id="letter-{mixed[0]}" hx-preserve' in page.text
    assert "<html" not in page.text


def test_an_unknown_event_is_replayed_once_its_kind_is_known(
    reader: Reader, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = keep_unknown(inbox)
    assert letters(reader.see("/unknown")) == [id_]
    early = reader.send("/unknown", {"do": "retry", "id": id_})
    assert "0 requeued." in text(early)
    assert "does not know the kind of 1: upgrade first" in text(early)
    assert ">Replay<" not in reader.see(f"/unknown/{id_}").text

    monkeypatch.setitem(kinds.ROWS, "gift", kinds.ROWS["form"])
    monkeypatch.setattr(Messenger, "kinds", Messenger.kinds | {"gift"})
    assert ">Replay<" in reader.see(f"/unknown/{id_}").text
    assert "1 requeued." in text(reader.send("/unknown", {"do": "retry", "id": id_}))
    assert inbox.unknown_events.count() == 0


def test_unknown_events_are_found_by_page_opened_and_dropped(reader: Reader, inbox: Inbox) -> None:
    id_ = keep_unknown(inbox)
    assert letters(reader.see("/unknown", of=PAGE_A, words="gift")) == [id_]
    assert letters(reader.see("/unknown", of=PAGE_B)) == []

    with capture_logs() as logs:
        assert WORDS in reader.send(f"/unknown/{id_}", {}).text
    assert {"event": "unknown_event_opened", "id": id_, "log_level": "info"} in logs

    assert "Delete 1 unknown event for good?" in text(reader.send("/unknown", {"do": "drop", "id": id_}))
    assert "1 dropped." in text(reader.send("/unknown", {"do": "drop", "id": id_, "sure": "yes"}))
    assert inbox.unknown_events.count() == 0
