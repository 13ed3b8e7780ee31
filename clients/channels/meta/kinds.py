"""Every kind of event that Meta's webhooks bring: how it is read, and what becomes of it.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from clients.channel import Echo, Edit, Event, Line, Message, OtherEvent, Receipt
from clients.channels.meta.attachments import attachments_of, leaves
from clients.channels.meta.values import (
    address,
    amount,
    as_dict,
    as_list,
    as_text,
    dicts,
    is_true,
    milliseconds,
    proper_mid,
)
from clients.notices import N_, Notice, Value, add_sentences, notice
from clients.text.line import one_line

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
ENVELOPE = frozenset({"sender", "recipient", "timestamp", "lead", STANDBY, BY_PAGE, FETCHED, HISTORY})
"""The keys of an item that belong to each event in it."""
REFERENCE = (
    "https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/reference"
)
"""Where Meta describes its events, one page for each."""
Item = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A kind of event: how it is read, and what becomes of it.

    `page` is the vendor's, behind `REFERENCE`, where it has one. `has_mid` says whether the mid in it is its
    own. One that does not `opens_ticket` is shown on an open ticket only, an `internal` one to agents only.
    An operator is to see one that `is_notable` even if it names no person, such as an opt-in on a web page.
    One that `is_extra` comes where an operator subscribes its field; nobody is missing it elsewhere.
    """

    read: Callable[[Item, str], Event]
    page: str = ""
    has_mid: bool = False
    opens_ticket: bool = True
    internal: bool = True
    is_receipt: bool = False
    is_notable: bool = False
    is_extra: bool = False


def parse(item: Item, own_app_id: str = "") -> Event:
    """Read one item of `messaging[]`, or of `standby[]` if it is marked so."""
    kind = kind_of(item)
    event = _with_own_app(row_of(kind).read(item, kind), own_app_id)
    if isinstance(event, Receipt):
        return event
    lines = (*event.lines, *_beside(item, kind))
    if not is_true(item.get(STANDBY)):
        return replace(event, lines=lines)
    event = replace(event, lines=(*lines, Line(notice("in_standby"))))
    return replace(event, kind=STANDBY, is_overheard=True) if isinstance(event, Message) else event


def _beside(item: Item, kind: str) -> Iterator[Line]:
    """Show what stands in an item beside its event and its envelope."""
    shown = {"message" if kind == DELETED else kind} | ({"lead"} if kind == "referral" else set())
    known = ENVELOPE - {"lead"} | shown
    beside = {key: item[key] for key in item if key not in known}
    return leaves(beside)


def kind_of(item: Item) -> str:
    """Name the event by the key that holds it, as Meta's list of webhook events does."""
    if is_true(as_dict(item.get("message")).get("is_deleted")):
        return DELETED
    if known := next(kinds_in(item), None):
        return known
    return next((as_text(key) for key in sorted(item) if key not in ENVELOPE | {"hop_context"}), NOTHING)


def kinds_in(item: Item) -> Iterator[str]:
    """Yield the kinds of event that an item holds, by their keys."""
    return (kind for kind in ROWS if item.get(kind) is not None)


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


def _is_by_page(item: Item) -> bool:
    """Return whether the page is who did it: where the door read the item, it marked that."""
    return is_true(item.get(BY_PAGE))


def _time(item: Item) -> datetime:
    return datetime.fromtimestamp(milliseconds(item.get("timestamp")) / 1000, UTC)


_NONE = object()


def _happened(item: Item, kind: str, summary: Notice, *lines: Line, about: Any = _NONE) -> OtherEvent:
    row, mid = row_of(kind), None if about is _NONE else proper_mid(as_text(about))
    return OtherEvent(
        kind, _time(item), summary, mid, lines, opens_ticket=row.opens_ticket, internal=row.internal
    )


def _message(item: Item, kind: str) -> Message | Echo:
    message = content_of(item, kind)
    mid, time = proper_mid(as_text(message.get("mid"))), _time(item)
    text, attachments = as_text(message.get("text")), tuple(attachments_of(message))
    reply_to = proper_mid(as_text(as_dict(message.get("reply_to")).get("mid")))
    lines = tuple(_came_with(message, text))
    was_fetched, is_history = is_true(item.get(FETCHED)), is_true(item.get(HISTORY))
    if not is_echo(message):
        return Message(
            mid, time, text, attachments, reply_to, lines, was_fetched=was_fetched, is_history=is_history
        )  # fmt: skip
    app_id = as_text(message.get("app_id"))
    in_inbox = app_id in PAGE_INBOX_APP_IDS
    # Meta leaves the app id of its own inbox out at times; the Conversations API has none at all.
    is_by_agent = in_inbox or not (app_id or was_fetched)
    author = notice("from_meta_inbox") if is_by_agent else notice("from_app", app_id=one_line(app_id))
    return Echo(
        mid, time, text, attachments, notice("from_somebody") if was_fetched else author,
        is_by_agent=is_by_agent, may_be_ours=not in_inbox, reply_to=reply_to, lines=lines,
        was_fetched=was_fetched, is_history=is_history,
    )  # fmt: skip


_READ_OF_MESSAGE = frozenset(
    {"mid", "text", "attachments", "reply_to", "is_echo", "app_id", "metadata", "seq", "nlp", "sticker_id"}
    | {"quick_reply", "commands", "referral", "is_unsupported", "is_deleted", "is_self", "tags", "traits"}
)


def _came_with(message: Item, text: str) -> Iterator[Line]:
    """Show what came with a message: how it was written, and from where."""
    if is_true(message.get("is_unsupported")):
        yield Line(notice("unsupported_message"))
    payload = as_text(as_dict(message.get("quick_reply")).get("payload"))
    if payload and payload != text:
        yield Line(one_line(payload), label=notice("quick_reply"))
    for command in dicts(message.get("commands")):
        yield Line(one_line(as_text(command.get("name"))), label=notice("command"))
    if referral := as_dict(message.get("referral")):
        yield from _referral_lines(referral)
    yield from leaves({key: message[key] for key in message if key not in _READ_OF_MESSAGE})


_READ_OF_REFERRAL = frozenset(
    {"ref", "source", "type", "ad_id", "ads_context_data", "product", "referer_uri", "is_guest_user"}
)
_READ_OF_AD = frozenset({"ad_title", "photo_url", "video_url", "post_id", "product_id", "flow_id"})


def _referral_lines(referral: Item) -> Iterator[Line]:
    """Show from where a person came: an advertisement, a link, a product."""
    ad, product = as_dict(referral.get("ads_context_data")), as_dict(referral.get("product"))
    title, id_ = as_text(ad.get("ad_title")), as_text(referral.get("ad_id"))
    if title or id_:
        post = as_text(ad.get("post_id"))
        url = f"https://www.facebook.com/{post}" if post.replace("_", "").isdecimal() else ""
        yield Line(" · ".join(filter(None, (title, id_))), url, label=notice("advertisement"))
    for key, code in (("photo_url", "picture"), ("video_url", "video")):
        if url := address(ad.get(key)):
            yield Line(notice(code), url)
    if number := as_text(ad.get("product_id") or product.get("id")):
        yield Line(number, label=notice("product_number"))
    if ref := as_text(referral.get("ref")):
        yield Line(one_line(ref), label=notice("reference"))
    if page := address(referral.get("referer_uri")).partition("?")[0]:  # behind it may be a secret
        yield Line(page, page, label=notice("web_page"))
    for holder, read in ((ad, _READ_OF_AD), (referral, _READ_OF_REFERRAL)):
        yield from leaves({key: holder[key] for key in holder if key not in read})


def _edit(item: Item, kind: str) -> Event:
    edit = content_of(item, kind)
    mid = proper_mid(as_text(edit.get("mid")))
    if not mid or _is_by_page(item):
        return _other(item, kind)
    return Edit(mid, _time(item), as_text(edit.get("text")), kind, opens_ticket=row_of(kind).opens_ticket)


_EMOJI = {"love": "❤️", "smile": "😆", "angry": "😠", "sad": "😢", "wow": "😮", "like": "👍", "dislike": "👎"}


def _reaction(item: Item, kind: str) -> OtherEvent:
    reaction = content_of(item, kind)
    shown = as_text(reaction.get("emoji")) or _EMOJI.get(as_text(reaction.get("reaction")), "")
    if _is_by_page(item):
        return _told("page_reacted")(item, kind)
    if reaction.get("action") == "unreact":
        code = "unreacted" if shown else "unreacted_somehow"
    else:
        code = "reacted" if shown else "reacted_somehow"
    return _happened(item, kind, notice(code, reaction=one_line(shown)), about=reaction.get("mid"))


def _receipt(status: str) -> Callable[[Item, str], Event]:
    """Return a reader of receipts. One that names neither mids nor a watermark is no receipt."""

    def read(item: Item, kind: str) -> Event:
        receipt = content_of(item, kind)
        if not {"watermark", "mids"} & receipt.keys():
            return _other(item, kind)
        mids = (proper_mid(as_text(mid)) for mid in as_list(receipt.get("mids")))
        return Receipt(status, milliseconds(receipt.get("watermark")), tuple(filter(None, mids)))

    return read


def _postback(item: Item, kind: str) -> OtherEvent:
    postback = content_of(item, kind)
    title, payload = as_text(postback.get("title")), as_text(postback.get("payload"))
    summary = notice("button_pressed", title=one_line(title)) if title else notice("some_button_pressed")
    lines = [Line(one_line(payload), label=notice("payload"))] if payload and payload != title else []
    rest = {key: postback[key] for key in postback if key not in {"mid", "title", "payload", "referral"}}
    referral = _referral_lines(as_dict(postback.get("referral")))
    return _happened(item, kind, summary, *lines, *referral, *leaves(rest))


_LEADS = {"LEAD_COMPLETE": "lead_complete", "LEAD_INCOMPLETE": "lead_incomplete"}


def _referral(item: Item, kind: str) -> OtherEvent:
    """Read from where a person came, or, with its sibling `lead`, what they answered an advertisement."""
    referral = content_of(item, kind)
    type_, source = as_text(referral.get("type")), as_text(referral.get("source"))
    code = _LEADS.get(type_) or ("came_by_ad" if source == "ADS" else "came_by_link")
    answers = [
        Line(as_text(one.get("answer")), label=one_line(as_text(one.get("question"))))
        for one in dicts(as_dict(item.get("lead")).get("data"))
    ]
    return _happened(item, kind, notice(code), *answers, *_referral_lines(referral))


def _optin(item: Item, kind: str) -> OtherEvent:
    """Read an agreement to get messages. Its token is a secret, and not shown."""
    optin = content_of(item, kind)
    title, status = as_text(optin.get("title")), as_text(optin.get("notification_messages_status"))
    code = "stopped_messages" if status.startswith("STOP") else "agreed_to_messages"
    lines = [Line(one_line(title), label=notice("topic"))] if title else []
    shown = {key: optin[key] for key in ("ref", "payload", "notification_messages_timezone") if key in optin}
    return _happened(item, kind, notice(code), *lines, *leaves(shown))


def name_of_app(app_id: Any) -> Notice:
    """Name an app that may hold a conversation."""
    id_ = as_text(app_id)
    if not id_:
        return notice("nobody")
    return notice("meta_inbox") if id_ in PAGE_INBOX_APP_IDS else notice("app", app_id=one_line(id_))


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


def _control(code: str, key: str) -> Callable[[Item, str], OtherEvent]:
    """Return a reader of who answers a conversation now: the app that is named under `key`."""

    def read(item: Item, kind: str) -> OtherEvent:
        control = content_of(item, kind)
        before, what = control.get("previous_owner_app_id"), code
        if code == "control_passed" and not before:  # Meta says null where nobody held it
            what = "control_given"
        lines = [Line(said, label=notice("remark"))] if (said := as_text(control.get("metadata"))) else []
        return _happened(
            item, kind, notice(what, owner=name_of_app(control.get(key)), before=name_of_app(before)), *lines
        )

    return read


def _roles(item: Item, kind: str) -> OtherEvent:
    return _happened(item, kind, notice("app_roles_changed"), *leaves(content_of(item, kind)))


_ACTIONS = {"warning": "policy_warning", "block": "policy_block", "unblock": "policy_unblock"}


def _policy(item: Item, kind: str) -> OtherEvent:
    content = content_of(item, kind)
    action, reason = as_text(content.get("action")), as_text(content.get("reason"))
    lines = [Line(reason, label=notice("metas_reason"))] if reason else []
    event = _happened(item, kind, notice(_ACTIONS.get(action, "policy_other"), action=action), *lines)
    return replace(event, is_trouble=action != "unblock")


_SCORES = {"csat": "feedback_csat", "nps": "feedback_nps", "ces": "feedback_ces"}


def _feedback(item: Item, kind: str) -> OtherEvent:
    """Read the answers to a feedback template.

    https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/templates/customer-feedback-template
    """
    screens = dicts(content_of(item, kind).get("feedback_screens"))
    questions = [as_dict(one) for screen in screens for one in as_dict(screen.get("questions")).values()]
    lines: list[Line] = []
    for question in questions:
        type_, words = as_text(question.get("type")), as_dict(question.get("follow_up"))
        label = notice(_SCORES[type_]) if type_ in _SCORES else type_
        lines.append(Line(as_text(question.get("payload")), label=label))
        if said := as_text(words.get("payload")):
            lines.append(Line(said, label=notice("in_words")))
    return _happened(item, kind, notice("gave_feedback"), *lines)


def _response_feedback(item: Item, kind: str) -> OtherEvent:
    content = content_of(item, kind)
    return _happened(
        item,
        kind,
        notice("rated", rating=one_line(as_text(content.get("feedback")))),
        about=content.get("mid"),
    )


def _linking(item: Item, kind: str) -> OtherEvent:
    """Read that a person linked their account. The code that comes along is a secret, and not shown."""
    status = as_text(content_of(item, kind).get("status"))
    code = {"linked": "account_linked", "unlinked": "account_unlinked"}.get(status, "account_linking")
    return _happened(item, kind, notice(code))


def _order(item: Item, kind: str) -> OtherEvent:
    order = content_of(item, kind)
    lines = [_ordered(product) for product in dicts(order.get("products"))]
    lines += [Line(note, label=notice("remark"))] if (note := as_text(order.get("note"))) else []
    rest = {key: order[key] for key in order if key not in {"products", "note"}}
    return _happened(item, kind, notice("ordered"), *lines, *leaves(rest))


def _ordered(product: Item) -> Line:
    count, price = as_text(product.get("quantity")) or "1", amount(product.get("unit_price"))
    number = as_text(product.get("retailer_id")) or as_text(product.get("id"))
    name = as_text(product.get("name")) or number
    what = f"{count} × {name}" + (f" ({number})" if number and number != name else "")
    return Line(f"{what}, {price} {as_text(product.get('currency'))}".strip() if price else what)


def _deletion(item: Item, kind: str) -> OtherEvent:
    message = content_of(item, kind)
    code = "page_deleted_message" if is_echo(message) else "customer_deleted_message"
    return _happened(item, kind, notice(code), about=message.get("mid"))


def _told(code: str) -> Callable[[Item, str], OtherEvent]:
    """Return a reader of what is shown as a sentence, with all that it holds."""

    def read(item: Item, kind: str) -> OtherEvent:
        return _happened(item, kind, notice(code, kind=one_line(kind)), *leaves(item.get(kind)))

    return read


_other = _told("unknown_event")

ROWS: dict[str, Row] = {
    "message": Row(_message, "messages", has_mid=True, internal=False, is_notable=True),
    "message_edit": Row(_edit, "message-edits"),
    "reaction": Row(_reaction, "message-reactions", opens_ticket=False),
    "delivery": Row(_receipt("delivered"), "message-deliveries", is_receipt=True),
    "read": Row(_receipt("read"), "message-reads", is_receipt=True),
    "postback": Row(_postback, "messaging_postbacks", has_mid=True, is_notable=True),
    "referral": Row(_referral, "messaging_referrals", is_notable=True),
    "optin": Row(_optin, "messaging_optins", is_notable=True),
    "pass_thread_control": Row(
        _control("control_passed", "new_owner_app_id"), "messaging_handovers", opens_ticket=False
    ),
    "take_thread_control": Row(
        _control("control_taken", "new_owner_app_id"), "messaging_handovers", opens_ticket=False
    ),
    "request_thread_control": Row(
        _control("control_requested", "requested_owner_app_id"), "messaging_handovers", opens_ticket=False
    ),
    "app_roles": Row(_roles, "messaging_handovers", opens_ticket=False),
    "policy_enforcement": Row(_policy, "messaging_policy_enforcement", is_notable=True),
    "account_linking": Row(_linking, "messaging_account_linking", opens_ticket=False, is_extra=True),
    # Whoever subscribes it has Messenger show its users thumbs to rate a message with.
    "response_feedback": Row(_response_feedback, "response_feedback", opens_ticket=False, is_extra=True),
    "messaging_feedback": Row(_feedback, is_notable=True),
    "order": Row(_order, "send_cart", is_notable=True, is_extra=True),
    "form": Row(_told("form_submitted"), is_notable=True),
    "calls": Row(_told("called"), is_notable=True),
    "message_request": Row(_told("message_request"), is_notable=True),
    # One that was deleted. It has the mid of the message, and is another event.
    DELETED: Row(_deletion, "messages", has_mid=True, opens_ticket=False),
}
"""Every kind of event, by the key that holds it; of an item with several of them each is an event."""
_UNKNOWN, _EMPTY = Row(_other, is_notable=True), Row(_other)


def _field(row: Row) -> str:
    """Return the subscription that brings a kind of event: Meta's page is called like it."""
    return row.page.replace("-", "_")


NEEDED_FIELDS = (
    *dict.fromkeys(_field(row) for row in ROWS.values() if row.page and not row.is_extra),
    "message_echoes",
    "standby",
)
"""The fields that have to be subscribed, for the app and for each page, so that nothing is missing.

https://developers.facebook.com/docs/graph-api/webhooks/reference/page
"""

add_sentences(
    {
        "reacted": N_("The customer reacted with {reaction} to {message}."),
        "reacted_somehow": N_("The customer reacted to {message}."),
        "unreacted": N_("The customer took back the reaction {reaction} to {message}."),
        "unreacted_somehow": N_("The customer took back a reaction to {message}."),
        "page_reacted": N_("The page reacted to a message of the customer's."),
        "button_pressed": N_("The customer pressed the button “{title}”."),
        "some_button_pressed": N_("The customer pressed a button."),
        "came_by_link": N_("The customer opened the conversation through a link."),
        "came_by_ad": N_("The customer opened the conversation from an advertisement."),
        "lead_complete": N_("The customer filled in the form of an advertisement."),
        "lead_incomplete": N_("The customer did not finish the form of an advertisement."),
        "agreed_to_messages": N_("The customer agreed to receive messages."),
        "stopped_messages": N_("The customer does not want to receive messages any more."),
        "control_passed": N_("This conversation is answered by {owner} now; it was passed on by {before}."),
        "control_given": N_("This conversation is answered by {owner} now."),
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
        "ordered": N_("The customer sent an order."),
        "form_submitted": N_("The customer submitted a form."),
        "called": N_("The customer called the page on Messenger."),
        "message_request": N_("The customer sent a message request."),
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
        "app": N_("the app {app_id}"),
        "own_app": N_("this connector"),
        "messenger_user": N_("Messenger user {digits}"),
        "from_meta_inbox": N_("{page} (Meta inbox)"),
        "from_app": N_("{page} (app {app_id})"),
        "from_own_app": N_("{page} (this connector's app)"),
        "from_somebody": N_("{page} (Meta inbox or an app)"),
    }
)
