"""A comment on a real django-helpdesk is a template.

The facts are of django-helpdesk 2.6.1: a test that goes red with a later one tells what that one does better.
"""

import re

import pytest

from sandbox.django_helpdesk.server import DjangoHelpdesk
from tests.fakes.sandbox_django_helpdesk import Receiver, add, comments, new_ticket


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("{{ ticket.title }}!", "Anna!"),
        ("{# hidden #}visible", "visible"),
        ("{{ 'a' }}", "a"),
        (" spaces \n", "spaces"),
        ("{{", "{{"),
        ("{#", "{#"),
        ("{% load x %}", "{% load x %}"),
        ("{% verbatim %}", "{% verbatim %}"),
        ("<b>&amp;'\"", "<b>&amp;'\""),
    ],
)
def test_a_comment_is_rendered(desk: DjangoHelpdesk, ticket: int, typed: str, stored: str) -> None:
    assert add(desk, ticket, typed).json()["comment"] == stored


POISON = [
    "{{ }}",
    "{{ a|b }}",
    "{{{ a }}}",
    "{%",
    "100%}",
    "{% endverbatim %}",
    "X-HELPDESK-COMMENT-VERBATIM",
    "X-HELPDESK-COMMENT-ENDVERBATIM",
]


@pytest.mark.parametrize("text", POISON)
def test_a_comment_that_is_no_template_is_an_error_and_not_stored(
    desk: DjangoHelpdesk, ticket: int, text: str
) -> None:
    assert add(desk, ticket, text).status_code == 500
    assert comments(desk, ticket) == ["Hello"]


def test_a_description_is_stored_as_typed(desk: DjangoHelpdesk) -> None:
    ticket = new_ticket(desk, description=" ".join(POISON))

    assert desk.ticket(ticket)["description"] == " ".join(POISON)
    assert comments(desk, ticket) == [" ".join(POISON)]


def test_braces_and_the_helpdesks_own_word_can_be_written_so_that_they_arrive_as_typed(
    desk: DjangoHelpdesk, ticket: int
) -> None:
    text = " ".join([*POISON, "{# a #}", "{%}", "{%\n%}", "}}", "<'\">&"])
    braces = re.sub(r"[{}]", lambda found: f'{{{{ "{found[0]}" }}}}', text)
    escaped = braces.replace("X-HELPDESK", 'X{{ "" }}-HELPDESK')

    assert add(desk, ticket, escaped).json()["comment"] == text


def test_a_changed_comment_is_stored_as_typed_and_no_webhook_tells(
    desk: DjangoHelpdesk, receiver: Receiver, ticket: int
) -> None:
    followup = add(desk, ticket).json()["id"]
    told = len(receiver.of(ticket))
    changed = desk.http.patch(f"/api/followups/{followup}/", json={"comment": " ".join(POISON)})

    assert changed.json()["comment"] == " ".join(POISON)
    assert len(receiver.of(ticket)) == told
