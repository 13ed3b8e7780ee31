"""Meta's refusals: the status, codes and words of each, and how they are answered."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse

from sandbox.meta.state import AppUsage, PageUsage


@dataclass(frozen=True)
class Refusal:
    """One row of Meta's error table; `message` may hold `{names}` that the refused call fills in.

    `more` is what else stands in the error, such as `is_transient`.
    """

    status: int
    code: int
    subcode: int | None
    message: str
    type: str = "OAuthException"
    more: Mapping[str, Any] = field(default_factory=dict)


class GraphError(Exception):
    """A call is refused; `headers` go with the answer."""

    def __init__(self, refusal: Refusal, headers: dict[str, str] | None = None, **values: object) -> None:
        super().__init__(refusal.message.format(**values))
        self.refusal = refusal
        self.headers = headers


# Sources: Messenger Platform "Error Codes", Graph API "Handle Errors"; the words as seen on the wire.
TOKEN_MISSING = Refusal(400, 104, None, "An access token is required to request this resource.")
TOKEN_INVALID = Refusal(400, 190, None, "Invalid OAuth access token - Cannot parse access token")
TOKEN_REVOKED = Refusal(
    400,
    190,
    460,
    "Error validating access token: The session has been invalidated because the user changed their "
    "password or Facebook has changed the session for security reasons.",
)
TOKEN_EXPIRED = Refusal(
    400, 190, 463, "Error validating access token: Session has expired. The current time is {now}."
)
APP_UNKNOWN = Refusal(
    400, 101, None, "Error validating application. Cannot get application info due to a system error."
)
SECRET_WRONG = Refusal(400, 1, None, "Error validating client secret.")
CODE_UNKNOWN = Refusal(400, 100, None, "Invalid verification code format.")
CODE_EXPIRED = Refusal(400, 100, 36007, "This authorization code has expired.")
CODE_OF_ANOTHER_ADDRESS = Refusal(
    400,
    100,
    36008,
    "Error validating verification code. Please make sure your redirect_uri is identical to the one you used "
    "in the OAuth dialog request",
)
CODE_USED = Refusal(400, 100, 36009, "This authorization code has been used.")
VERIFIER_WRONG = Refusal(400, 100, None, "Invalid code_verifier parameter")
NOT_THE_APP = Refusal(
    400,
    100,
    None,
    "(#100) You must provide an app access token, or a user access token that is an owner or developer of "
    "the app",
)
PROOF_INVALID = Refusal(
    400, 100, None, "Invalid appsecret_proof provided in the API argument", "GraphMethodException"
)
PROOF_MISSING = Refusal(
    400, 100, None, "API calls from the server require an appsecret_proof argument", "GraphMethodException"
)
NO_SUCH_OBJECT = Refusal(
    400,
    100,
    33,
    "Unsupported {method} request. Object with ID '{id}' does not exist, cannot be loaded due to missing "
    "permissions, or does not support this operation. Please read the Graph API documentation at "
    "https://developers.facebook.com/docs/graph-api",
    "GraphMethodException",
)
NO_SUCH_PATH = Refusal(400, 2500, None, "Unknown path components: {path}")
NO_SUCH_FIELD = Refusal(
    400, 100, None, "(#100) Tried accessing nonexisting field ({name}) on node type ({node})"
)
REQUIRED = Refusal(400, 100, None, "(#100) The parameter {name} is required")
NOT_AN_OBJECT = Refusal(400, 100, None, "(#100) Param {name} must be a JSON object")
NOT_ONE_OF = Refusal(400, 100, None, '(#100) Param {name} must be one of {{{allowed}}} - got "{value}".')
TOO_LONG = Refusal(400, 100, None, "(#100) Length of param {name} must be less than or equal to {limit}")
TOO_MANY = Refusal(400, 100, None, "(#100) Param {name} must have at most {limit} elements")
TAG_OUT_OF_PLACE = Refusal(400, 100, None, "(#100) Param tag is only allowed with messaging_type MESSAGE_TAG")
TAG_REMOVED = Refusal(400, 100, 1893061, "Invalid parameter")
NO_MATCHING_USER = Refusal(400, 100, 2018001, "(#100) No matching user found")
FETCH_FAILED = Refusal(400, 100, 2018008, "(#100) Failed to fetch the file from the url")
ACTION_NOT_ALONE = Refusal(400, 100, 2018014, "(#100) message and sender_action cannot be sent together")
MESSAGE_EMPTY = Refusal(
    400, 100, 2018034, "(#100) Message cannot be empty, must provide valid attachment or text"
)
MESSAGE_AMBIGUOUS = Refusal(
    400, 100, None, "(#100) Must provide only one of text, attachment and attachments"
)
UPLOAD_FAILED = Refusal(400, 100, 2018047, "(#100) Upload attachment failure.")
ATTACHMENT_UNKNOWN = Refusal(
    400, 100, 2018074, "(#100) Invalid attachment ID, or the attachment is not owned by you"
)
ATTACHMENT_TOO_LARGE = Refusal(400, 100, 2018109, "(#100) Attachment size exceeds allowable limit")
VIDEO_FETCH_FAILED = Refusal(400, 100, 2018294, "(#100) Timed out while fetching the video from the url")
REPLY_TO_UNKNOWN = Refusal(
    400, 100, None, "(#100) Param reply_to[mid] must be a message of this conversation"
)
OUTSIDE_WINDOW = Refusal(
    400,
    10,
    2018278,
    "(#10) This message is sent outside of allowed window. Learn more about the new policy here: "
    "https://developers.facebook.com/docs/messenger-platform/policy-overview",
)
OTHER_OWNER = Refusal(
    400, 10, 2018300, "(#10) Message failed to send because another app is controlling this thread now."
)
NO_SCOPE = Refusal(403, 200, None, "(#200) Requires {scope} permission to manage the object.")
NO_PERMISSION = Refusal(403, 10, None, "(#10) Application does not have permission for this action")
NO_PROFILE = Refusal(400, 100, 2018218, "(#100) No profile available for this user.")
PROFILE_PERMISSION = Refusal(400, 100, 2018247, "(#100) Insufficient permission to access user profile.")
MESSAGE_DELETED = Refusal(400, 9000001, None, "(#9000001) This message has been deleted.")
SEND_RATE = Refusal(400, 613, None, "(#613) Calls to this api have exceeded the rate limit.")
BUSINESS_RATE = Refusal(
    400,
    80006,
    None,
    "(#80006) There have been too many messenger api calls to this Page account. Wait a bit and try again. "
    "For more info, please refer to https://developers.facebook.com/docs/graph-api/overview/rate-limiting.",
)
INVALID_CURSOR = Refusal(400, 100, None, '(#100) Invalid cursor in "after"')
CALLBACK_FAILED = Refusal(
    400, 2200, None, "(#2200) Callback verification failed with the following errors: {reason}"
)


def error_body(refusal: Refusal, message: str) -> dict[str, Any]:
    """Return the `{"error": ...}` that Graph API answers with, under a new trace id."""
    error = {"message": message, "type": refusal.type, "code": refusal.code, **refusal.more}
    if refusal.subcode is not None:
        error["error_subcode"] = refusal.subcode
    error["fbtrace_id"] = "A" + secrets.token_urlsafe(17)[:22]
    return {"error": error}


def refused(request: Request, exc: Exception) -> JSONResponse:
    """Answer a call that raised GraphError."""
    assert isinstance(exc, GraphError)  # noqa: S101 - Starlette types every handler for Exception
    return JSONResponse(error_body(exc.refusal, str(exc)), exc.refusal.status, exc.headers)


def usage_header(page_id: str, minutes: int) -> dict[str, str]:
    """Return the headers of a page at its limit, with the minutes until it regains access."""
    usage = PageUsage(
        call_count=100, total_cputime=20, total_time=20, estimated_time_to_regain_access=minutes
    )
    return usage_headers(page_id, usage, None)


def usage_headers(page_id: str, of_page: PageUsage | None, of_app: AppUsage | None) -> dict[str, str]:
    """Return the headers that say how much of its limits a page has used, and its app.

    Source: Graph API "Rate Limits".
    """
    headers = {}
    if of_page:
        headers["X-Business-Use-Case-Usage"] = json.dumps({page_id: [msgspec.to_builtins(of_page)]})
    if of_app:
        headers["X-App-Usage"] = json.dumps(msgspec.to_builtins(of_app))
    return headers
