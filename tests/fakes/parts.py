"""Parts of a run."""

from collections.abc import Callable

from connector.run.supervisor import Part

MakePart = Callable[..., Part]


def pid(part: Part) -> int:
    """Return the id of a part's process."""
    assert part.process
    return part.process.pid


def ended(part: Part) -> int | None:
    """Wait until a part's process is over and return how it ended."""
    assert part.process
    return part.process.wait(20)
