"""Meta's errors: what happens next, and what agents read.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes
"""

from typing import Any

from clients.errors import (
    ClientError,
    FileRefused,
    FileTooLarge,
    KindRefused,
    MessageRefused,
    NotFetched,
    NotFound,
    OutsideWindow,
    RateLimited,
    RejectedError,
    Unauthorized,
    Unavailable,
    UploadGone,
)
from clients.findings import Level, Meaning, add_meanings
from clients.jsons import decode_or_none
from clients.notices import N_, Notice, add_sentences, notice


class HeldByAnotherApp(RejectedError):
    """Another app holds the conversation, so that this one may not write into it."""


_TROUBLE = (Unavailable, "facebook_fault")
_BUSY = (RateLimited, "facebook_rate_limit")
OF_THE_APP = frozenset({4, 341})
"""The codes by which Meta limits an app, with all its pages."""
_WINDOW = (OutsideWindow, "window_closed")
_UNREACHABLE = (RejectedError, "customer_unreachable")
_TOKEN = (Unauthorized, "page_token_refused")
BAD_PROOF = (Unauthorized, "app_secret_refused")
_BAD_TEXT = (RejectedError, "text_blocked")
_BY_PHONE = (RejectedError, "no_matching_by_phone")
_OTHER_APP = (HeldByAnotherApp, "other_app_in_charge")
_UNFETCHED = (NotFetched, "facebook_could_not_fetch")
_BAD_KIND = (FileRefused, "facebook_refuses_kind")
_AUTOMATION = (Unavailable, "automation_in_charge")
_UNKNOWN = (NotFound, "page_or_customer_unknown")
_NO_PROFILE = (NotFound, "no_profile")
_REFUSED = (MessageRefused, "facebook_refused")

OTHER = -1
"""In a row: any subcode that has no row of its own."""
SHORTEST_SUBCODE = 100_000
"""From here on a number means one thing, whatever code it stands under."""
GENERIC = frozenset({10, 100, 200})
"""Codes that without a subcode may mean many things: Meta's own words say more than ours."""

_NOT_ABOUT_TAG = frozenset(
    {"customer_unavailable", "customer_unreachable", "duplicate_message", "message_blocked", "text_blocked"}
)

ERRORS: dict[tuple[int, int | None], tuple[type[ClientError], str]] = {
    (-1, None): _TROUBLE,
    (1, None): _TROUBLE,
    # "Received invalid JSON reply": the table of error codes says that the message may have been sent.
    (1, 1357046): (Unavailable, "send_outcome_unknown"),
    (1, 2018382): (RejectedError, "no_such_template"),
    (2, None): _TROUBLE,
    (2, 2018344): (RejectedError, "contact_terms_not_accepted"),
    (3, None): (RejectedError, "app_lacks_capability"),
    (4, None): _BUSY,
    (4, 2018354): (RejectedError, "marketing_limit"),
    (9, 2018352): (RejectedError, "too_many_opt_ins"),
    # Without a subcode also for what privacy rules forbid in Europe and Japan:
    # https://developers.facebook.com/documentation/business-messaging/messenger-platform/europe-japan-updates
    (10, None): (RejectedError, "app_lacks_permission"),
    (10, 1404170): (RejectedError, "marketing_restricted"),
    (10, 1893015): (RejectedError, "topic_stopped"),
    (10, 1893063): (Unauthorized, "page_restricted"),
    (10, 2018065): _WINDOW,
    (10, 2018108): (RejectedError, "customer_unavailable"),
    # The window has a subcode of its own on Messenger (2018278) and on Instagram (2534022).
    (10, 2018278): _WINDOW,
    (10, 2534022): _WINDOW,
    (10, 2018300): _OTHER_APP,
    (10, 2018321): _AUTOMATION,
    (10, 2018336): (RejectedError, "privacy_rules"),
    (10, 2534077): (RejectedError, "instagram_link_unverified"),
    # The table of error codes lists these two as codes of their own; they come as subcodes of 10.
    (2018300, None): _OTHER_APP,
    (2018321, None): _AUTOMATION,
    (17, None): _BUSY,
    (32, None): _BUSY,
    (33, None): _UNKNOWN,
    (100, None): (MessageRefused, "message_refused"),
    (100, 33): _UNKNOWN,
    (100, 2018001): (NotFound, "customer_unknown"),
    (100, 2018008): _UNFETCHED,
    (100, 2018047): (KindRefused, "facebook_refuses_kind"),
    (100, 2018074): (UploadGone, "upload_expired"),
    (100, 2018109): (FileTooLarge, "facebook_file_too_large"),
    (100, 2018164): (RejectedError, "app_unknown"),
    (100, 2018218): _NO_PROFILE,
    (100, 2018294): _UNFETCHED,
    (100, 2018320): (RejectedError, "product_unknown"),
    (100, 2018328): (RejectedError, "product_outdated"),
    (100, 1893061): (RejectedError, "tag_abolished"),
    (100, 2534037): _OTHER_APP,  # as Instagram says it
    (102, None): _TOKEN,
    (190, None): _TOKEN,
    (200, None): (RejectedError, "app_may_not_send"),
    (200, 1545041): _UNREACHABLE,
    (200, 2018021): _BY_PHONE,
    (200, 2018027): _BY_PHONE,
    (200, 2018028): (RejectedError, "customer_is_no_tester"),
    (200, 2534041): (RejectedError, "instagram_access_off"),
    (341, None): _BUSY,
    # Only the bare code is about the page ("temporarily blocked for policies violations; wait and retry"), so
    # only that pauses it: https://developers.facebook.com/docs/graph-api/guides/error-handling
    # 1346003 and 2022 are about one text. No other subcode is documented: it fails its reply alone, as a
    # pause might have no end.
    (368, None): (Unauthorized, "page_blocked"),
    (368, 1346003): _BAD_TEXT,
    (368, 2022): _BAD_TEXT,
    (368, OTHER): (RejectedError, "message_blocked"),
    (506, None): (RejectedError, "duplicate_message"),
    (546, None): _BAD_KIND,
    (551, None): _UNREACHABLE,
    # "This person isn't available right now" in the table of error codes; Meta's page on sending messages
    # calls it a closed window, which has subcodes of its own in that table:
    # https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages
    (551, 1545041): _UNREACHABLE,
    (613, None): _BUSY,
    (613, 2018338): (RejectedError, "tag_abused"),
    (613, 1893016): (RejectedError, "asked_already"),
    (1200, None): _TROUBLE,
    (2022, None): _BAD_TEXT,
    (36103, None): (RejectedError, "instagram_not_eligible"),
    (80001, None): _BUSY,
    (80002, None): _BUSY,
    (80006, None): _BUSY,
    (2018218, None): _NO_PROFILE,
    (2018247, None): (RejectedError, "app_may_not_read_profile"),
    (9000001, None): (NotFound, "message_deleted"),
}
"""What each code and subcode of Meta's is; a subcode that is missing counts as its bare code.

The table of error codes names some subcodes without their code: a long one is known under any, and alone.
"""
_BY_SUBCODE = {
    subcode or code: row for (code, subcode), row in ERRORS.items() if (subcode or code) >= SHORTEST_SUBCODE
}

STOPS = {
    "page_token_refused": "page_token_invalid",
    "app_secret_refused": "app_secret_wrong",
    "page_blocked": "page_is_blocked",
    "page_restricted": "page_is_restricted",
}
"""What a page is paused for until somebody has done something about it, and which finding that is."""

PERHAPS_BLOCKED = notice("facebook_error", error="2")
"""Of a message it may also mean that the customer blocked the page, as the table of error codes adds."""

add_sentences(
    {
        "facebook": N_("Facebook"),
        "facebook_error": N_("Facebook error {error}"),
        "facebook_fault": N_("Facebook has a temporary problem"),
        "facebook_fault_or_blocked": N_(
            "Facebook has a temporary problem, or the customer has blocked the page"
        ),
        "facebook_rate_limit": N_("Facebook is limiting how fast the page may send"),
        "facebook_refused": N_("Facebook rejected the request"),
        "facebook_says": N_("Facebook rejected it: “{words}”"),
        "facebook_bad_answer": N_("Facebook sent an incomplete response (no valid “{field}”)"),
        "window_closed_at": N_(
            "Facebook has not allowed a reply since {time}, as the customer wrote too long ago; "
            "wait until they write again, or contact them another way"
        ),
        "window_closed_for_apps": N_(
            "Facebook has not allowed a reply since {time}. Until {until} it allows one by an agent, if the "
            "Meta app has the Human Agent permission: an administrator can set human_agent for the page"
        ),
        "window_closed_for_automation": N_(
            "Facebook has not allowed an automatic reply since {time}; until {until} an agent can still reply"
        ),
        "late_reply_refused_at": N_(
            "Facebook has not allowed a reply since {time}, and it rejected an agent's late reply: {reason}. "
            "Wait until the customer writes again, or contact them another way; an administrator can check "
            "whether the Meta app has the Human Agent permission"
        ),
        "late_reply_refused": N_(
            "Facebook no longer allows a reply, as the customer wrote too long ago, and it rejected an "
            "agent's late reply: {reason}. Wait until the customer writes again, or contact them another "
            "way; an administrator can check whether the Meta app has the Human Agent permission"
        ),
        "window_closed": N_(
            "Facebook no longer allows a reply, as the customer wrote too long ago; "
            "wait until they write again, or contact them another way"
        ),
        "customer_unreachable": N_(
            "the customer cannot be reached: they blocked the page, left Messenger, or turned messages off"
        ),
        "customer_unavailable": N_("the customer cannot receive messages at the moment"),
        "page_token_refused": N_(
            "Facebook rejected the page's access token; an administrator has to renew it"
        ),
        "app_secret_refused": N_(
            "Facebook rejected the proof made with the app secret; an administrator has to correct app_secret"
        ),
        "text_blocked": N_("Facebook blocked this text, perhaps because of a link in it"),
        "other_app_in_charge": N_(
            "{owner} is in charge of this conversation; take it over in Meta's inbox, or have an "
            "administrator set take_control for the page"
        ),
        "not_taken_over": N_(
            "{owner} is in charge of this conversation, and it could not be taken over; "
            "take it over in Meta's inbox"
        ),
        "an_app": N_("another app"),
        "automation_in_charge": N_("an automated Q&A of the page is in charge of this conversation"),
        "send_outcome_unknown": N_("Facebook cannot tell whether the message was sent"),
        "no_such_template": N_("this message template does not exist"),
        "contact_terms_not_accepted": N_(
            "an administrator of the page has to accept Facebook's contact terms"
        ),
        "marketing_limit": N_("Facebook delivers no more marketing messages to this customer for now"),
        "app_lacks_capability": N_(
            "the Meta app is not approved for this; an administrator has to check it in Meta's App Dashboard"
        ),
        "too_many_opt_ins": N_(
            "the customer has been asked for opt-ins too often; they can be asked again later"
        ),
        "marketing_restricted": N_(
            "Facebook does not allow the page to ask this customer for a marketing opt-in"
        ),
        "topic_stopped": N_("the customer no longer wants messages on this topic"),
        "privacy_rules": N_("privacy rules in Europe do not allow this in this conversation"),
        "instagram_link_unverified": N_(
            "Facebook cannot verify that the page and its Instagram account belong together; "
            "an administrator has to connect them again"
        ),
        "instagram_access_off": N_(
            "the Instagram account does not allow apps to read its messages; "
            "its owner has to allow access to messages in the Instagram app"
        ),
        "instagram_not_eligible": N_("this Instagram account cannot be used for messages through an app"),
        "message_blocked": N_("Facebook blocked this message for a policy violation"),
        "duplicate_message": N_("Facebook rejected this as a duplicate of an earlier message"),
        "app_may_not_read_profile": N_("the app does not have the permission to read customers' profiles"),
        "message_deleted": N_("the message was deleted, or is too old for Facebook to show"),
        "app_lacks_permission": N_(
            "the app does not have the permission for this, or privacy rules in Europe or Japan forbid it"
        ),
        "app_may_not_send": N_(
            "the app does not have the permission to send messages (pages_messaging), or is not live"
        ),
        "customer_is_no_tester": N_(
            "the Meta app is not live or not approved for messages (pages_messaging), so it reaches only its "
            "own testers; an administrator has to check it in Meta's App Dashboard"
        ),
        "no_matching_by_phone": N_("the Meta app is not approved to find customers by their phone number"),
        "app_unknown": N_("Facebook does not know the app that the message names"),
        "product_unknown": N_("Facebook does not know the product in this message"),
        "product_outdated": N_("Facebook no longer supports this form of a message with a product"),
        "page_restricted": N_(
            "Facebook has restricted the page from sending for now; see the page's quality settings"
        ),
        "page_blocked": N_("Facebook has temporarily blocked the page for a policy violation"),
        "message_refused": N_("Facebook rejected the message"),
        "page_or_customer_unknown": N_(
            "Facebook does not know the page or the customer, or the app is not allowed to see them"
        ),
        "customer_unknown": N_("Facebook does not know this customer of the page"),
        "no_profile": N_("Facebook has no profile of this customer"),
        "facebook_could_not_fetch": N_("Facebook could not download the file"),
        "facebook_refuses_kind": N_("Facebook does not accept files of this type"),
        "facebook_file_too_large": N_("the file is too large for Facebook"),
        "upload_expired": N_("Facebook no longer has the uploaded file"),
        "tag_abolished": N_("Facebook no longer supports this message tag"),
        "tag_abused": N_("Facebook considers this message tag to be misused"),
        "asked_already": N_("the customer has already been asked for this opt-in"),
    }
)

_REPLIES_WAIT = N_("Replies wait and are sent once this is fixed.")
add_meanings(
    {
        "page_is_blocked": Meaning(
            Level.STOPS_MESSAGES,
            N_("Facebook has temporarily blocked the page for a policy violation."),
            _REPLIES_WAIT,
            N_("See in Meta Business Support Home what the page is blocked for, and for how long."),
            is_for_page=True,
        ),
        "page_is_restricted": Meaning(
            Level.STOPS_MESSAGES,
            N_("Facebook has restricted the page from sending for now."),
            _REPLIES_WAIT,
            N_("See the page's quality settings: they say what it is restricted for, and for how long."),
            is_for_page=True,
        ),
    }
)


def may_be_about_tag(error: RejectedError) -> bool:
    """Return whether a message with a tag may be refused for that, not for its person, text or file."""
    about_something_else = isinstance(error, (FileRefused, HeldByAnotherApp, NotFound))
    return not about_something_else and error.notice.code not in _NOT_ABOUT_TAG


def read_error(body: bytes) -> tuple[dict[str, Any], int, int, Notice]:
    """Read an answer that is an error: the error, its code, its subcode (0: none), and how it is named.

    Raises one of `MALFORMED` for any other body.
    """
    error = decode_or_none(body)["error"]
    code, subcode = int(error["code"]), int(error.get("error_subcode") or 0)
    return error, code, subcode, notice("facebook_error", error=f"{code}/{subcode}" if subcode else str(code))


def lookup(code: int, subcode: int) -> tuple[type[ClientError], str]:
    """Return what an error is, and our code for it."""
    return _row(code, subcode) or ERRORS.get((code, OTHER if subcode else None)) or _of_code(code) or _REFUSED


def is_known(code: int, subcode: int) -> bool:
    """Return whether an error is listed here, by its code at least."""
    return bool(_row(code, subcode) or _of_code(code))


def is_explained(code: int, subcode: int) -> bool:
    """Return whether our sentence says just what an error is; else Meta's own words may say more."""
    return bool(_row(code, subcode)) and (subcode != 0 or code not in GENERIC)


def _row(code: int, subcode: int) -> tuple[type[ClientError], str] | None:
    """Return the row of just this error."""
    return ERRORS.get((code, subcode or None)) or _BY_SUBCODE.get(subcode or code)


def _of_code(code: int) -> tuple[type[ClientError], str] | None:
    """Return the row of an error with this code whose subcode says nothing."""
    return _BY_SUBCODE.get(code) or ERRORS.get((code, None))
