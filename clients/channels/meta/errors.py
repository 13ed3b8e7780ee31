"""Meta's errors: what happens next, and what agents read.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes
"""

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
from clients.notices import N_, add_sentences


class HeldByAnotherApp(RejectedError):
    """Another app holds the conversation, so that this one may not write into it."""


_TROUBLE = (Unavailable, "facebook_fault")
_BUSY = (RateLimited, "facebook_rate_limit")
_WINDOW = (OutsideWindow, "window_closed")
_UNREACHABLE = (RejectedError, "customer_unreachable")
_TOKEN = (Unauthorized, "page_token_refused")
BAD_PROOF = (Unauthorized, "app_secret_refused")
_BAD_TEXT = (RejectedError, "text_blocked")
_OTHER_APP = (HeldByAnotherApp, "other_app_in_charge")
_UNFETCHED = (NotFetched, "facebook_could_not_fetch")
_BAD_KIND = (FileRefused, "facebook_refuses_kind")
_REFUSED = (MessageRefused, "facebook_refused")

ERRORS: dict[tuple[int, int | None], tuple[type[ClientError], str]] = {
    (-1, None): _TROUBLE,
    (1, None): _TROUBLE,
    (1, 1357046): (Unavailable, "send_outcome_unknown"),
    (1, 2018382): (RejectedError, "no_such_template"),
    (2, None): _TROUBLE,
    (2, 2018344): (RejectedError, "contact_terms_not_accepted"),
    (4, None): _BUSY,
    (4, 2018354): (RejectedError, "marketing_limit"),
    (10, None): (RejectedError, "app_lacks_permission"),
    (10, 2018278): _WINDOW,
    (10, 2534022): _WINDOW,
    (10, 2018065): _WINDOW,
    (10, 2018108): (RejectedError, "customer_unavailable"),
    (10, 1893063): (Unauthorized, "page_restricted"),
    (10, 2018300): _OTHER_APP,
    (2018300, None): _OTHER_APP,
    (2018321, None): (Unavailable, "automation_in_charge"),
    (17, None): _BUSY,
    (32, None): _BUSY,
    (100, None): (MessageRefused, "message_refused"),
    (100, 33): (NotFound, "page_or_customer_unknown"),
    (100, 2018001): (NotFound, "customer_unknown"),
    (100, 2018008): _UNFETCHED,
    (100, 2018047): (KindRefused, "facebook_refuses_kind"),
    (100, 2018074): (UploadGone, "upload_expired"),
    (100, 2018109): (FileTooLarge, "facebook_file_too_large"),
    (100, 2018218): (NotFound, "no_profile"),
    (100, 2018294): _UNFETCHED,
    (100, 1893061): (RejectedError, "tag_abolished"),
    (102, None): _TOKEN,
    (190, None): _TOKEN,
    (200, None): (RejectedError, "app_may_not_send"),
    (200, 1545041): _UNREACHABLE,
    (341, None): _BUSY,
    (368, None): (Unauthorized, "page_blocked"),
    (368, 1346003): _BAD_TEXT,
    (368, 2022): _BAD_TEXT,
    (546, None): _BAD_KIND,
    (551, None): _UNREACHABLE,
    (551, 1545041): _UNREACHABLE,
    (613, None): _BUSY,
    (613, 2018338): (RejectedError, "tag_abused"),
    (613, 1893016): (RejectedError, "asked_already"),
    (1200, None): _TROUBLE,
    (2022, None): _BAD_TEXT,
    (80001, None): _BUSY,
    (80002, None): _BUSY,
    (80006, None): _BUSY,
}
"""What each code and subcode of Meta's is; a subcode that is missing counts as its bare code."""

add_sentences(
    {
        "facebook": N_("Facebook"),
        "facebook_error": N_("Facebook error {error}"),
        "facebook_fault": N_("Facebook has a temporary problem"),
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
        "app_lacks_permission": N_("the app does not have the permission for this"),
        "app_may_not_send": N_(
            "the app does not have the permission to send messages (pages_messaging), or is not live"
        ),
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


def lookup(code: int, subcode: int) -> tuple[type[ClientError], str]:
    """Return what an error is, and our code for it."""
    return ERRORS.get((code, subcode)) or ERRORS.get((code, None)) or _REFUSED


def is_known(code: int, subcode: int) -> bool:
    """Return whether an error is listed here."""
    return (code, subcode) in ERRORS or (code, None) in ERRORS
