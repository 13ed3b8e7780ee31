"""An agent of the sandbox helpdesk who does what the conformance checks ask."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import httpx

from clients.helpdesk import Attachment
from clients.media import File
from clients.text.plain import to_plain_text
from conformance.agent import Filed, HelpdeskAgent, Shown


class SandboxAgent(HelpdeskAgent):
    """An agent of the sandbox helpdesk, by its orders."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def close_ticket(self, ticket_id: str) -> None:
        self._order(f"/tickets/{ticket_id}/close")

    def reopen_ticket(self, ticket_id: str) -> None:
        self._order(f"/tickets/{ticket_id}/reopen")

    def reply_as_agent(
        self, ticket_id: str, text: str, *, internal: bool = False, files: Sequence[File] = ()
    ) -> None:
        sent = [
            {
                "filename": one.filename,
                "content_type": one.content_type,
                "base64": b64encode(one.stream.read()).decode(),
            }
            for one in files
        ]
        self._order(f"/tickets/{ticket_id}/comments", {"body": text, "internal": internal, "files": sent})

    def reply_and_close(self, ticket_id: str, text: str) -> None:
        self._order(f"/tickets/{ticket_id}/comments", {"body": text, "close": True})

    def merge_ticket(self, ticket_id: str, into: str) -> None:
        self._order(f"/tickets/{ticket_id}/merge", {"into": into})

    def forbid_ticket(self, ticket_id: str) -> None:
        self._http.put("/sandbox/settings", json={"forbidden": [ticket_id]}).raise_for_status()

    def read_ticket(self, ticket_id: str) -> Filed:
        ticket = self._read(ticket_id)
        return Filed(ticket["desk_id"], ticket["category_id"], ticket["requester"]["name"])

    def read_comments(self, ticket_id: str) -> list[Shown]:
        ticket = self._read(ticket_id)
        first = {**ticket, "internal": False}
        return [_shown(one) for one in (first, *ticket["comments"])]

    def _read(self, ticket_id: str) -> dict[str, Any]:
        tickets = self._http.get("/sandbox/tickets").json()["tickets"]
        return next(one for one in tickets if one["id"] == ticket_id)

    def _order(self, path: str, body: Any = None) -> None:
        self._http.post(f"/sandbox{path}", json=body).raise_for_status()


def _shown(told: dict[str, Any]) -> Shown:
    files = [
        Attachment(one["id"], one["url"], one["filename"], one["content_type"], one["size"])
        for one in told["attachments"]
    ]
    return Shown(to_plain_text(told["body"], told["body_format"]), told["internal"], files)
