"""A running example of docs/build-the-helpdesks-side.md."""

from collections.abc import Iterator

import pytest

from conformance.receiver import Receiver
from tests.fakes.vendor import Example, example


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def desk(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with example(tmp_path_factory.mktemp("example"), receiver.url) as desk:
        yield desk
