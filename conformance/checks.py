"""All the checks, in the order in which they are run."""

# The order of these imports is that of the checks.
# isort: off
from conformance import tickets
from conformance import states
from conformance import comments
from conformance import texts
from conformance import files
from conformance import agents
from conformance import webhooks

# isort: on
from conformance.check import CHECKS

__all__ = ["CHECKS", "agents", "comments", "files", "states", "texts", "tickets", "webhooks"]
