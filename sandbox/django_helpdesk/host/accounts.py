"""Who may log in, what they are called and where their tickets go: what the seed and its users agree on."""

CONNECTOR, AGENT, ADMIN = "fb-connector", "ola", "admin"
IDS = {CONNECTOR: 1, AGENT: 2, ADMIN: 3}
TOKEN = "3b0d5a7c9e1f42688642f1e9c7a5d0b3f4e2d6c8"
"""The connector's API token: `Authorization: Token …`."""

PASSWORDS = {AGENT: "agent-of-the-sandbox", ADMIN: "admin-of-the-sandbox"}

QUEUES = {"messenger": 7, "billing": 8}
"""Slug to id: the desks that the sandbox's pages lead to. `billing` has a default owner, the agent."""

CUSTOM_FIELDS = {"messenger_customer": "Messenger customer", "messenger_category": "Category"}
"""Name to label. In the API a name has the prefix `custom_`."""
