"""What the fuzzers have in common: a fault, a corpus of inputs, and a run that a seed repeats."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

CORPUS = Path(__file__).parent / "corpus"
CPU_LIMIT = 5.0
"""How much of the processor one step may take, in seconds. Others use the machine, too: no clock is asked."""

T = TypeVar("T")


class Fault(Exception):
    """The product did with an input what it must not do; `str()` says what."""


class Fuzzer(Protocol[T]):
    """Makes inputs, checks what the product does with them, and writes and reads them as files."""

    name: str

    def make(self, random: Random) -> T:
        """Make an input."""

    def check(self, sample: T) -> None:
        """Let the product have it. Raises `Fault`."""

    def dump(self, sample: T) -> bytes:
        """Write an input as a file of the corpus."""

    def load(self, data: bytes) -> Iterable[T]:
        """Read a file of the corpus, in all ways it may be meant."""


@dataclass(frozen=True)
class Finding:
    """An input that the product does not stand, and the file that holds it."""

    file: Path
    why: str


def corpus(name: str) -> list[Path]:
    """Return the inputs that a fuzzer always tries first."""
    return sorted(file for file in (CORPUS / name).iterdir() if file.is_file())


def replay(fuzzer: Fuzzer[T], data: bytes) -> None:
    """Try a file of the corpus. Raises `Fault`."""
    for sample in fuzzer.load(data):
        fuzzer.check(sample)


def run(
    fuzzer: Fuzzer[T], seed: int, goes_on: Callable[[int], bool], folder: Path
) -> Iterator[Finding | None]:
    """Make and check inputs for as long as `goes_on(how many)`; yield None, or what was found, after each.

    An input depends on the seed and its number only. What is found is written into the folder.
    """
    for number in takewhile(goes_on, count()):
        sample = fuzzer.make(Random(f"{seed} {fuzzer.name} {number}"))
        try:
            fuzzer.check(sample)
        except Fault as fault:
            file = folder / f"found_{seed}_{number}"
            file.write_bytes(fuzzer.dump(sample))
            yield Finding(file, str(fault))
        else:
            yield None


@contextmanager
def bounded(what: str) -> Iterator[None]:
    """Turn whatever is raised, and what takes too much of the processor, into a `Fault`."""
    began = time.thread_time()
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        raise Fault(f"{what} raised {type(error).__name__}: {error!s:.200}") from error
    if (took := time.thread_time() - began) > CPU_LIMIT:
        raise Fault(f"{what} took {took:.1f} s of the processor")
