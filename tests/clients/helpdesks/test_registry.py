"""Which adapter the settings name, and what is said of one that is wrong."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from clients.helpdesk import Helpdesk
from clients.helpdesks import registry
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.helpdesks.registry import AdapterError, check_options, find_adapter, make_adapter
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient


class OneMethod(Helpdesk):
    """An adapter whose author has only begun."""

    def ping(self) -> None:
        """Answer."""


class Listening(OneMethod):
    """One that reads webhooks."""

    def receive(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """Read nothing."""


def test_an_adapter_without_webhooks_needs_no_secret() -> None:
    OneMethod.check_secret("")
    with pytest.raises(ValueError, match="must not be empty"):
        Listening.check_secret("")


@pytest.mark.parametrize(
    ("name", "adapter"),
    [
        ("rest", RestHelpdesk),
        ("django_helpdesk", DjangoHelpdesk),
        ("clients.helpdesks.rest:RestHelpdesk", RestHelpdesk),
    ],
)
def test_an_adapter_is_found_by_its_name(name: str, adapter: type[Helpdesk]) -> None:
    assert find_adapter(name) is adapter


def test_an_adapter_of_an_installed_package_is_found_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = EntryPoint("acme", "clients.helpdesks.rest:RestHelpdesk", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    assert find_adapter("acme") is RestHelpdesk


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("rst", "there is no adapter rst; take one of django_helpdesk, rest, or write dotted.path:Class"),
        ("nowhere:Adapter", "cannot be imported: ModuleNotFoundError"),
        ("clients.helpdesks.rest:Nothing", "cannot be imported: AttributeError"),
        ("clients.media:File", "is no adapter"),
        ("clients.helpdesks.registry:make_adapter", "is no adapter"),
        (f"{__name__}:OneMethod", "is not complete: it lacks add_comment, comment_by_external_id"),
    ],
)
def test_an_adapter_that_is_none_is_told_with_what_to_do(name: str, what: str) -> None:
    with pytest.raises(AdapterError, match=what):
        find_adapter(name)


def test_an_option_that_an_adapter_does_not_know_is_told() -> None:
    with pytest.raises(AdapterError, match="colour"):
        check_options(DjangoHelpdesk, {"colour": "red"})


class Needy(DjangoHelpdesk):
    """An adapter with an option that has to be given."""

    def __init__(self, http: HttpClient, *, brand: int, **known: Any) -> None:
        super().__init__(http, **known)
        self.brand = brand


def test_an_option_that_an_adapter_needs_is_told() -> None:
    check_options(Needy, {"brand": 3, "priority": 2})
    with pytest.raises(AdapterError, match="brand: the adapter needs this option"):
        check_options(Needy, {})


def test_an_adapter_is_made_with_its_options() -> None:
    known: dict[str, Any] = {"base_url": "http://127.0.0.1:9", "api_token": "t", "webhook_secret": "s" * 16}
    with HttpClient() as http:
        assert isinstance(make_adapter("django_helpdesk", http, **known, owners={"a": 1}), DjangoHelpdesk)
