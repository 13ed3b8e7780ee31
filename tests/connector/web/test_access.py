"""What a reader may see by a signed link: for an hour, that page alone, and without a cookie."""

import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.requests import Request

from connector import links
from connector.links import BOARD_PATH, InvalidLink, Link, tab_path
from connector.web import access

KEY, TAB = "a" * 40, tab_path("7")


def asked(query: dict[str, str]) -> Request:
    """Return a request with a query."""
    encoded = "&".join(f"{name}={value}" for name, value in query.items()).encode()
    return Request({"type": "http", "query_string": encoded, "headers": []})


def query_of(link: Link, path: str, key: str = KEY) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(links.address(link, "", path, key)).query))


def soon(desk_id: str = "", **said: Any) -> Link:
    return Link(desk_id, int(time.time()) + 60, **said)


def test_a_link_opens_a_page_and_its_addresses_open_it_for_an_hour() -> None:
    allowed = access.read(asked(query_of(soon(language="pl"), BOARD_PATH)), BOARD_PATH, KEY)
    query = dict(parse_qsl(allowed.query))
    again = access.read(asked(query), BOARD_PATH, KEY)

    assert 3590 < int(query["expires"]) - time.time() <= 3600
    assert set(query) == {"expires", "language", "opened"}
    assert again.link == allowed.link
    assert again.query == allowed.query


def test_what_was_opened_is_not_longer_open_by_being_used() -> None:
    allowed = access.read(asked(query_of(soon(), BOARD_PATH)), BOARD_PATH, KEY)
    query = dict(parse_qsl(allowed.query))
    later = query | {"expires": str(int(query["expires"]) + 60)}

    with pytest.raises(InvalidLink, match="forged"):
        access.read(asked(later), BOARD_PATH, KEY)


def test_what_was_opened_closes() -> None:
    opened = Link("", int(time.time()) - 1)
    query = {"expires": str(opened.expires), "opened": links.sign(opened, f"{BOARD_PATH}#opened", KEY)}

    with pytest.raises(InvalidLink, match="expired"):
        access.read(asked(query), BOARD_PATH, KEY)


@pytest.mark.parametrize(
    ("made_for", "desk_id", "used_for", "as_desk"),
    [
        (BOARD_PATH, "", TAB, "7"),
        (TAB, "7", BOARD_PATH, ""),
        (TAB, "7", tab_path("8"), "8"),
        ("/connect/facebook", "7", TAB, "7"),
    ],
)
def test_neither_a_link_nor_what_it_opened_is_good_for_another_page(
    made_for: str, desk_id: str, used_for: str, as_desk: str
) -> None:
    query = query_of(soon(desk_id), made_for)
    opened = dict(parse_qsl(access.read(asked(query), made_for, KEY, desk_id).query))

    for one in (query, opened):
        with pytest.raises(InvalidLink, match="forged"):
            access.read(asked(one), used_for, KEY, as_desk)


def test_a_links_own_signature_is_not_that_of_an_open_page() -> None:
    query = query_of(soon(), BOARD_PATH)

    with pytest.raises(InvalidLink, match="forged"):
        access.read(asked(query | {"opened": query["signature"]}), BOARD_PATH, KEY)


@pytest.mark.parametrize("query", [{}, {"expires": "soon"}, {"expires": "٣", "opened": "x"}])
def test_without_a_link_nothing_is_open(query: dict[str, str]) -> None:
    with pytest.raises(InvalidLink):
        access.read(asked(query), BOARD_PATH, KEY)


def test_the_desk_stands_in_the_path_alone() -> None:
    allowed = access.read(asked(query_of(soon("7"), TAB)), TAB, KEY, "7")

    assert allowed.link.desk_id == "7"
    assert "desk_id" not in allowed.query
