"""`connector board`: a link that the board takes, for so long, in a language."""

import time
from urllib.parse import parse_qsl, urlsplit

import pytest

from connector import links
from connector.cipher import new_key
from connector.links import BOARD_PATH, Link
from tests.conftest import MakeSettings
from tests.fakes.admin import ADMIN_TOKEN
from tests.fakes.commands import Run


def link_of(printed: str) -> Link:
    address = urlsplit(printed.strip())
    assert (address.netloc, address.path) == ("acme.example.com", f"/messenger{BOARD_PATH}")
    return links.read(dict(parse_qsl(address.query)), BOARD_PATH, ADMIN_TOKEN, time.time(), "")


@pytest.fixture(autouse=True)
def _settings(make_settings: MakeSettings) -> None:
    url = "https://acme.example.com/messenger"
    make_settings(admin_token=ADMIN_TOKEN, secret_key=new_key(), public_url=url)


def test_a_link_is_printed_that_the_board_takes(run: Run) -> None:
    result = run("board")

    link = link_of(result.stdout)
    assert result.exit_code == 0
    assert (link.desk_id, link.language) == ("", "")
    assert 890 < link.expires - time.time() <= 900


def test_it_is_good_for_so_many_minutes_in_a_language(run: Run) -> None:
    link = link_of(run("board", "--minutes", "5", "--language", "pl").stdout)

    assert link.language == "pl"
    assert 290 < link.expires - time.time() <= 300


@pytest.mark.parametrize("minutes", ["0", "61", "soon"])
def test_no_link_is_good_for_longer_than_an_hour(run: Run, minutes: str) -> None:
    assert run("board", "--minutes", minutes).exit_code == 2


def test_without_an_admin_token_it_says_what_to_set(run: Run, make_settings: MakeSettings) -> None:
    make_settings(admin_token="")
    result = run("board")

    assert result.exit_code == 1
    assert result.output == "There is no board without admin_token: set it in the settings.\n"
