"""All the checks, in the order in which they are run."""

from connector.conformance import comments, tickets, webhooks
from connector.conformance.suite import CHECKS

__all__ = ["CHECKS", "comments", "tickets", "webhooks"]
