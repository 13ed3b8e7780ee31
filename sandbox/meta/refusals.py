"""Meta's table of errors, each of which the sandbox answers when it is told to.

Sources: Messenger Platform, "Error Codes"; Graph API, "Handle Errors"; what no page of Meta's gives, such as
most statuses, as it is seen on the wire.
"""

from dataclasses import replace

from starlette.requests import Request

from sandbox.meta.errors import GraphError, Refusal, usage_header
from sandbox.meta.state import Page

_LIMITS = frozenset({4, 17, 32, 341, 613, 80001, 80002, 80006})
"""Codes that without a subcode are limits: their answers say when the page regains access."""
_FAULTS = frozenset({-1, 1, 2, 1200})
"""Codes of faults of Meta's own."""
_FORBIDDEN = 200

_WORDS: dict[tuple[int, int | None], str] = {
    (-1, None): "An internal error occurred",
    (1, None): "An unknown error occurred",
    (1, 99): "An unknown error occurred",
    (1, 1357046): "Received Invalid JSON reply.",
    (1, 2018382): "The form_id is incorrect",
    (2, None): "Service temporarily unavailable",
    (2, 2018344): "The admin of the Page has to accept the contact terms of service",
    (3, None): "Application does not have the capability to make this API call.",
    (4, None): "Application request limit reached",
    (4, 2018354): "The frequency limit of marketing messages to this person is reached",
    (9, 2018352): "Too many opt-in requests were sent to this person",
    (10, None): "Application does not have permission for this action",
    (10, 1404170): "This Page cannot ask this person for an opt-in to marketing messages",
    (10, 1893015): "The person stopped messages on this topic",
    (10, 1893063): "This Page is temporarily restricted from sending messages",
    (10, 2018065): "This message is sent outside of allowed window. You need page_messaging_subscriptions "
    "permission to be able to do it.",
    (10, 2018108): "This person isn't receiving messages from you right now.",
    (10, 2018278): "This message is sent outside of allowed window.",
    (10, 2018300): "Message failed to send because another app is controlling this thread now.",
    (10, 2018321): "Message failed to send because an automated flow is controlling this thread",
    (10, 2018336): "Message failed to send because this thread is impacted",
    (10, 2534022): "This message is sent outside of allowed window.",
    (10, 2534077): "The link between the Page and its Instagram account cannot be verified",
    (17, None): "User request limit reached",
    (32, None): "Page request limit reached",
    (33, None): "This object does not exist or does not support this action",
    (100, None): "Invalid parameter",
    (100, 33): "Unsupported post request. The object does not exist, or permissions for it are missing.",
    (100, 1893061): "Invalid parameter",
    (100, 2018001): "No matching user found",
    (100, 2018008): "Failed to fetch the file from the url",
    (100, 2018014): "message and sender_action cannot be sent together",
    (100, 2018034): "Message cannot be empty, must provide valid attachment or text",
    (100, 2018047): "Upload attachment failure.",
    (100, 2018074): "Invalid attachment ID, or the attachment is not owned by you",
    (100, 2018109): "Attachment size exceeds allowable limit",
    (100, 2018164): "Incorrect app id",
    (100, 2018218): "No profile available for this user.",
    (100, 2018247): "Insufficient permission to access user profile.",
    (100, 2018294): "Timed out while fetching the video from the url",
    (100, 2018320): "The product template has an incorrect product id",
    (100, 2018328): "The product template is not supported in this version",
    (100, 2534013): "The Page is not linked to an Instagram account",
    (100, 2534014): "The requested user cannot be found.",
    (100, 2534015): "The message data is invalid",
    (100, 2534025): "The private reply cannot be sent",
    (100, 2534029): "The business is blocked",
    (100, 2534037): "Another app is the owner of this thread",
    (102, None): "Session key invalid or no longer valid",
    (190, None): "Invalid OAuth access token - Cannot parse access token",
    (190, 458): "Error validating access token: The user has not authorized application.",
    (190, 459): "Error validating access token: The user is enrolled in a blocking, logged-in checkpoint",
    (190, 460): "Error validating access token: The session has been invalidated because the user changed "
    "their password or Facebook has changed the session for security reasons.",
    (190, 463): "Error validating access token: Session has expired.",
    (190, 464): "Error validating access token: The user is not a confirmed user.",
    (190, 467): "Error validating access token: The session is invalid because the user logged out.",
    (190, 492): "Error validating access token: The user does not have a role on the Page.",
    (200, None): "Requires pages_messaging permission to manage the object.",
    (200, 1545041): "This person isn't available right now.",
    (200, 2018021): "The phone number does not match the person",
    (200, 2018027): "The phone number cannot be used: the app is not approved for phone matching",
    (200, 2018028): "Cannot message users who are not admins, developers or testers of the app until "
    "pages_messaging permission is reviewed and the app is live.",
    (200, 2534041): "The owner of the Instagram account has disabled access to messages",
    (341, None): "Application limit reached",
    (368, None): "The action attempted has been deemed abusive or is otherwise disallowed",
    (368, 2022): "Commerce messages are disabled for a policy violation",
    (368, 1346003): "The message has content that is not allowed",
    (368, 1390008): "You're going too fast and have been blocked from using this feature.",
    (506, None): "Duplicate status message",
    (546, None): "This type of file is not supported",
    (551, None): "This person isn't available right now.",
    (551, 1545041): "This person isn't available right now.",
    (613, None): "Calls to this api have exceeded the rate limit.",
    (613, 1893016): "The person was asked for this opt-in before",
    (613, 2018338): "This message tag is misused",
    (613, 2534040): "Too many calls to the Instagram API",
    (1200, None): "Temporary send message failure. Please try again later.",
    (2022, None): "Commerce messages are disabled for a policy violation",
    (36103, None): "The Instagram account is not eligible for messages through an app",
    (80001, None): "There have been too many calls to this Page account.",
    (80002, None): "There have been too many calls to this Instagram account.",
    (80006, None): "There have been too many messenger api calls to this Page account.",
    (1545041, None): "This person isn't available right now.",
    (2018001, None): "No matching user found",
    (2018008, None): "Failed to fetch the file from the url",
    (2018047, None): "Upload attachment failure.",
    (2018074, None): "Invalid attachment ID, or the attachment is not owned by you",
    (2018108, None): "This person isn't receiving messages from you right now.",
    (2018218, None): "No profile available for this user.",
    (2018247, None): "Insufficient permission to access user profile.",
    (2018300, None): "Message failed to send because another app is controlling this thread now.",
    (2018321, None): "Message failed to send because an automated flow is controlling this thread",
    (9000001, None): "This message has been deleted.",
}


def _row(code: int, subcode: int | None, words: str) -> Refusal:
    if code in _FAULTS:
        return Refusal(500, code, subcode, words, more={"is_transient": True})
    return Refusal(403 if code == _FORBIDDEN else 400, code, subcode, f"(#{code}) {words}")


TABLE = {(code, subcode): _row(code, subcode, words) for (code, subcode), words in _WORDS.items()}
"""Each error of Meta's table, by its code and subcode."""


def check_refused(page: Page, request: Request, regain: int, *, is_action: bool) -> None:
    """Refuse a call that somebody ordered to be refused; a limit says in how many minutes it ends."""
    call = request.method, request.url.path
    one = next((one for one in page.refused if one.hits(*call, is_action=is_action)), None)
    if one is None:
        return
    row = TABLE[one.code, one.subcode]
    words = {"error_user_title": one.error_user_title, "error_user_msg": one.error_user_msg}
    more = {**row.more, **{name: said for name, said in words.items() if said}}
    is_limit = one.code in _LIMITS and one.subcode is None
    headers = usage_header(page.id, regain) if is_limit else None
    raise GraphError(replace(row, more=more), headers)
