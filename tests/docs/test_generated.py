"""The pages that are made from the code's tables say what the code does."""

import pytest

from tests.docs.generated import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "make docs"
