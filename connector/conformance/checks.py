"""All the checks, in the order in which they are run."""

# The order of these imports is that of the checks.
# isort: off
from connector.conformance import tickets, states, comments, texts, files, agents, webhooks

# isort: on
from connector.conformance.suite import CHECKS

__all__ = ["CHECKS", "agents", "comments", "files", "states", "texts", "tickets", "webhooks"]
