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
from connector.conformance.bench import Bench
from connector.conformance.checks import CHECKS
from connector.conformance.exchanges import recorded
from connector.conformance.hands import Hands
from connector.conformance.receiver import Receiver
from connector.conformance.report import reasons
from connector.conformance.suite import Check, judge
from connector.pytest_plugin import CANNOT


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
        """Give the connections that an adapter is made with."""
        with HttpClient() as http:
            yield http

    @pytest.fixture
    def helpdesk(self) -> Helpdesk:
        """Give the adapter that is checked."""
        raise NotImplementedError("the class needs a fixture `helpdesk`")

    @pytest.fixture
    def stranger(self) -> Helpdesk | None:
        """Give the same adapter with a wrong token."""
        return None

    @pytest.fixture
    def hands(self) -> Hands:
        """Give an agent: a class made from `Hands`."""
        return Hands()

    @pytest.fixture(scope="class")
    @classmethod
    def receiver(cls) -> Iterator[Receiver]:
        """Give what takes the helpdesk's webhooks: have it send them to `receiver.url`."""
        with Receiver() as receiver:
            yield receiver

    @pytest.fixture(scope="class")
    @classmethod
    def kept(cls) -> dict[str, Any]:
        """Give what the checks share."""
        return {}

    @pytest.fixture
    def bench(  # noqa: PLR0913 - each is a fixture
        self,
        *,
        http: HttpClient,
        helpdesk: Helpdesk,
        stranger: Helpdesk | None,
        hands: Hands,
        receiver: Receiver,
        kept: dict[str, Any],
    ) -> Bench:
        """Give what a check works with."""
        return Bench(
            helpdesk,
            self.desk_id,
            self.category_id,
            hands=hands,
            receiver=receiver,
            stranger=stranger,
            within=self.within,
            page=self.page,
            exchanges=recorded(http),
            kept=kept,
        )

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    def test_conformance(
        self, check: Check, bench: Bench, record_property: Callable[[str, object], None]
    ) -> None:
        """Run a check."""
        result = judge(check, bench)
        if result.outcome == "not checked":
            pytest.skip(result.detail)
        if result.outcome == "cannot":
            record_property(CANNOT, result.detail)
        for what, instead in bench.helpdesk.cannot.items():
            record_property(CANNOT, f"{what}: {instead}")
        if result.outcome == "failed":
            pytest.fail("\n".join(reasons(result)), pytrace=False)
