"""Every kind of event that Meta's webhooks bring: how it is read, and what becomes of it.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from clients.channel import GIVEN, WANTED, Echo, Edit, Event, Line, Message, OtherEvent, Receipt
from clients.channels.meta.attachments import attachments_of
from clients.channels.meta.fields import Fields
from clients.channels.meta.values import address, as_dict, as_list, as_text, is_true, milliseconds, proper_mid
from clients.notices import N_, Notice, Value, add_sentences, notice
from clients.text.line import one_line

MESSAGE, POSTBACK = "message", "postback"
"""The kinds of what was written, and of a button that was pressed: Meta gives both one mid."""
DELETED = "message_deleted"
"""The kind of event that a message was deleted. It has the mid of the message, and is another event."""
BY_PAGE = "by_page"
"""The key that marks an item whose sender is the page."""
FETCHED = "fetched"
"""The key that marks an item that no webhook brought: it was made of what the Conversations API shows."""
HISTORY = "history"
"""The key that marks one that was written before the page was connected."""
STANDBY = "standby"
"""The key that marks an item of `standby[]`, whose conversation another app holds; and its kind."""
NOTHING = "unknown"
"""The kind of an item that holds no event at all."""
ECHO = "echo"
"""The kind of a message that the page sent."""
# The fact sheets of Meta disagree on a digit of the Page inbox's app id; both are taken for it.
PAGE_INBOX_APP_IDS = frozenset({"26390203743090", "263902037430900"})
APPS_OF_META: Mapping[str, str] = dict.fromkeys(PAGE_INBOX_APP_IDS, "meta_inbox") | {
    "1217981644879628": "instagram_inbox",
    "413038776280800": "lead_ads",
}
"""The names of apps that are Meta's own."""
ENVELOPE = frozenset({"sender", "recipient", "timestamp", STANDBY, BY_PAGE, FETCHED, HISTORY})
"""The keys of an item that belong to each event in it."""
BESIDE = {"referral": frozenset({"lead"})}
"""The keys that belong to a kind of event beside its own."""
REFERENCE = (
    "https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/reference"
)
"""Where Meta describes its events, one page for each."""
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of event: how it is read, and what becomes of it.

    `page` is the vendor's, behind `REFERENCE`, where it has one; `field` the subscription that brings it, if
    the page is not called like that. `has_mid` says whether the mid in it is its
    own. One that does not `opens_ticket` is shown on an open ticket only, an `internal` one to agents only.
    One that is `about_page` is about no person, whoever it names. The field of one that `is_extra` is
    subscribed if Meta lets the app have it; it is no fault if not.
    """

    read: Callable[[Fields, str], Event]
    page: str = ""
    field: str = ""
    has_mid: bool = False
    opens_ticket: bool = True
    internal: bool = True
    is_receipt: bool = False
    about_page: bool = False
    is_extra: bool = False


def parse(item: Item, own_app_id: str = "") -> Event:
    """Read one item of `messaging[]`, or of `standby[]` if it is marked so; what no reader reads is shown."""
    kind, fields = kind_of(item), Fields(item)
    event = _with_own_app(row_of(kind).read(fields, kind), own_app_id)
    if isinstance(event, Receipt):
        return event
    fields.skip("timestamp", FETCHED, HISTORY)
    for side in ("sender", "recipient"):
        fields.object(side).text("id")
    is_overheard = fields.mark(STANDBY)
    fields.mark(BY_PAGE)
    more = [*_passed_on(fields), *_rest(fields, kind)]
    if is_overheard:
        more.append(Line(notice("in_standby")))
        event = replace(event, kind=STANDBY, is_overheard=True) if isinstance(event, Message) else event
    return replace(event, lines=(*event.lines, *more)) if more else event


_MOST_LINES = 30
"""How many lines are shown of an event whose kind nobody knows; it is kept whole."""


def _rest(item: Fields, kind: str) -> Iterator[Line]:
    """Show what no reader read."""
    for count, line in enumerate(item.rest(), 1):
        if count > _MOST_LINES and row_of(kind) is _UNKNOWN:
            yield Line("…")
            return
        yield line


def _passed_on(item: Fields) -> Iterator[Line]:
    """Show which app passed the conversation on, and what it said."""
    if "hop_context" not in item:
        return
    hop = item.object("hop_context")
    if app_id := hop.text("app_id"):
        yield Line(name_of_app(app_id), label=notice("passed_on_by"))
    if said := hop.text("metadata"):
        yield Line(said, label=notice("remark"))


def kind_of(item: Item) -> str:
    """Name the event by the key that holds it, as Meta's list of webhook events does."""
    if is_true(as_dict(item.get("message")).get("is_deleted")):
        return DELETED
    if known := next(kinds_in(item), None):
        return known
    return next((as_text(key) for key in sorted(item) if key not in ENVELOPE | {"hop_context"}), NOTHING)


def kinds_in(item: Item) -> Iterator[str]:
    """Yield the kinds of event that an item holds, by their keys."""
    found = [kind for kind in ROWS if item.get(kind) is not None]
    belongs = {beside for kind in found for beside in BESIDE.get(kind, ())}
    return (kind for kind in found if kind not in belongs)


def row_of(kind: str) -> Row:
    """Return what becomes of a kind of event, also of one that nobody knows yet."""
    return ROWS.get(kind, _EMPTY if kind == NOTHING else _UNKNOWN)


def content_of(item: Item, kind: str) -> Item:
    """Return what an item holds under its kind."""
    return as_dict(item.get("message" if kind == DELETED else kind))


def own_mid(item: Item, kind: str) -> str:
    """Return the mid that is the event's own; reactions and edits name the mid of another."""
    return proper_mid(as_text(content_of(item, kind).get("mid"))) if row_of(kind).has_mid else ""


def is_echo(message: Item) -> bool:
    """Return whether a message is marked as the page's own."""
    return is_true(message.get("is_echo"))


def _is_by_page(item: Fields) -> bool:
    """Return whether the page is who did it: where the door read the item, it marked that."""
    return is_true(item.get(BY_PAGE))


def _time(item: Fields) -> datetime:
    return datetime.fromtimestamp(milliseconds(item.get("timestamp")) / 1000, UTC)


def _happened(item: Fields, kind: str, summary: Notice, *lines: Line, about: str | None = None) -> OtherEvent:
    row, mid = row_of(kind), None if about is None else proper_mid(about)
    return OtherEvent(
        kind, _time(item), summary, mid, lines, opens_ticket=row.opens_ticket, internal=row.internal
    )


def _message(item: Fields, kind: str) -> Message | Echo:
    message = item.object("message")
    mid, time, text = proper_mid(message.text("mid")), _time(item), message.text("text")
    attachments = tuple(attachments_of(message, text))
    answered = _answered(message)
    by_page, app_id = message.mark("is_echo"), message.text("app_id")
    lines = tuple(_came_with(message, text))
    was_fetched, is_history = is_true(item.get(FETCHED)), is_true(item.get(HISTORY))
    if not by_page:
        return Message(
            mid, time, text, attachments, answered, lines, was_fetched=was_fetched, is_history=is_history,
            also_known_as=(f"{POSTBACK}:{mid}",) if was_fetched else (),
        )  # fmt: skip
    in_inbox = app_id in PAGE_INBOX_APP_IDS
    # Meta leaves the app id of its own inbox out at times; the Conversations API has none at all.
    is_by_agent = in_inbox or not (app_id or was_fetched)
    return Echo(
        mid, time, text, attachments,
        notice("from_somebody") if was_fetched else _author("" if is_by_agent else app_id),
        is_by_agent=is_by_agent, may_be_ours=not in_inbox, reply_to=answered, lines=lines,
        was_fetched=was_fetched, is_history=is_history,
    )  # fmt: skip


def _answered(message: Fields) -> str:
    """Return the mid of the message that one answers."""
    if "reply_to" not in message:
        return ""
    reply_to = message.object("reply_to")
    reply_to.mark("is_self_reply")
    return proper_mid(reply_to.text("mid") or message.code("reply_to"))


_AUTHORS = {
    "meta_inbox": "from_meta_inbox",
    "instagram_inbox": "from_instagram_inbox",
    "lead_ads": "from_lead_ads",
}


def _author(app_id: str) -> Notice:
    """Name the page, and the app with which somebody wrote for it; Meta's own inbox if it has no id."""
    if not app_id:
        return notice("from_meta_inbox")
    known = _AUTHORS.get(APPS_OF_META.get(app_id, ""))
    return notice(known) if known else notice("from_app", app_id=one_line(app_id))


_NOT_SHOWN = ("metadata", "seq", "nlp", "tags", "traits")
"""What a message holds that says nothing to agents."""


def _came_with(message: Fields, text: str) -> Iterator[Line]:
    """Show what came with a message: how it was written, and from where."""
    if message.mark("is_unsupported"):
        yield Line(notice("unsupported_message"))
    message.mark("is_deleted")
    message.mark("is_self")
    payload = message.object("quick_reply").text("payload") or message.text("quick_reply")
    if payload and payload != text:
        yield Line(one_line(payload), label=notice("quick_reply"))
    for command in message.objects("commands"):
        if name := command.text("name", "commands"):
            yield Line(one_line(name), label=notice("command"))
        yield from command.rest()
    yield from _came_from(message)
    message.skip(*_NOT_SHOWN)
    yield from message.rest()


def _came_from(content: Fields) -> Iterator[Line]:
    """Show from where the person came who wrote, or pressed, something."""
    if "referral" not in content:
        return
    referral = content.object("referral")
    is_ad, lines = referral.get("source") == "ADS", [*_referral_lines(referral)]
    if is_ad and not any(line.label == notice("advertisement") for line in lines):
        yield Line(notice("advertisement"))
    yield from lines


def _referral_lines(referral: Fields) -> Iterator[Line]:
    """Show from where a person came: an advertisement, a link, a product."""
    ad, product = referral.object("ads_context_data"), referral.object("product")
    title, id_, post = ad.text("ad_title"), referral.text("ad_id"), ad.code("post_id")
    url = f"https://www.facebook.com/{post}" if post.replace("_", "").isdecimal() else ""
    if title or id_:
        yield Line(" · ".join(filter(None, (title, id_))), url, label=notice("advertisement"))
    elif url:
        yield Line(url, url, label=notice("advertisement"))
    if url := ad.address("photo_url"):
        yield Line(notice("picture"), url, is_picture=True)
    if url := ad.address("video_url"):  # its thumbnail, as Meta's page says
        yield Line(notice("picture"), url, label=notice("video"), is_picture=True)
    if number := ad.text("product_id") or product.text("id"):
        yield Line(number, label=notice("product_number"))
    if ref := referral.text("ref"):
        yield Line(one_line(ref), label=notice("reference"))
    if page := referral.address("referer_uri").partition("?")[0]:  # behind it may be a secret
        yield Line(page, page, label=notice("web_page"))
    for code in ("source", "type"):
        referral.code(code)
    ad.code("flow_id")
    referral.mark("is_guest_user")
    yield from referral.rest()


def _edit(item: Fields, kind: str) -> Event:
    edit = item.object(kind)
    mid = proper_mid(edit.text("mid"))
    edit.skip("num_edit")
    if not mid or _is_by_page(item):
        return _other(item, kind)
    return Edit(mid, _time(item), edit.text("text"), kind, opens_ticket=row_of(kind).opens_ticket)


_EMOJI = {"love": "❤️", "smile": "😆", "angry": "😠", "sad": "😢", "wow": "😮", "like": "👍", "dislike": "👎"}


_ESCAPED = re.compile(r"\\u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))")
"""A character as JSON or JavaScript has it, but in a text."""


def _unescaped(text: str) -> str:
    """Return a text in which each character stands for itself: Meta's examples escape emoji twice."""

    def character(found: re.Match[str]) -> str:
        code = int(found[1] or found[2], 16)
        return found[0] if code > sys.maxunicode else chr(code)

    return _ESCAPED.sub(character, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_REACTIONS = {
    (False, False): ("reacted", "reacted_somehow"),
    (False, True): ("unreacted", "unreacted_somehow"),
    (True, False): ("page_reacted", "page_reacted_somehow"),
    (True, True): ("page_unreacted", "page_unreacted_somehow"),
}
"""The sentences by whether it is the page's, and taken back: with an emoji, and without."""


def _reaction(item: Fields, kind: str) -> OtherEvent:
    reaction = item.object(kind)
    name, emoji, mid = reaction.code("reaction"), reaction.text("emoji"), reaction.text("mid")
    shown = one_line(_unescaped(emoji) or _EMOJI.get(name, ""))
    with_emoji, without = _REACTIONS[_is_by_page(item), reaction.code("action") == "unreact"]
    return _happened(item, kind, notice(with_emoji if shown else without, reaction=shown), about=mid)


def _receipt(status: str) -> Callable[[Fields, str], Event]:
    """Return a reader of receipts. One that names neither mids nor a watermark is no receipt."""

    def read(item: Fields, kind: str) -> Event:
        receipt = as_dict(item.get(kind))
        if not {"watermark", "mids"} & receipt.keys():
            return _other(item, kind)
        mids = (proper_mid(as_text(mid)) for mid in as_list(receipt.get("mids")))
        return Receipt(status, milliseconds(receipt.get("watermark")), tuple(filter(None, mids)))

    return read


def _postback(item: Fields, kind: str) -> OtherEvent:
    postback = item.object(kind)
    postback.skip("mid")
    title, payload = postback.text("title"), postback.text("payload")
    summary = notice("button_pressed", title=one_line(title)) if title else notice("some_button_pressed")
    lines = [Line(one_line(payload), label=notice("payload"))] if payload and payload != title else []
    return _happened(item, kind, summary, *lines, *_came_from(postback))


_LEADS = {"LEAD_COMPLETE": "lead_complete", "LEAD_INCOMPLETE": "lead_incomplete"}


def _referral(item: Fields, kind: str) -> OtherEvent:
    """Read from where a person came, or, with its sibling `lead`, what they answered an advertisement."""
    referral = item.object(kind)
    type_, source = as_text(referral.get("type")), referral.get("source")
    code = _LEADS.get(type_) or ("came_by_ad" if source == "ADS" else "came_by_link")
    answers = _answers(item.object("lead").objects("data"))
    return _happened(item, kind, notice(code), *answers, *_referral_lines(referral))


def _lead(item: Fields, kind: str) -> OtherEvent:
    """Read answers to the form of an advertisement that came without a referral."""
    return _happened(item, kind, notice("lead"), *_answers(item.object(kind).objects("data")))


_ANSWERS = ("answer", "value", "values", "answers")
_YES_OR_NO = frozenset({"boolean", "bool", "yes_no"})


def _answers(pairs: list[Fields]) -> Iterator[Line]:
    """Show the answers of a form, each under its question."""
    for pair in pairs:
        question = one_line(pair.text("question", "label", "title", "name", "key"))
        is_yes = pair.truth(*_ANSWERS, is_question=as_text(pair.get("type")).lower() in _YES_OR_NO)
        answer = pair.words(*_ANSWERS) if is_yes is None else ""
        if is_yes is not None:
            yield Line(notice("yes" if is_yes else "no"), label=question, is_said=True)
        elif answer:
            yield Line(answer, address(answer), label=question)
        elif question:
            yield Line(question)
        yield from pair.rest()


def _form(item: Fields, kind: str) -> OtherEvent:
    form = item.object(kind)
    return _happened(item, kind, notice("form_submitted"), *_answers(form.objects("fields")))


def _optin(item: Fields, kind: str) -> OtherEvent:
    """Read an agreement to get messages. Its token is a secret, and not shown."""
    optin = item.object(kind)
    title, status = optin.text("title"), as_text(optin.get("notification_messages_status"))
    if status.startswith(("STOP", "RESUME")):
        optin.skip("notification_messages_status")
    code = "stopped_messages" if status.startswith("STOP") else "agreed_to_messages"
    lines = [Line(one_line(title), label=notice("topic"))] if title else []
    return _happened(item, kind, notice(code), *lines)


def name_of_app(app_id: Any) -> Notice:
    """Name an app that may hold a conversation."""
    id_ = as_text(app_id)
    if not id_:
        return notice("nobody")
    known = APPS_OF_META.get(id_)
    return notice(known) if known else notice("app", app_id=one_line(id_))


def is_app(app: Value, app_id: str) -> bool:
    """Return whether a notice names the app with this id."""
    return isinstance(app, Notice) and bool(app_id) and app.values.get("app_id") == app_id


def _with_own_app(event: Event, app_id: str) -> Event:
    """Name our own app, where an event has its number."""
    if isinstance(event, Echo) and is_app(event.author, app_id):
        return replace(event, author=notice("from_own_app"))
    if isinstance(event, OtherEvent):
        values = {
            name: notice("own_app") if is_app(value, app_id) else value
            for name, value in event.summary.values.items()
        }
        return replace(event, summary=notice(event.summary.code, **values))
    return event


def _control(code: str, key: str, control: str = GIVEN) -> Callable[[Fields, str], OtherEvent]:
    """Return a reader of who answers a conversation now, or wants to: the app that is named under `key`."""

    def read(item: Fields, kind: str) -> OtherEvent:
        content = item.object(kind)
        before, owner = content.text("previous_owner_app_id"), content.text(key)
        lines = [Line(said, label=notice("remark"))] if (said := content.text("metadata")) else []
        event = _happened(item, kind, _held(code, name_of_app(owner), name_of_app(before)), *lines)
        return replace(event, control=control)

    return read


def _held(code: str, owner: Notice, before: Notice) -> Notice:
    """Say who answers now, and who did before; Meta says null where it is nobody."""
    nobody = notice("nobody")
    if code == "control_passed" and before == nobody:
        code = "control_given"
    if owner == nobody:
        code = "control_left" if before == nobody else "control_left_by"
    return notice(code, owner=owner, before=before)


_ACTIONS = {"warning": "policy_warning", "block": "policy_block", "unblock": "policy_unblock"}


def _policy(item: Fields, kind: str) -> OtherEvent:
    content = item.object(kind)
    action, reason = content.code("action"), content.text("reason")
    lines = [Line(reason, label=notice("metas_reason"))] if reason else []
    event = _happened(item, kind, notice(_ACTIONS.get(action, "policy_other"), action=action), *lines)
    return replace(event, is_trouble=action != "unblock")


_SCORES = {"csat": "feedback_csat", "nps": "feedback_nps", "ces": "feedback_ces", "free_form": "in_words"}


def _feedback(item: Fields, kind: str) -> OtherEvent:
    """Read the answers to a feedback template.

    https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/templates/customer-feedback-template
    """
    lines: list[Line] = []
    for screen in item.object(kind).objects("feedback_screens"):
        screen.skip("screen_id")
        for name, question in screen.named_objects("questions"):
            lines += _answer(question, name)
    return _happened(item, kind, notice("gave_feedback"), *lines)


def _answer(question: Fields, name: str) -> Iterator[Line]:
    """Show what was answered to a question of a survey, then in which words."""
    type_, title = question.code("type"), question.text("title")
    label = title or (notice(_SCORES[type_]) if type_ in _SCORES else type_ or name)
    answer, more = question.words("payload"), question.object("follow_up")
    if answer or title:
        yield Line(answer, label=one_line(label) if isinstance(label, str) else label)
    more.code("type")
    if said := more.words("payload"):
        yield Line(said, label=notice("in_words"))
    yield from question.rest()


def _response_feedback(item: Fields, kind: str) -> OtherEvent:
    content = item.object(kind)
    rating, mid = one_line(content.text("feedback")), content.text("mid")
    return _happened(item, kind, notice("rated", rating=rating), about=mid)


def _linking(item: Fields, kind: str) -> OtherEvent:
    """Read that a person linked their account. The code that comes along is a secret, and not shown."""
    status = item.object(kind).code("status")
    code = {"linked": "account_linked", "unlinked": "account_unlinked"}.get(status, "account_linking")
    return _happened(item, kind, notice(code))


def _order(item: Fields, kind: str) -> OtherEvent:
    order = item.object(kind)
    lines = [line for product in order.objects("products") for line in _ordered(product)]
    lines += [Line(note, label=notice("remark"))] if (note := order.text("note")) else []
    return _happened(item, kind, notice("ordered"), *lines)


def _ordered(product: Fields) -> Iterator[Line]:
    number = product.text("retailer_id", "id")
    if name := product.text("name") or number:
        count, price = product.text("quantity") or "1", product.amount("unit_price")
        what = f"{count} × {name}" + (f" ({number})" if number and number != name else "")
        yield Line(f"{what}, {price} {product.text('currency')}".strip() if price else what)
    yield from product.rest()


_CALLS = {
    (False, "missed"): "called_in_vain",
    (False, "ended"): "call_ended",
    (True, ""): "page_called",
    (True, "missed"): "page_called_in_vain",
    (True, "ended"): "call_ended",
}
_ENDS = {
    "connect": "",
    "completed": "ended",
    "missed": "missed",
    "rejected": "missed",
    "no_answer": "missed",
    "terminate": "ended",
    "ended": "ended",
}


def _calls(item: Fields, kind: str) -> OtherEvent:
    """Read calls; of several the others are lines below the first."""
    first, *others = [
        _call(call, by_the_page=_is_by_page(item)) for call in item.objects(kind) or [Fields(None)]
    ]
    lines = [line for summary, more in others for line in (Line(summary), *more)]
    return _happened(item, kind, first[0], *first[1], *lines)


def _call(call: Fields, *, by_the_page: bool) -> tuple[Notice, list[Line]]:
    """Read a call: by whom, how it ended, and how long it was, in seconds."""
    by_page = call.code("direction") == "BUSINESS_INITIATED" or by_the_page
    ends = [_ENDS.get(as_text(call.get(key)).lower()) for key in ("event", "status")]
    for key, known in zip(("event", "status"), ends, strict=True):
        if known is not None:
            call.skip(key)
    end = max(filter(None, ends), default="")  # one that was missed ended, too
    seconds = call.text("call_duration", "duration")
    lines = [Line(f"{seconds} s", label=notice("duration"))] if seconds not in {"", "0"} else []
    return notice(_CALLS.get((by_page, end), "called")), lines


def _request(item: Fields, kind: str) -> OtherEvent:
    """Read that somebody whom the page does not know wants to write, or may."""
    if item.get(kind) == "accept":
        item.skip(kind)
        return _happened(item, kind, notice("message_request_accepted"))
    return _happened(item, kind, notice("message_request"))


def _deletion(item: Fields, kind: str) -> OtherEvent:
    message = item.object("message")
    code = "page_deleted_message" if message.mark("is_echo") else "customer_deleted_message"
    message.mark("is_deleted")
    return _happened(item, kind, notice(code), about=message.text("mid"))


def _told(code: str) -> Callable[[Fields, str], OtherEvent]:
    """Return a reader of what is shown as a sentence, with all that it holds."""

    def read(item: Fields, kind: str) -> OtherEvent:
        item.object(kind)  # its keys are shown without its own
        return _happened(item, kind, notice(code, kind=one_line(kind)))

    return read


_other = _told("unknown_event")

ROWS: dict[str, Row] = {
    MESSAGE: Row(_message, "messages", has_mid=True, internal=False),
    "message_edit": Row(_edit, "message-edits"),
    "reaction": Row(_reaction, "message-reactions", opens_ticket=False),
    "delivery": Row(_receipt("delivered"), "message-deliveries", is_receipt=True),
    "read": Row(_receipt("read"), "message-reads", is_receipt=True),
    POSTBACK: Row(_postback, "messaging_postbacks", has_mid=True),
    "referral": Row(_referral, "messaging_referrals"),
    "optin": Row(_optin, "messaging_optins"),
    "pass_thread_control": Row(
        _control("control_passed", "new_owner_app_id"), "messaging_handovers", opens_ticket=False
    ),
    "take_thread_control": Row(
        _control("control_taken", "new_owner_app_id"), "messaging_handovers", opens_ticket=False
    ),
    "request_thread_control": Row(
        _control("control_requested", "requested_owner_app_id", WANTED),
        "messaging_handovers",
        opens_ticket=False,
    ),
    "app_roles": Row(_told("app_roles_changed"), "messaging_handovers", opens_ticket=False),
    "policy_enforcement": Row(_policy, "messaging_policy_enforcement", opens_ticket=False, about_page=True),
    "account_linking": Row(_linking, "messaging_account_linking", opens_ticket=False, is_extra=True),
    # Whoever subscribes it has Messenger show its users thumbs to rate a message with.
    "response_feedback": Row(_response_feedback, "response_feedback", opens_ticket=False, is_extra=True),
    "messaging_feedback": Row(_feedback, field="messaging_feedback", is_extra=True),
    "lead": Row(_lead, field="messaging_referrals"),
    "order": Row(_order, "send_cart", is_extra=True),
    "form": Row(_form, field="messaging_in_thread_lead_form_submit", is_extra=True),
    "calls": Row(_calls, field="calls", is_extra=True),
    "message_request": Row(_request),  # Meta documents no field of its own for it
    # One that was deleted. It has the mid of the message, and is another event.
    DELETED: Row(_deletion, "messages", has_mid=True, opens_ticket=False),
}
"""Every kind of event, by the key that holds it; of an item with several of them each is an event."""
_UNKNOWN, _EMPTY = Row(_other), Row(_other)


def field_of(row: Row) -> str:
    """Return the subscription that brings a kind of event: Meta's page is called like it, if it has one."""
    return row.field or row.page.replace("-", "_")


UNASKED = frozenset({"response_feedback"})
"""The fields that are subscribed by an operator only: they change what people see in Messenger."""
NEEDED_FIELDS = (
    *dict.fromkeys(field_of(row) for row in ROWS.values() if field_of(row) and not row.is_extra),
    "message_echoes",
    "standby",
)
"""The fields that have to be subscribed, for the app and for each page, so that nothing is missing.

https://developers.facebook.com/docs/graph-api/webhooks/reference/page
"""
EXTRA_FIELDS = tuple(field_of(row) for row in ROWS.values() if row.is_extra and field_of(row) not in UNASKED)
"""The fields that are subscribed as well, where Meta lets the app have them."""

add_sentences(
    {
        "reacted": N_("The customer reacted with {reaction} to {message}."),
        "reacted_somehow": N_("The customer reacted to {message}."),
        "unreacted": N_("The customer took back the reaction {reaction} to {message}."),
        "unreacted_somehow": N_("The customer took back a reaction to {message}."),
        "page_reacted": N_("The page reacted with {reaction} to {message}."),
        "page_reacted_somehow": N_("The page reacted to {message}."),
        "page_unreacted": N_("The page took back the reaction {reaction} to {message}."),
        "page_unreacted_somehow": N_("The page took back a reaction to {message}."),
        "button_pressed": N_("The customer pressed the button “{title}”."),
        "some_button_pressed": N_("The customer pressed a button."),
        "came_by_link": N_("The customer opened the conversation through a link."),
        "came_by_ad": N_("The customer opened the conversation from an advertisement."),
        "lead_complete": N_("The customer filled in the form of an advertisement."),
        "lead_incomplete": N_("The customer did not finish the form of an advertisement."),
        "lead": N_("The customer answered the form of an advertisement."),
        "agreed_to_messages": N_("The customer agreed to receive messages."),
        "stopped_messages": N_("The customer does not want to receive messages any more."),
        "control_passed": N_("This conversation is answered by {owner} now; it was passed on by {before}."),
        "control_given": N_("This conversation is answered by {owner} now."),
        "control_left": N_("No app is in charge of this conversation now."),
        "control_left_by": N_("No app is in charge of this conversation now; before, it was {before}."),
        "control_taken": N_("This conversation was taken over by {owner}, which answers it now."),
        "control_requested": N_("This conversation was requested by {owner}, which wants to answer it."),
        "app_roles_changed": N_("The roles of the apps that answer for the page have changed."),
        "policy_warning": N_("Meta warns the page: its messages break a policy."),
        "policy_block": N_("Meta has blocked the page: it can send no messages."),
        "policy_unblock": N_("Meta has lifted the block: the page can send messages again."),
        "policy_other": N_("Meta enforces a policy against the page (“{action}”)."),
        "account_linked": N_("The customer linked their account."),
        "account_unlinked": N_("The customer unlinked their account."),
        "account_linking": N_("The customer changed how their account is linked."),
        "rated": N_("The customer rated {message}: “{rating}”."),
        "gave_feedback": N_("The customer answered a survey."),
        "feedback_csat": N_("Satisfaction"),
        "feedback_nps": N_("Would recommend"),
        "feedback_ces": N_("Ease"),
        "in_words": N_("In their words"),
        "yes": N_("Yes"),
        "no": N_("No"),
        "ordered": N_("The customer sent an order."),
        "form_submitted": N_("The customer submitted a form."),
        "called": N_("The customer called the page on Messenger."),
        "called_in_vain": N_("The customer called the page on Messenger, and nobody answered."),
        "page_called": N_("The page called the customer on Messenger."),
        "page_called_in_vain": N_("The page called the customer on Messenger, and they did not answer."),
        "call_ended": N_("A call on Messenger ended."),
        "duration": N_("Duration"),
        "message_request": N_("The customer sent a message request."),
        "message_request_accepted": N_("The customer's message request was accepted."),
        "customer_deleted_message": N_("The customer deleted {message} in Messenger."),
        "page_deleted_message": N_("The page deleted {message} in Messenger."),
        "unknown_event": N_("Messenger reported an event of the kind “{kind}”."),
        "in_standby": N_("Another app answers this conversation at present."),
        "unsupported_message": N_(
            "The customer sent something that Messenger does not pass on; view it in Meta Business Suite."
        ),
        "quick_reply": N_("Quick reply"),
        "command": N_("Command"),
        "payload": N_("Payload"),
        "advertisement": N_("Advertisement"),
        "video": N_("Video"),
        "product_number": N_("Product number"),
        "reference": N_("Reference"),
        "web_page": N_("Web page"),
        "topic": N_("Topic"),
        "remark": N_("Remark"),
        "metas_reason": N_("Reason"),
        "nobody": N_("no app"),
        "meta_inbox": N_("Meta's own inbox"),
        "instagram_inbox": N_("Meta's inbox for Instagram"),
        "lead_ads": N_("Meta's lead ads"),
        "passed_on_by": N_("Passed on by"),
        "app": N_("the app {app_id}"),
        "own_app": N_("this connector"),
        "messenger_user": N_("Messenger user {digits}"),
        "from_meta_inbox": N_("{page} (Meta inbox)"),
        "from_instagram_inbox": N_("{page} (Meta's inbox for Instagram)"),
        "from_lead_ads": N_("{page} (Meta's lead ads)"),
        "from_app": N_("{page} (app {app_id})"),
        "from_own_app": N_("{page} (this connector's app)"),
        "from_somebody": N_("{page} (Meta inbox or an app)"),
    }
)
