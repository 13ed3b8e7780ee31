"""A person at the terminal does what the checks ask of an agent, and says what they see."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from clients.helpdesks.rest import RestHelpdesk
from clients.http import HttpClient
from conformance import terminal_agent
from conformance.agent import HelpdeskAgent
from conformance.checks import CHECKS
from conformance.context import Context
from conformance.outcome import Cannot, NotChecked
from conformance.runner import judge
from conformance.samples import Content
from sandbox.stack import free_port
from tests.fakes.sandbox_agent import SandboxAgent
from tests.fakes.sandbox_helpdesk import SECRET, TOKEN, Desk, social_media_desk


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    url = f"http://127.0.0.1:{free_port()}/social_media/webhooks/helpdesk"
    with social_media_desk(tmp_path_factory.mktemp("helpdesk"), url) as desk:
        yield desk


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that asks a person for something, answers for them, and returns what they read."""

    def ask(do: Callable[[HelpdeskAgent], object], answer: str = "", url: str = "") -> str:
        monkeypatch.setattr("click.prompt", lambda *_, **__: answer)
        with terminal_agent.Files() as files:
            do(terminal_agent.TerminalAgent(files, lambda _: url))
        return capsys.readouterr().err

    return ask


def test_a_person_gets_the_files_to_add_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("click.echo", lambda text, **_: said.append(text))
    monkeypatch.setattr("click.prompt", lambda *_, **__: "")
    content = Content("żółw a.txt", "text/plain", "żółw".encode("cp1250"))
    with terminal_agent.Files() as files:
        terminal_agent.TerminalAgent(files).reply_as_agent("12", "Hello", files=[content.open()])
        url = said[0].split()[-1]
        answer = httpx.get(url, trust_env=False)
        missing = httpx.get(f"{files.origin}/99/x", trust_env=False)
    assert "Write a public reply on ticket 12:\n\n    Hello\n" in said[0]
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/%C5%BC%C3%B3%C5%82w%20a.txt")
    assert answer.content == content.data
    assert answer.headers["content-disposition"] == "attachment"
    assert missing.status_code == 404


def test_a_person_gets_a_long_line_to_copy_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("click.echo", lambda text, **_: said.append(text))
    monkeypatch.setattr("click.prompt", lambda *_, **__: "")
    with terminal_agent.Files() as files:
        terminal_agent.TerminalAgent(files).reply_as_agent("12", "x" * 80)
        (url,) = (word.strip(",") for word in said[0].split() if word.startswith("http"))
        assert httpx.get(url, trust_env=False).text == "x" * 80


def test_a_person_is_told_where_the_ticket_is(asked: Callable[..., str]) -> None:
    told = asked(lambda agent: agent.close_ticket("12"), url="https://acme.example.com/tickets/12")
    assert "Close ticket 12 (https://acme.example.com/tickets/12)." in told


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda agent: agent.close_ticket("12"), "Close ticket 12."),
        (lambda agent: agent.reopen_ticket("12"), "Open ticket 12 again."),
        (
            lambda agent: agent.reply_as_agent("12", "Hello", internal=True),
            "Write an internal comment on ticket 12:",
        ),
        (lambda agent: agent.reply_as_agent("12", ""), "Write a public reply on ticket 12, without any text"),
        (
            lambda agent: agent.reply_and_close("12", "Bye"),
            "Write a public reply on ticket 12, and close it in the same step:\n\n    Bye",
        ),
        (
            lambda agent: agent.merge_ticket("12", "13"),
            "Merge ticket 12 into ticket 13, so that 13 is the one",
        ),
        (
            lambda agent: agent.forbid_ticket("12"),
            "Take the right to see ticket 12 from the connector's user",
        ),
    ],
)
def test_a_person_is_asked_in_plain_words(
    capsys: pytest.CaptureFixture[str],
    asked: Callable[..., str],
    do: Callable[[HelpdeskAgent], None],
    words: str,
) -> None:
    with pytest.raises(NotChecked, match="skipped"):
        asked(do, "S")
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "do",
    [
        lambda agent: agent.reply_and_close("12", "Bye"),
        lambda agent: agent.merge_ticket("12", "13"),
        lambda agent: agent.forbid_ticket("12"),
    ],
)
def test_a_person_may_say_that_the_helpdesk_has_no_such_thing(
    asked: Callable[..., str], do: Callable[[HelpdeskAgent], None]
) -> None:
    with pytest.raises(Cannot, match="nothing depends on it"):
        asked(do, "n")


class Looking(SandboxAgent):
    """Agents whom somebody sits beside who is asked what they see."""

    def __init__(self, http: httpx.Client, answer: str) -> None:
        super().__init__(http)
        self._answer, self.claims = answer, [""]

    def confirm(self, ticket_id: str, claim: str) -> bool:
        self.claims.append(claim)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("click.prompt", lambda *_, **__: self._answer)
            with terminal_agent.Files() as files:
                return terminal_agent.TerminalAgent(files).confirm(ticket_id, claim)


SEEN = {
    "a ticket is where it was asked for, and in its customer's name",
    "messages to a merged ticket stand on the one that is left, once",
    "a customer's empty file does not hold up its message",
    "a customer's text files keep their encoding",
    "comments stand in their order",
    "internal comments stay internal",
    "a customer's files are there, byte for byte",
    "a file that is refused is named, and the text is there",
    "texts are shown as they were typed",
    "a text of 60,000 characters is shown whole",
}


@pytest.mark.parametrize(("answer", "outcome"), [("y", "passed"), ("n", "failed"), ("s", "not checked")])
def test_a_person_says_what_nothing_else_can_read(desk: Desk, answer: str, outcome: str) -> None:
    looking = Looking(desk.http, answer)
    with HttpClient() as http:
        helpdesk = RestHelpdesk(http, base_url=f"{desk.url}/api/v1", api_token=TOKEN, webhook_secret=SECRET)
        context = Context(helpdesk, "7", agent=looking)
        outcomes = {one.name: judge(one, context).outcome for one in CHECKS if one.name in SEEN}

    assert outcomes == dict.fromkeys(SEEN, outcome)
    assert any("{{ ticket.submitter_email }}" in claim for claim in looking.claims) is (answer == "y")
