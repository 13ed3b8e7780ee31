"""docs/build-the-helpdesks-side.md: its vector and commands are right."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from clients.helpdesk import InvalidWebhook
from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from tests.fakes.openapi import check_webhook
from tests.fakes.vendor import PAGE, TOKEN, Example


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


# --- The vector. --------------------------------------------------------------------------------------------


class Vector:
    """What the page signs, as it stands there."""

    def __init__(self) -> None:
        text = PAGE.read_text()
        self.secret, self.id, self.timestamp = (
            re.findall(rf"^\| {name} \| `(\S+)` \|$", text, re.MULTILINE)[0]
            for name in ("secret", "`webhook-id`", "`webhook-timestamp`")
        )
        (body,) = blocks("json")
        self.body = body.strip().encode()
        self.signature = re.findall(r"^webhook-signature: (\S+)$", text, re.MULTILINE)[0]
        self.headers = {
            "webhook-id": self.id,
            "webhook-timestamp": self.timestamp,
            "webhook-signature": self.signature,
            "content-type": "application/json",
        }


def test_the_connector_takes_the_webhook_of_the_page() -> None:
    vector = Vector()
    with HttpClient() as http:
        helpdesk = RestHelpdesk(http, base_url="http://x.test", api_token="t", webhook_secret=vector.secret)
        helpdesk.clock = lambda: float(vector.timestamp)
        event = helpdesk.receive(vector.body, vector.headers, "")

        with pytest.raises(InvalidWebhook):
            helpdesk.receive(vector.body + b"\n", vector.headers, "")
    assert event
    assert event.comment
    assert (event.comment.id, event.comment.body) == ("981", "Dzień dobry, **Anna**!")
    check_webhook("comment.created", vector.headers, vector.body)


def test_the_library_of_standard_webhooks_signs_as_the_page_does() -> None:
    vector = Vector()
    moment = datetime.fromtimestamp(int(vector.timestamp), UTC)

    assert Webhook(vector.secret).sign(vector.id, moment, vector.body.decode()) == vector.signature


def test_the_page_tells_how_long_its_body_is() -> None:
    assert f"({len(Vector().body)} bytes)" in PAGE.read_text()


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
def test_the_commands_of_the_page_sign_its_webhook(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(Vector().body)
    (commands,) = [block for block in blocks("sh") if "openssl" in block]
    run = subprocess.run(["sh", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert f"v1,{run.stdout.strip()}" == Vector().signature


# --- The commands. ------------------------------------------------------------------------------------------


def test_the_calls_of_the_page_by_hand_are_answered_as_it_says(desk: Example, tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (commands,) = [block for block in blocks("sh") if "try:1:file" in block]
    commands = commands.replace("http://127.0.0.1:9000", desk.url)
    run = subprocess.run(
        ["sh", "-euc", commands],
        cwd=tmp_path,
        env={**os.environ, "TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=True,
    )

    ping, file, first, again, found = run.stdout.splitlines()
    assert re.fullmatch(r'\{"tickets": ?\[\]\} 200', ping)
    assert file.endswith(" 201")
    assert first == again
    assert first.endswith(" 201")
    assert found.endswith(" 200")
    assert found.count('"external_id":"m_1"') == 1
