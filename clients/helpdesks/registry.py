"""Which adapter speaks with the helpdesk: one of ours, or one from a vendor's own package."""

import importlib
import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from clients.helpdesk import Helpdesk
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient

ENTRY_POINTS = "messenger_connector.adapters"
OURS: Mapping[str, type[Helpdesk]] = {"rest": RestHelpdesk, "django_helpdesk": DjangoHelpdesk}
_OF_ALL = ("base_url", "api_token", "webhook_secret")
"""What every adapter takes."""
_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class AdapterError(ValueError):
    """There is no such adapter, or it does not take these options; `str()` says what to do."""


def find_adapter(name: str) -> type[Helpdesk]:
    """Return an adapter by our name for it, by an entry point's, or as `dotted.path:Class`.

    Raises `AdapterError`.
    """
    adapter = OURS.get(name) or _installed(name)
    if not (inspect.isclass(adapter) and issubclass(adapter, Helpdesk)):
        raise AdapterError(f"{name} is no adapter: it has to be a class made from clients.helpdesk.Helpdesk")
    if missing := sorted(adapter.__abstractmethods__):
        raise AdapterError(f"{name} is not complete: it lacks {', '.join(missing)}")
    return adapter


def _installed(name: str) -> Any:
    """Import what a vendor's package offers."""
    points = entry_points(group=ENTRY_POINTS)
    try:
        if name in points.names:
            return points[name].load()
        module, _, attribute = name.partition(":")
        if attribute:
            return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise AdapterError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    known = ", ".join(sorted({*OURS, *points.names}))
    raise AdapterError(f"there is no adapter {name}; take one of {known}, or write dotted.path:Class")


def check_options(adapter: type[Helpdesk], options: Mapping[str, Any]) -> None:
    """Check that an adapter takes these options. Raises `AdapterError`."""
    _http, *takes = inspect.signature(adapter).parameters.values()
    own = {one.name: one for one in takes if one.kind in _NAMED and one.name not in _OF_ALL}
    takes_any = any(one.kind is one.VAR_KEYWORD for one in takes)
    if unknown := [name for name in options if name not in own and not takes_any]:
        known = f"it takes {', '.join(own)}" if own else "it takes none"
        raise AdapterError(f"{', '.join(unknown)}: the adapter has no such option; {known}")
    if missing := [name for name, one in own.items() if one.default is one.empty and name not in options]:
        raise AdapterError(f"{', '.join(missing)}: the adapter needs this option; add it")


def make_adapter(name: str, http: HttpClient, **options: Any) -> Helpdesk:
    """Make an adapter from what the settings say of the helpdesk."""
    return find_adapter(name)(http, **options)  # type: ignore[call-arg]  # each has options of its own
