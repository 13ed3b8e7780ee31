"""The whole product beside a sandbox Meta and a real django-helpdesk."""

import secrets
from typing import Any, ClassVar

from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.host.accounts import AGENT, IDS, QUEUES
from sandbox.django_helpdesk.server import DjangoHelpdesk
from sandbox.django_helpdesk.staff import DjangoStaff
from sandbox.stack import Stack
from sandbox.staff import Staff


class DjangoStack(Stack):
    """A stack with a django-helpdesk in the sandbox helpdesk's place, and an agent who works in its pages.

    Its queues have the ids of the desks that the sandbox's pages lead to. What `Stack` can ask of a sandbox
    helpdesk (`ask_desk`, `tickets`, `reply`) is not for this one: ask `desk` and `agent`.
    """

    helpdesk: ClassVar[str] = "django-helpdesk"
    staff_of: ClassVar[type[Staff]] = DjangoStaff
    desk: DjangoHelpdesk

    def choose_desk(self, port: int) -> dict[str, Any]:
        """Install a fresh django-helpdesk. Return the connector's settings of it."""
        self.webhook_secret = secrets.token_urlsafe(24)
        hook = f"{self.url}/social_media/webhooks/helpdesk/{self.webhook_secret}"
        self.desk = DjangoHelpdesk(self.folder / "helpdesk", port=port, followup_webhook=hook)
        self.desk_url, self.api_token = self.desk.site, self.desk.token
        self.agent = Agent(self.desk.url)
        owned = [f"desk:{QUEUES['billing']}", *(page.category_id for page in self.pages if page.category_id)]
        return {
            "adapter": "django_helpdesk",
            "base_url": self.desk.url,
            "api_token": self.api_token,
            "webhook_secret": self.webhook_secret,
            "options": {"owners": dict.fromkeys(owned, IDS[AGENT])},
        }

    def start_desk(self) -> None:
        """Start the helpdesk, and wait until it answers."""
        self.desk.start()

    def prepare_desks(self) -> None:
        """Do nothing: the queues are there from the installation."""

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.agent.__exit__()
        self.desk.http.close()
