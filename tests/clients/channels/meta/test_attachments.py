"""What messages bring: attachments, locations, links, templates."""

import json

import pytest

from clients.channel import Line, MessageAttachment
from clients.notices import notice
from tests.fakes.events import parsed_message


@pytest.mark.parametrize(
    "attachment",
    [
        "null",
        "[]",
        '"image"',
        '{"type": "image", "payload": {"url": "javascript:alert(1)"}}',
        '{"type": "image", "payload": {"url": "http://["}}',
        '{"type": "image", "payload": {"url": ["https://example.com"]}}',
    ],
)
def test_an_attachment_without_a_web_address_has_none(attachment: str) -> None:
    (found,) = parsed_message(f'{{"mid": "m_1", "attachments": [{attachment}]}}').attachments
    assert found.url == ""


@pytest.mark.parametrize(
    ("coordinates", "rest"),
    [
        ("null", []),
        ("[]", []),
        ('{"lat": "north"}', [Line("north", label=notice("latitude"))]),
        ('{"lat": NaN, "long": 1}', [Line("1", label=notice("longitude"))]),
    ],
)
def test_a_location_without_coordinates_keeps_its_title_and_what_it_has(
    coordinates: str, rest: list[Line]
) -> None:
    attachment = f'{{"type": "location", "title": "Here", "payload": {{"coordinates": {coordinates}}}}}'
    message = parsed_message(f'{{"mid": "m_1", "attachments": [{attachment}]}}')
    lines = (Line("Here", label=notice("location")), *rest)
    assert message.attachments == (MessageAttachment("location", lines=lines),)


def test_a_location_beside_the_meridian_keeps_its_place() -> None:
    attachment = '{"type": "location", "payload": {"coordinates": {"lat": 51.5, "long": 0.00005}}}'
    (found,) = parsed_message(f'{{"mid": "m_1", "attachments": [{attachment}]}}').attachments
    assert found.lines[1] == Line("51.5,0.00005")


@pytest.mark.parametrize(
    "redirect",
    [
        "https://l.facebook.com/l.php?u={}&h=AT0",
        "https://lm.facebook.com/l.php?u={}",
        "http://l.messenger.com/l.php?u={}",
        "https://www.facebook.com/l.php?u={}",
        "https://l.instagram.com/?u={}",
        "https://l.instagram.com/l.php?u={}",
        "fbrpc://facebook/nativethirdparty?app_id=1&target_url={}",
        "https://l.facebook.com/l.php?u=https%3A%2F%2Flm.facebook.com%2Fl.php%3Fu%3Dhttps%253A%252F%252Fexample.com%252Fa%253Fb%253D1",
    ],
)
def test_a_link_through_metas_redirects_leads_to_its_target(redirect: str) -> None:
    url = redirect.format("https%3A%2F%2Fexample.com%2Fa%3Fb%3D1")
    message = {"mid": "m_1", "attachments": [{"type": "fallback", "payload": {"url": url, "title": "T"}}]}
    assert parsed_message(json.dumps(message)).attachments == (
        MessageAttachment("fallback", lines=(Line("T", "https://example.com/a?b=1"),)),
    )


BUTTONS = [
    {"type": "web_url", "url": "https://sklep.example/z", "title": "Znajdz sklep"},
    {"type": "postback", "title": "Zamow", "payload": "X"},
]
SHOWN_BUTTONS = (
    Line("Znajdz sklep", "https://sklep.example/z", is_button=True),
    Line("Zamow", is_button=True),
)
ELEMENT = {"title": "Buty", "subtitle": "czerwone", "buttons": BUTTONS[:1]}


def _template(text: str | None, payload: dict[str, object], **attachment: object) -> tuple[Line, ...]:
    said = {} if text is None else {"text": text}
    message = {"mid": "m_1", "attachments": [{"type": "template", "payload": payload} | attachment]} | said
    ((found),) = parsed_message(json.dumps(message)).attachments
    assert found.kind == "template"
    assert found.url == ""
    return found.lines


def test_a_template_says_its_text_once_then_its_buttons() -> None:
    payload: dict[str, object] = {"template_type": "button", "buttons": BUTTONS}
    assert _template("Co dalej?", payload, url=None, title="Co dalej?") == SHOWN_BUTTONS
    assert _template(None, payload | {"text": "Co dalej?"}) == (Line("Co dalej?"), *SHOWN_BUTTONS)


def test_a_template_of_what_the_message_says_adds_nothing() -> None:
    assert _template("Hej", {"template_type": "button", "text": "Hej"}) == ()


def test_a_generic_template_shows_its_elements() -> None:
    lines = _template(None, {"template_type": "generic", "elements": [ELEMENT]})
    assert lines == (Line("Buty"), Line("czerwone"), SHOWN_BUTTONS[0])


def test_a_media_template_is_a_picture_and_no_link_to_metas_error_page() -> None:
    nowhere = {"title": "", "url": "https://www.facebook.com/commerce/update/"}
    assert _template(None, {"template_type": "media"}, **nowhere) == (Line(notice("template_picture")),)
    video = {"media_type": "video", "buttons": BUTTONS[1:]}
    lines = _template(None, {"template_type": "media", "elements": [video]}, **nowhere)
    assert lines == (Line(notice("template_video")), SHOWN_BUTTONS[1])


def test_metas_error_page_is_no_link() -> None:
    nowhere = {
        "type": "fallback",
        "title": "",
        "url": "https://www.facebook.com/commerce/update/",
        "payload": None,
    }
    assert parsed_message(json.dumps({"mid": "m_1", "attachments": [nowhere]})).attachments == (
        MessageAttachment("fallback", lines=(Line(notice("unsupported_share")),)),
    )


def test_a_template_of_another_kind_says_so() -> None:
    assert _template(None, {"template_type": "receipt"}) == (
        Line(notice("unknown_template", kind="receipt")),
    )


BUTTON = Line("Buy", "https://shop.example/7", is_button=True)
PRODUCT = '{"mid": "m_1", "attachments": [{"type": "template", "payload": {"product": {"elements": [%s]}}}]}'


@pytest.mark.parametrize(
    ("element", "lines"),
    [
        ('"subtitle": "Blue, 0.3 l"', (Line("Blue, 0.3 l"),)),
        ('"buttons": [{"title": "Buy", "url": "https://shop.example/7"}]', (BUTTON,)),
        ('"subtitle": "Blue", "buttons": [{"title": "Buy"}]', (Line("Blue"), Line("Buy", is_button=True))),
        (
            '"url": "https://shop.example/7"',
            (Line("https://shop.example/7", "https://shop.example/7", label=notice("product")),),
        ),
        ('"title": "A mug", "buttons": [{}, {"title": " "}]', (Line("A mug", label=notice("product")),)),
    ],
)
def test_a_product_shows_what_it_has(element: str, lines: tuple[Line, ...]) -> None:
    (found,) = parsed_message(PRODUCT % f"{{{element}}}").attachments
    assert found.lines == lines


def test_a_product_of_nothing_is_named_by_its_kind() -> None:
    (found,) = parsed_message(PRODUCT % "{}").attachments
    assert found.lines[0] == Line(notice("unknown_attachment", kind="template"))
