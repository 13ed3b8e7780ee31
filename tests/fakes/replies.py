"""Replies of an agent on their way to Messenger, and what became of them."""

import time

import httpx

from clients.helpdesk import Attachment
from tests.fakes.conversation import OUT
from tests.fakes.world import World

TWO_PARTS = "a" * 2000 + " " + "b" * 100


def lose_answer(world: World, *, sent: bool, text: str = "Hello", file: Attachment | None = None) -> None:
    """Let a part go out whose answer is lost on the way back, or which was lost on the way there."""
    world.reply(text, *filter(None, [file]))
    world.meta.fail("send", httpx.ReadTimeout("slow"), after=sent)
    world.work(OUT)


def status_of(world: World, id_: str = "981") -> str:
    return str(world.desk.deliveries[id_].status)


def later_moment() -> int:
    """Return a watermark after all that was sent."""
    return int(time.time() * 1000) + 1000
