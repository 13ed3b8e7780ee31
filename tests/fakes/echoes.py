"""Echoes of what the page sends."""

import json
from typing import Any

from tests.conftest import PAGE_A
from tests.fakes.conversation import PSID, SENT_AT
from tests.fakes.world import World


def receive_unmarked_echo(
    world: World, mid: str = "m_ours_0", *, standby: bool = False, at: int = SENT_AT, **changes: Any
) -> None:
    echo = {"is_echo": True, "mid": mid, "text": "Hello", "app_id": "3379478975539191"} | changes
    item = {"sender": {"id": PAGE_A}, "recipient": {"id": PSID}, "timestamp": at, "message": echo}
    entry = {"id": PAGE_A, "time": SENT_AT, "standby" if standby else "messaging": [item]}
    world.receive_body(json.dumps({"object": "page", "entry": [entry]}).encode())
