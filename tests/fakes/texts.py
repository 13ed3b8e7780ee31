"""Texts full of marks, and the time that a text takes."""

import time
from collections.abc import Callable

from hypothesis import strategies as st

MARKS = st.text(alphabet="ab1 \n\\`*_~[]()<>#+-=.!|:&;/@\t\"'", max_size=60)


def grows_evenly(work: Callable[[int], object]) -> bool:
    """Tell whether 48 kB take about 4 times as long as 12 kB; a quadratic time would be 16 times as long."""
    seconds = []
    for length in (12_000, 48_000):
        started = time.process_time()
        work(length)
        seconds.append(time.process_time() - started)
    return seconds[1] < 10 * seconds[0] + 0.5
