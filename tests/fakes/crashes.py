"""A worker that dies before every single step, and one that takes over from it."""

from collections.abc import Callable, Iterator
from itertools import count

from tests.fakes.failures import Crash
from tests.fakes.world import World


def _relay(world: World, queues: list[str], *crashes: int) -> bool:
    """Relay queues, with workers that die before the given steps. Return whether the first one died."""
    died = [_dies(world, queues, steps) for steps in crashes]
    _relay_to_the_end(world, queues)
    return died[0]


def _dies(world: World, queues: list[str], steps: int) -> bool:
    world.fuse.arm(steps)
    try:
        _relay_to_the_end(world, queues)
    except Crash:
        return True
    finally:
        world.fuse.disarm()
    return False


def _relay_to_the_end(world: World, queues: list[str]) -> None:
    for _ in range(10):
        for queue in queues:
            world.resume(queue)
        if not any(world.waiting(queue) for queue in queues):
            return
    raise AssertionError(f"events are left in {queues}")


def every_crash(
    worlds: Callable[[], World], prepare: Callable[[World], list[str]], *, again: int = 0
) -> Iterator[World]:
    """Give the world after its worker died before the first step, before the second, and so on.

    The next worker then dies too, before each of its first `again` steps.
    """
    for steps in count():
        for more in range(max(1, again)):
            world = worlds()
            died = _relay(world, prepare(world), *([steps, more] if again else [steps]))
            yield world
            world.close()
        if not died:
            assert steps > 5
            return
