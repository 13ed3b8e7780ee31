"""Children of a run: parts with their processes."""

from collections.abc import Callable

from connector.run.supervisor import Child

MakeChild = Callable[..., Child]


def pid(child: Child) -> int:
    """Return the id of a child's process."""
    assert child.process
    return child.process.pid


def ended(child: Child) -> int | None:
    """Wait until a child's process is over and return how it ended."""
    assert child.process
    return child.process.wait(20)
