"""Which adapters break which checks."""

import itertools
from collections.abc import Callable

from clients.helpdesks.rest import RestHelpdesk

PAGE = 20
"""How many comments a page of a listing has here."""
COUNT = itertools.count()
BROKEN: dict[str, list[type[RestHelpdesk]]] = {}
"""The check's name, and the adapters that it has to be red for."""


def red(*names: str) -> Callable[[type[RestHelpdesk]], type[RestHelpdesk]]:
    """Say which checks an adapter breaks."""

    def remember(adapter: type[RestHelpdesk]) -> type[RestHelpdesk]:
        for name in names:
            BROKEN.setdefault(name, []).append(adapter)
        return adapter

    return remember
