"""What ours is compared with: tasks of the same Celery app that do nothing, or nothing but one POST.

A worker of their own runs them, so that ours is measured as it is shipped.
"""

from typing import Any

import httpx
from celery import signals

from connector.settings import get_settings
from tasks.celery import app

EMPTY, ONE_POST = "benchmarks.empty", "benchmarks.one_post"
PLAIN = "plain"
"""The queue of these tasks."""
_http = httpx.Client(trust_env=False)


@signals.worker_init.connect
def acknowledge(**_: Any) -> None:
    """Have messages acknowledged, as anybody needs it who keeps the work in them; ours may be lost."""
    app.conf.broker_transport_options = app.conf.broker_transport_options | {"ack_emulation": True}


@app.task(name=EMPTY)
def empty(number: int) -> None:
    """Do nothing."""


@app.task(name=ONE_POST)
def one_post(number: int) -> None:
    """Add a comment to a ticket, and forget about it."""
    comment = {
        "body": f"message {number}",
        "body_format": "markdown",
        "external_id": f"m_{number}",
        "author": {"type": "customer", "name": "Anna Nowak", "external_id": "7000000000000000"},
        "internal": False,
        "attachment_ids": [],
        "created_at": "2026-11-23T10:00:00.000Z",
        "config": {"source": "facebook_messenger"},
    }
    helpdesk = get_settings().helpdesk
    _http.post(
        f"{helpdesk.base_url}/tickets/1/comments",
        json={"comment": comment},
        headers={"Authorization": f"Bearer {helpdesk.api_token.get_secret_value()}"},
    ).raise_for_status()
