"""Meta's Graph API, as far as Messenger needs it: send, upload, profile.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference/send-api
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from clients.channels.meta.errors import BAD_PROOF, is_known, lookup
from clients.errors import (
    ClientError,
    RateLimited,
    RejectedError,
    Unavailable,
)
from clients.http import HttpClient, RestClient, segment
from clients.jsons import MALFORMED, decode_or_none
from clients.media import File, canonical_type, safe_filename
from clients.notices import notice
from clients.text.line import one_line

TEXT_LIMIT = 2000
_OF_THE_WEB = re.compile(r"https?://[\w.-][^\s\x00-\x1f\x7f<>\"'`\\]*", re.IGNORECASE)
_IMAGE_LIMIT = 8 * 1024 * 1024
_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif"})
_PROFILE_TIMEOUT = httpx.Timeout(5.0)
_UPLOAD_TIMEOUT = httpx.Timeout(connect=3.0, read=90.0, write=30.0, pool=5.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """What Meta tells of a person; any of it may be empty."""

    name: str = ""
    first_name: str = ""
    last_name: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of the page as its conversation shows it; `age`, by Meta's own clock, is exact to seconds."""

    mid: str
    age: timedelta
    text: str
    has_attachment: bool


def attachment_kind(content_type: str, size: int) -> str:
    """Say as what a file is sent: `image` within Meta's limits for pictures, else `file`."""
    return "image" if canonical_type(content_type) in _IMAGE_TYPES and size <= _IMAGE_LIMIT else "file"


def appsecret_proof(token: str, app_secret: str) -> str:
    """Prove that the call comes from the app's own server.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


class Messenger(RestClient):
    """The Graph API as one page uses it. Every method raises `ClientError`."""

    service = "facebook"

    def __init__(self, http: HttpClient, url: str, *, page_id: str, token: str, app_secret: str) -> None:
        """Take the Graph API's address with its version, such as `https://graph.facebook.com/v26.0`."""
        super().__init__(http, url, {"Authorization": f"Bearer {token}"}, f"page:{page_id}")
        self._page_id = page_id
        self._proof = {"appsecret_proof": appsecret_proof(token, app_secret)}

    def send_text(self, psid: str, text: str, *, echo_metadata: str, tag: str | None = None) -> str:
        """Send a text of at most `TEXT_LIMIT` UTF-16 units and return its mid."""
        return self._send_message(psid, {"text": text}, echo_metadata=echo_metadata, tag=tag)

    def send_attachment(
        self, psid: str, kind: str, payload: dict[str, str], *, echo_metadata: str, tag: str | None = None
    ) -> str:
        """Send an image or a file and return its mid.

        `payload` is `{"attachment_id": …}` as `upload` returned it, or `{"url": …}` for Meta to fetch.
        """
        attachment = {"type": kind, "payload": payload}
        return self._send_message(psid, {"attachment": attachment}, echo_metadata=echo_metadata, tag=tag)

    def upload(self, kind: str, file: File) -> str:
        """Hand Meta a file and return its `attachment_id`, which lives for 90 days."""
        message = {"attachment": {"type": kind, "payload": {"is_reusable": True}}}
        type_ = canonical_type(file.content_type)
        answer = self._post(
            f"/{segment(self._page_id)}/message_attachments",
            data={"message": json.dumps(message)},
            files={"filedata": (safe_filename(file.filename, type_), file.stream, type_)},
            timeout=_UPLOAD_TIMEOUT,
        )
        return _required(answer, "attachment_id")

    def ping(self) -> None:
        """Ask for something small, to learn whether Facebook is up and takes the token."""
        self._get(f"/{segment(self._page_id)}", {"fields": "id"})

    def profile(self, psid: str) -> Profile:
        """Read a person's name and picture; where the profile has no name, the conversation may.

        `name` is written as the person's language does; first and last name make one only where it is empty.
        """
        fields = {"fields": "first_name,last_name,name,profile_pic"}
        answer = self._get(f"/{segment(psid)}", fields)
        first, last = _name(answer, "first_name"), _name(answer, "last_name")
        name = _name(answer, "name") or f"{first} {last}".strip() or self._participant_name(psid)
        picture = _string(answer, "profile_pic")
        return Profile(name, first, last, picture if _OF_THE_WEB.fullmatch(picture) else "")

    def sent_messages(self, psid: str) -> list[SentMessage]:
        """Read what the page sent among the last 20 messages, the oldest first; Meta shows no more of them.

        https://developers.facebook.com/documentation/business-messaging/messenger-platform/conversations
        """
        conversation = _string(self._conversation(psid, "id"), "id")
        query = {"fields": "id,created_time,from,message,attachments", "limit": "20"}
        messages = _found(self._get(f"/{segment(conversation)}/messages", query)) if conversation else []
        ours = [one for one in messages if _string(one.get("from"), "id") == self._page_id]
        try:
            return [_sent_message(one, self.now() or datetime.now(UTC)) for one in reversed(ours)]
        except ValueError:
            raise Unavailable("facebook_bad_answer", field="data") from None

    def now(self) -> datetime | None:
        """Return the time by Meta's own clock, as its last answer told it."""
        return self.remote_now()

    def _participant_name(self, psid: str) -> str:
        try:
            participants = _items(self._conversation(psid, "participants").get("participants"))
        except RejectedError:
            return ""
        return next((_name(one, "name") for one in participants if one.get("id") == psid), "")

    def _conversation(self, psid: str, fields: str) -> Any:
        query = {"platform": "messenger", "user_id": psid, "fields": fields}
        return next(iter(_found(self._get(f"/{segment(self._page_id)}/conversations", query))), {})

    def _send_message(
        self, psid: str, message: dict[str, Any], *, echo_metadata: str, tag: str | None
    ) -> str:
        request: dict[str, Any] = {
            "recipient": {"id": psid},
            "message": message | {"metadata": echo_metadata},
        }
        request |= {"messaging_type": "MESSAGE_TAG", "tag": tag} if tag else {"messaging_type": "RESPONSE"}
        return _required(self._post(f"/{segment(self._page_id)}/messages", json=request), "message_id")

    def _get(self, path: str, query: dict[str, str]) -> Any:
        return self.call("GET", path, params=query | self._proof, timeout=_PROFILE_TIMEOUT)

    def _post(self, path: str, **options: Any) -> Any:
        return self.call("POST", path, params=self._proof, **options)

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an error by its code and subcode; its HTTP status says little, its text may be translated."""
        try:
            error = decode_or_none(response.content)["error"]
            code, subcode = int(error["code"]), int(error.get("error_subcode") or 0)
        except MALFORMED:
            return super().error(response)
        about_proof = "appsecret_proof" in _string(error, "message")  # Meta has no code of its own for that
        kind, ours = BAD_PROOF if about_proof else lookup(code, subcode)
        reference = notice("facebook_error", error=f"{code}/{subcode}" if subcode else str(code))
        if issubclass(kind, RateLimited):
            return kind(ours, reference=reference, retry_after=_time_to_regain_access(response))
        transient = error.get("is_transient") is True or response.status_code >= 500
        if transient and not is_known(code, subcode):
            return Unavailable(ours, reference=reference)
        return kind(ours, reference=reference)


def _sent_message(value: Any, now: datetime) -> SentMessage:
    return SentMessage(
        mid=_string(value, "id"),
        age=now - datetime.strptime(_string(value, "created_time"), "%Y-%m-%dT%H:%M:%S%z"),
        text=_string(value, "message"),
        has_attachment=bool(_items(value.get("attachments"))),
    )


def _required(answer: Any, key: str) -> str:
    value = _string(answer, key)
    if not value:
        raise Unavailable("facebook_bad_answer", field=key)
    return value


def _found(answer: Any) -> list[dict[str, Any]]:
    """Return what was looked for. Raises `Unavailable` for an answer that does not tell."""
    found = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unavailable("facebook_bad_answer", field="data")
    return found


def _items(answer: Any) -> list[dict[str, Any]]:
    """Return the objects of a list as the Graph API gives lists: under `data`."""
    found = answer.get("data") if isinstance(answer, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _string(answer: Any, key: str) -> str:
    value = answer.get(key) if isinstance(answer, dict) else None
    return value if isinstance(value, str) else ""


def _name(answer: Any, key: str) -> str:
    return one_line(_string(answer, key))


def _time_to_regain_access(response: httpx.Response) -> float | None:
    """Read how long Meta wants to be left alone, in seconds. The header gives minutes.

    https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    """
    try:
        usage = decode_or_none(response.headers["x-business-use-case-usage"].encode())
        minutes = [use["estimated_time_to_regain_access"] for uses in usage.values() for use in uses]
        seconds = 60.0 * max(minutes)
    except MALFORMED:
        return None
    return seconds if seconds > 0 else None
