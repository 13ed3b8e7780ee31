"""The checks as tests: a vendor makes a class from `HelpdeskConformance` in tests of their own.

    class TestMyHelpdesk(HelpdeskConformance):
        desk_id = "7"

        @pytest.fixture
        def helpdesk(self, http):
            return MyHelpdesk(http, base_url=..., api_token=..., webhook_secret=...)

Each check is a test. One that cannot be made is skipped, and says which fixture it lacks; what the helpdesk
cannot do stands below the tests.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from clients.helpdesk import Helpdesk
from clients.http import HttpClient
from conformance.agent import HelpdeskAgent
from conformance.check import Check
from conformance.checks import CHECKS
from conformance.context import Context
from conformance.exchanges import recorded
from conformance.pytest_plugin import CANNOT
from conformance.receiver import Receiver
from conformance.report import reasons
from conformance.runner import judge


class HelpdeskConformance:
    """Make a class from this one, with the fixture `helpdesk`, and the other fixtures as far as possible.

    `within` is how long an agent's comment may take to arrive, in seconds; `page` how many comments a page
    of the helpdesk's listing has, if `poll` reads one.
    """

    desk_id: ClassVar[str] = "1"
    category_id: ClassVar[str | None] = None
    within: ClassVar[float] = 15.0
    page: ClassVar[int] = 100

    @pytest.fixture(scope="class")
    @classmethod
    def http(cls) -> Iterator[HttpClient]:
        """Yield the HTTP client that an adapter is made with."""
        with HttpClient() as http:
            yield http

    @pytest.fixture
    def helpdesk(self) -> Helpdesk:
        """Return the adapter that is checked."""
        raise NotImplementedError("the class needs a fixture `helpdesk`")  # the vendor's class has it

    @pytest.fixture
    def wrong_token(self) -> Helpdesk | None:
        """Return the same adapter with a wrong token."""
        return None

    @pytest.fixture
    def agent(self) -> HelpdeskAgent:
        """Return an agent: an object of a class made from `HelpdeskAgent`."""
        return HelpdeskAgent()

    @pytest.fixture(scope="class")
    @classmethod
    def receiver(cls) -> Iterator[Receiver]:
        """Yield what takes the helpdesk's webhooks; the helpdesk has to send them to `receiver.url`."""
        with Receiver() as receiver:
            yield receiver

    @pytest.fixture(scope="class")
    @classmethod
    def shared(cls) -> dict[str, Any]:
        """Return what the checks share."""
        return {}

    @pytest.fixture
    def context(  # noqa: PLR0913 - each is a fixture
        self,
        *,
        http: HttpClient,
        helpdesk: Helpdesk,
        wrong_token: Helpdesk | None,
        agent: HelpdeskAgent,
        receiver: Receiver,
        shared: dict[str, Any],
    ) -> Context:
        """Return what a check works with."""
        return Context(
            helpdesk,
            self.desk_id,
            self.category_id,
            agent=agent,
            receiver=receiver,
            wrong_token=wrong_token,
            within=self.within,
            page=self.page,
            exchanges=recorded(http),
            shared=shared,
        )

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    def test_conformance(
        self, check: Check, context: Context, record_property: Callable[[str, object], None]
    ) -> None:
        """Run a check."""
        result = judge(check, context)
        if result.outcome == "not checked":
            pytest.skip(result.detail)
        if result.outcome == "cannot":
            record_property(CANNOT, result.detail)
        for what, instead in context.helpdesk.cannot.items():
            record_property(CANNOT, f"{what}: {instead}")
        if result.outcome == "failed":
            pytest.fail("\n".join(reasons(result)), pytrace=False)
