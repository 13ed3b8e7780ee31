"""Meta's errors: what happens next, and what agents are told.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes
"""

from clients.errors import (
    ClientError,
    FileRefused,
    NotFound,
    OutsideWindow,
    RateLimited,
    RejectedError,
    Unauthorized,
    Unavailable,
)

_WINDOW = (
    OutsideWindow,
    "Facebook's window for replies has closed; wait until the customer writes again, or use another way",
)
_UNREACHABLE = (
    RejectedError,
    "the customer cannot be reached: they blocked the page, left Messenger, or turned messages off",
)
_TOKEN = (Unauthorized, "Facebook does not accept the page's access token; an administrator must renew it")
BAD_PROOF = (
    Unauthorized,
    "Facebook does not accept the proof by the app secret; an administrator must correct app_secret",
)
_BAD_TEXT = (
    RejectedError,
    "Facebook does not let this text through, perhaps because of a link in it",
)
_BUSY = (RateLimited, "Facebook asks the page to send more slowly")
_TROUBLE = (Unavailable, "Facebook has a passing fault")
_OTHER_APP = (
    RejectedError,
    "another app is in charge of this conversation; take it over in Meta's inbox first",
)
_UNFETCHED = (FileRefused, "Facebook could not fetch the file")

# https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes
# A subcode that is missing here counts as its bare code.
_ERRORS: dict[tuple[int, int | None], tuple[type[ClientError], str]] = {
    (-1, None): _TROUBLE,
    (1, None): _TROUBLE,
    (1, 1357046): (Unavailable, "Facebook cannot tell whether it was sent"),
    (1, 2018382): (RejectedError, "the form of this template does not exist"),
    (2, None): _TROUBLE,
    (2, 2018344): (RejectedError, "an administrator of the page must accept Facebook's contact terms"),
    (4, None): _BUSY,
    (4, 2018354): (RejectedError, "Facebook lets no more marketing messages through to this customer"),
    (10, None): (RejectedError, "the app lacks the permission for this"),
    (10, 2018278): _WINDOW,
    (10, 2534022): _WINDOW,
    (10, 2018065): _WINDOW,
    (10, 2018108): (RejectedError, "the customer cannot receive messages right now"),
    (10, 1893063): (
        Unauthorized,
        "Facebook restricts the page from sending for now; see the page's quality settings",
    ),
    (10, 2018300): _OTHER_APP,
    (2018300, None): _OTHER_APP,
    (2018321, None): (Unavailable, "an automated Q&A of the page holds this conversation"),
    (17, None): _BUSY,
    (32, None): _BUSY,
    (100, None): (RejectedError, "Facebook does not accept the message"),
    (100, 33): (NotFound, "Facebook does not know the page or the customer, or the app may not see them"),
    (100, 2018001): (NotFound, "Facebook knows no such customer of this page"),
    (100, 2018008): _UNFETCHED,
    (100, 2018047): (FileRefused, "Facebook does not take a file of this kind"),
    (100, 2018074): (FileRefused, "Facebook no longer has the uploaded file"),
    (100, 2018109): (FileRefused, "the file is too large for Facebook"),
    (100, 2018218): (NotFound, "Facebook has no profile of this customer"),
    (100, 2018294): _UNFETCHED,
    (100, 1893061): (RejectedError, "Facebook has abolished this message tag"),
    (102, None): _TOKEN,
    (190, None): _TOKEN,
    (200, None): (
        RejectedError,
        "the app lacks the permission to send messages (pages_messaging), or is not live",
    ),
    (200, 1545041): _UNREACHABLE,
    (341, None): _BUSY,
    (368, None): (Unauthorized, "Facebook has blocked the page for a policy violation, for the time being"),
    (368, 1346003): _BAD_TEXT,
    (368, 2022): _BAD_TEXT,
    (546, None): (FileRefused, "Facebook does not take a file of this kind"),
    (551, None): _UNREACHABLE,
    (551, 1545041): _UNREACHABLE,
    (613, None): _BUSY,
    (613, 2018338): (RejectedError, "Facebook sees this message tag as abused"),
    (613, 1893016): (RejectedError, "the customer was asked for this opt-in already"),
    (1200, None): _TROUBLE,
    (2022, None): _BAD_TEXT,
    (80001, None): _BUSY,
    (80002, None): _BUSY,
    (80006, None): _BUSY,
}


def lookup(code: int, subcode: int) -> tuple[type[ClientError], str]:
    """Return what an error is, and its words."""
    unknown = (RejectedError, "Facebook refused it")
    return _ERRORS.get((code, subcode)) or _ERRORS.get((code, None)) or unknown


def is_known(code: int, subcode: int) -> bool:
    """Tell whether an error is listed here."""
    return (code, subcode) in _ERRORS or (code, None) in _ERRORS
