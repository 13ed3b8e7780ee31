"""Files of comments in a real django-helpdesk."""

from typing import Any

import pytest

from clients.errors import Unavailable
from clients.helpdesk import Ticket
from clients.helpdesks.django_helpdesk import DjangoHelpdesk
from clients.media import File
from clients.text.markdown import to_markdown
from sandbox.django_helpdesk.agent import Agent
from sandbox.django_helpdesk.server import DjangoHelpdesk as Server
from tests.fakes.django_helpdesk import PHOTO, last_comment, new_comment, new_file, new_ticket, polled


def test_files_are_added_to_the_first_message(helpdesk: DjangoHelpdesk, agent: Agent) -> None:
    files = [new_file(), new_file("отчет 1.pdf", b"%PDF-", "application/pdf")]
    ticket = helpdesk.create_ticket(new_ticket(files=files), "key")
    assert sorted(last_comment(agent, ticket).files) == ["photo.png", "отчет 1.pdf"]


def test_a_file_comes_back_as_it_was(desk: Server, helpdesk: DjangoHelpdesk, ticket: Ticket) -> None:
    helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file()]), "key")
    stored = polled(helpdesk)
    assert stored == []
    url = desk.ticket(int(ticket.id))["followup_set"][-1]["followupattachment_set"][0]["file"]
    assert desk.http.get(url).content == PHOTO


def test_a_file_that_is_refused_is_named_and_the_rest_arrives(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    files = [new_file("clip.mp4", b"\0", "video/mp4"), new_file()]
    helpdesk.add_comment(ticket.id, new_comment("m_2", files=files), "key")
    shown = last_comment(agent, ticket)
    assert shown.files == ("photo.png",)
    assert shown.text.startswith(
        "Мария:\nAnything new?\n(The file “clip.mp4” could not be added: the helpdesk does not accept files"
    )


def test_a_file_with_a_long_name_keeps_it(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    name = "文" * 110 + ".png"
    helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file(name)]), "key")
    assert last_comment(agent, ticket).files == (name,)


def test_a_jpeg_is_taken_although_the_helpdesk_knows_only_jpg(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file("holiday.jpeg")]), "key")
    assert last_comment(agent, ticket).files == ("holiday.jpeg",)


def test_a_number_that_looks_like_a_tickets_leaves_no_note_there(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket
) -> None:
    other = agent.create("By hand", "…")
    text = to_markdown(f"my order #{other}, see http://example.com/a_b#top")
    helpdesk.add_comment(ticket.id, new_comment("m_2", text), "key")
    helpdesk.create_ticket(new_ticket("m_3", text), "key")
    assert len(agent.comments(other)) == 1


def test_files_of_the_same_name_all_arrive(helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket) -> None:
    helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file(), new_file()]), "key")
    assert len(last_comment(agent, ticket).files) == 2


def test_a_comment_whose_files_are_not_all_there_is_completed(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, added = helpdesk._add_file, list[str]()

    def fail_at_the_second(followup_id: int, file: File) -> None:
        if added:
            raise Unavailable("the connection to the helpdesk broke")
        added.append(file.filename)
        add(followup_id, file)

    monkeypatch.setattr(helpdesk, "_add_file", fail_at_the_second)
    with pytest.raises(Unavailable):
        helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file(), new_file()]), "key")
    monkeypatch.undo()
    assert helpdesk.comment_by_external_id(ticket.id, "m_2") is None

    helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file(), new_file()]), "key")
    assert helpdesk.comment_by_external_id(ticket.id, "m_2")
    assert len(last_comment(agent, ticket).files) == 2
    assert len(agent.comments(int(ticket.id))) == 2


def test_a_comment_whose_files_are_not_all_there_is_completed_on_a_closed_ticket(
    helpdesk: DjangoHelpdesk, agent: Agent, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise Unavailable("the connection to the helpdesk broke")

    monkeypatch.setattr(helpdesk, "_add_file", fail)
    with pytest.raises(Unavailable):
        helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file()]), "key")
    monkeypatch.undo()
    agent.close(int(ticket.id))
    helpdesk.add_comment(ticket.id, new_comment("m_2", files=[new_file()]), "key")
    assert helpdesk.comment_by_external_id(ticket.id, "m_2")


def test_a_look_that_fails_does_not_hide_how_long_to_wait(
    helpdesk: DjangoHelpdesk, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, posted = helpdesk.call, list[str]()

    def late(method: str, path: str, **options: Any) -> Any:
        if method == "POST":
            posted.append(path)
            raise Unavailable("the helpdesk did not answer in time", retry_after=10)
        if posted:
            raise Unavailable("the helpdesk answered 500")
        return call(method, path, **options)

    monkeypatch.setattr(helpdesk, "call", late)
    with pytest.raises(Unavailable) as error:
        helpdesk.add_comment(ticket.id, new_comment("m_2"), "key")
    assert error.value.retry_after == 10
