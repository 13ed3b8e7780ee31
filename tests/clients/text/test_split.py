"""A text becomes parts of limited length."""

import pytest
import regex  # type: ignore[import-untyped]  # its stubs are a package of their own
from hypothesis import example, given
from hypothesis import strategies as st

from clients.text.split import split_text
from tests.fakes.texts import grows_evenly


@pytest.mark.parametrize("piece", ["a", "word ", "😀", "。", "a. "])
def test_the_time_to_split_a_text_grows_with_its_length(piece: str) -> None:
    assert grows_evenly(lambda length: split_text(piece * (length // len(piece)), 2000))


@pytest.mark.parametrize(
    ("text", "limit", "parts"),
    [
        ("", 10, []),
        (" \n ", 10, []),
        (" ab ", 10, ["ab"]),
        ("aa bb\n\ncc. dd\nee", 14, ["aa bb", "cc. dd\nee"]),
        ("aaaa\n\nbbbb\ncc", 9, ["aaaa", "bbbb\ncc"]),
        ("a\n\nbbb\n\ncc", 6, ["a\n\nbbb", "cc"]),
        ("aa. bb\ncc dd", 9, ["aa. bb", "cc dd"]),
        ("Is it? Yes it is", 12, ["Is it?", "Yes it is"]),
        ('"Go." he said', 11, ['"Go."', "he said"]),
        ("好的。谢谢你", 4, ["好的。", "谢谢你"]),
        ("aaa bbb ccc", 8, ["aaa bbb", "ccc"]),
        ("aaa bbb ccc", 7, ["aaa bbb", "ccc"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("😀😀😀", 4, ["😀😀", "😀"]),
        ("ae\u0301e\u0301", 4, ["ae\u0301", "e\u0301"]),
        ("e" + "\u0301" * 5, 4, ["e" + "\u0301" * 3, "\u0301" * 2]),
    ],
)
def test_text_is_split_where_a_reader_pauses(text: str, limit: int, parts: list[str]) -> None:
    assert split_text(text, limit) == parts


def test_two_thousand_units_are_one_part() -> None:
    assert [len(part) for part in split_text("a" * 2000, 2000)] == [2000]
    assert [len(part) for part in split_text("😀" * 1001, 2000)] == [1000, 1]


def _graphemes(text: str) -> list[str]:
    found = ("".join(grapheme.split()) for grapheme in regex.findall(r"\X", text.strip()))
    return [grapheme for grapheme in found if grapheme]


TEXTS = st.text() | st.text(alphabet="ab .!?\n\r\t。\u0301\u200d👩🇵🇱\u0600\u0e33한각", max_size=80)


@given(TEXTS, st.integers(2, 40))
@example("\u0600 a" * 9, 4)
@example("a \u0301b" * 9, 4)
@example("好。\u0301好好", 3)
def test_parts_keep_the_limit_and_every_character(text: str, limit: int) -> None:
    parts = split_text(text, limit)
    assert all(part == part.strip() != "" for part in parts)
    assert all(len(part.encode("utf-16-le")) // 2 <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
    if all(len(grapheme.encode("utf-16-le")) // 2 <= limit for grapheme in regex.findall(r"\X", text)):
        assert [grapheme for part in parts for grapheme in _graphemes(part)] == _graphemes(text)
