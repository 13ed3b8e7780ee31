"""The corpus, and a minute of new inputs with a fixed seed. `make fuzz` goes on from here."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PAGE_A, MakeSettings, settings_in
from tests.fuzz.door import HONEST_ITEM
from tests.fuzz.fuzzers import BY_NAME
from tests.fuzz.mutations import write
from tests.fuzz.runs import Fault, Finding, Fuzzer, corpus, replay, run

SEED = 20261125
DURATION = float(os.environ.get("FUZZ_DURATION", "60"))
"""About how long the new inputs take in all, in seconds, on a slow machine that measures coverage."""
A_SECOND = {"door": 250, "worker": 40, "texts": 15}
"""How many inputs are tried in a second. Counted, not timed: a run is the same run everywhere."""


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeSettings]:
    with settings_in(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


@pytest.fixture(scope="module")
def fuzzer(request: pytest.FixtureRequest, make: MakeSettings, valkey: str) -> Iterator[Fuzzer[Any]]:
    """Give the fuzzer of a name; never two at a time, as each listens to the log."""
    with BY_NAME[request.param](make, valkey) as opened:
        yield opened


def _honest_among(*entries: bytes) -> bytes:
    """Write a body of Meta's in which the honest item stands behind other entries."""
    honest = write({"id": PAGE_A, "time": 1795383000123, "messaging": [HONEST_ITEM]})
    return b'{"object":"page","entry":[' + b",".join([*entries, honest]) + b"]}"


def _entry(item: bytes) -> bytes:
    return b'{"id":"%s","messaging":[%s]}' % (PAGE_A.encode(), item)


LARGE = {
    "an array of a hundred thousand": _honest_among(_entry(b",".join([b"0"] * 100_000))),
    "ten thousand entries": _honest_among(*[_entry(b"{}")] * 10_000),
    "a key twenty thousand times": _honest_among(b"{" + b",".join([b'"id":1'] * 20_000) + b"}"),
    "as many keys": _honest_among(b"{" + b",".join(b'"%d":1' % number for number in range(20_000)) + b"}"),
    "a text of a megabyte": _honest_among(_entry(b'{"message":{"mid":"m_1","text":"%s"}}' % (b"a" * 10**6))),
    "a megabyte of spaces": _honest_among(b" " * 10**6 + b"{}"),
    "an array ten thousand deep": _entry(b"[" * 10_000 + b"]" * 10_000),
    "an object ten thousand deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "an array that never ends": b"[" * 10**6,
    "a string that never ends": b'"' + b"a" * 10**6,
    "a number of a million digits": b"1" * 10**6,
    "more than is taken": b" " * (4 * 2**20 + 1),
}
"""Bodies that are made here, as files of their size are no pleasure."""


@pytest.mark.parametrize("fuzzer", BY_NAME, indirect=True)
def test_the_product_stands_the_corpus(fuzzer: Fuzzer[Any]) -> None:
    assert dict(_faults(fuzzer, {file.name: file.read_bytes() for file in corpus(fuzzer.name)})) == {}


@pytest.mark.parametrize("fuzzer", ["door"], indirect=True)
def test_the_doors_stand_large_bodies(fuzzer: Fuzzer[Any]) -> None:
    assert dict(_faults(fuzzer, LARGE)) == {}


def _faults(fuzzer: Fuzzer[Any], inputs: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for name, data in inputs.items():
        try:
            replay(fuzzer, data)
        except Fault as fault:
            yield name, str(fault)


@pytest.mark.parametrize("fuzzer", BY_NAME, indirect=True)
def test_the_product_stands_what_chance_brings(fuzzer: Fuzzer[Any], tmp_path: Path) -> None:
    inputs = A_SECOND[fuzzer.name] * DURATION / len(BY_NAME)
    found: list[Finding] = [one for one in run(fuzzer, SEED, lambda count: count < inputs, tmp_path) if one]
    assert found == []
