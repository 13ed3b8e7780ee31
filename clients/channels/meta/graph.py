"""Meta's Graph API, as far as Messenger needs it: send, upload, profile.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/reference/send-api
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

import httpx

from clients.channel import (
    Account,
    Credentials,
    Incoming,
    MessageAttachment,
    NewFile,
    NewMessage,
    Past,
    PastConversation,
    PastConversations,
    Profile,
    SentMessage,
    Usage,
    Words,
)
from clients.channels.meta import past
from clients.channels.meta.checks import PageChecks
from clients.channels.meta.errors import (
    BAD_PROOF,
    OF_THE_APP,
    PERHAPS_BLOCKED,
    HeldByAnotherApp,
    is_explained,
    is_known,
    lookup,
    may_be_about_tag,
    read_error,
)
from clients.channels.meta.events import CHANNEL
from clients.channels.meta.kinds import is_app, name_of_app
from clients.channels.meta.usage import usage_of
from clients.channels.meta.values import proper_mid
from clients.errors import (
    ClientError,
    LateReplyAllowed,
    LeaseLost,
    OutsideWindow,
    RateLimited,
    RejectedError,
    TakenOver,
    Unavailable,
)
from clients.findings import Finding
from clients.http import HttpClient, RestClient, segment
from clients.jsons import MALFORMED
from clients.media import File, MediaFetcher, canonical_type, safe_filename
from clients.notices import Notice, Value, notice
from clients.single_flight import Answers
from clients.text.line import one_line

T = TypeVar("T", bound=RejectedError)
_OF_THE_WEB = re.compile(r"https?://[\w.-][^\s\x00-\x1f\x7f<>\"'`\\]*", re.IGNORECASE)
IMAGE_LIMIT = 8 * 1024 * 1024
"""How large an image may be that is sent as one; a larger one is sent as a file."""
SHOWN_AS = {
    "image": frozenset({"png", "jpeg", "gif"}),
    "audio": frozenset({"aac", "mp4", "mpeg", "wav", "x-m4a", "x-wav"}),
    "video": frozenset({"mp4", "ogg", "quicktime", "webm", "x-msvideo"}),
}
"""The media types that Meta shows as a picture, or plays.

It lists them for Instagram only; a HEIC, WebP, SVG or TIFF picture is not among them.
https://developers.facebook.com/docs/messenger-platform/instagram/features/send-message
"""
_PROFILE_TIMEOUT = httpx.Timeout(5.0)
REPLY_WINDOW, AGENTS_WINDOW = timedelta(days=1), timedelta(days=7)
"""For how long after a person wrote Meta allows a reply, and one by an agent.

https://developers.facebook.com/documentation/business-messaging/messenger-platform/policy
"""
_LONGEST_WORDS = 300
_LEAST_QUOTED = 8
"""How many characters of a message, or of a quotation, have to be the same where all of them are not."""
_ROUNDING = timedelta(seconds=2)
"""How much older a message may look than it is: Meta gives times in whole seconds."""
_MOST_LISTS = 5
"""How many lists of a hundred messages that are not shown any more are read of a conversation."""
_UPLOAD_TIMEOUT = httpx.Timeout(30.0, connect=3.0, read=90.0)


def attachment_kind(content_type: str, size: int) -> str:
    """Return as what a file is sent: `image`, `audio` or `video` where Meta shows it as such, else `file`."""
    kind, _, subtype = canonical_type(content_type).partition("/")
    is_shown = subtype in SHOWN_AS.get(kind, ()) and (kind != "image" or size <= IMAGE_LIMIT)
    return kind if is_shown else "file"


def appsecret_proof(token: str, app_secret: str) -> str:
    """Prove that the call comes from the app's own server.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()


class Page(RestClient, Account):
    """The Graph API as one page uses it."""

    service = "facebook"

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        http: HttpClient,
        url: str,
        *,
        page_id: str,
        token: str,
        app_secret: str,
        media: MediaFetcher,
        human_agent: bool = False,
        take_control: bool = False,
        app_id: str = "",
        take_turn: Callable[[str, float], bool] = lambda _account, _spacing: True,
        verify_token: str = "",
    ) -> None:
        """Take the Graph API's address with its version, such as `https://graph.facebook.com/v26.0`."""
        super().__init__(http, url, {"Authorization": f"Bearer {token}"}, f"{CHANNEL}:{page_id}")
        self._page_id, self._media = page_id, media
        self._human_agent, self._take_control, self._app_id = human_agent, take_control, app_id
        self._usage: Usage | None = None
        self._take_turn = take_turn
        self._credentials = Credentials(page_id, token, app_secret, verify_token)

    @cached_property
    def _proof(self) -> dict[str, str]:
        one = self._credentials
        return {"appsecret_proof": appsecret_proof(one.access_token, one.app_secret)}

    @property
    def _checks(self) -> PageChecks:
        return PageChecks(self._http, self.call, self.now, self._credentials, self._proof)

    def send(self, person_id: str, message: NewMessage) -> str:
        """Send a text of at most 2,000 UTF-16 units, a file, or up to 30 images, and return the mid."""
        content = _content(message) | {"metadata": message.echo_metadata}
        return self._send_message(person_id, message, content)

    def upload(self, kind: str, file: File) -> str:
        """Upload a file to Meta and return its `attachment_id`, which lives for 90 days."""
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

    def unsubscribe(self) -> None:
        """Have Meta send the app no more webhooks about the page.

        https://developers.facebook.com/docs/graph-api/reference/page/subscribed_apps
        """
        path = f"/{segment(self._page_id)}/subscribed_apps"
        self.call("DELETE", path, params=self._proof, timeout=_PROFILE_TIMEOUT)

    @property
    def app(self) -> str:
        """Name the app without its secret, and without its id, which only Meta knows for sure."""
        return f"{CHANNEL}:app:{appsecret_proof('app', self._credentials.app_secret)[:16]}"

    def check(self, callback_url: str, known: Answers | None = None) -> Iterator[Finding]:
        """Yield what is right and wrong about token, app, subscriptions, webhook address and clock."""
        return self._checks.check(callback_url, known or Answers())

    def check_grant(self) -> Iterator[Finding]:
        """Yield why the page cannot be connected with the token that a login gave."""
        return self._checks.check_grant()

    def repair(self, found: Finding, callback_url: str) -> None:
        """Subscribe the page, or the app, with all fields. Raises `ClientError`."""
        self._checks.repair(found, callback_url)

    def profile(self, person_id: str) -> Profile:
        """Read a person's name and picture; where the profile has no name, the conversation may.

        `name` is written as the person's language does; first and last name make one only where it is empty.
        """
        fields = {"fields": "first_name,last_name,name,profile_pic"}
        answer = self._get(f"/{segment(person_id)}", fields)
        first, last = _name(answer, "first_name"), _name(answer, "last_name")
        name = _name(answer, "name") or f"{first} {last}".strip() or self._participant_name(person_id)
        picture = _string(answer, "profile_pic")
        return Profile(name, first, last, picture if _OF_THE_WEB.fullmatch(picture) else "")

    def fetch(self, attachment: MessageAttachment) -> AbstractContextManager[File]:
        """Fetch a file of a message from Meta's media hosts, whose addresses are signed and expire."""
        return self._media.fetch(attachment.url, attachment.kind)

    def words_of(self, message_id: str) -> Words | None:
        """Read a message among the last 20 of its conversation; None for an older one.

        https://developers.facebook.com/documentation/business-messaging/messenger-platform/conversations
        """
        try:
            answer = self._ask_past(f"/{segment(message_id)}", {"fields": "message,from"})
        except RejectedError:
            return None
        sender = answer.get("from") if isinstance(answer, dict) else None
        return Words(_string(answer, "message"), _string(sender, "id") == self._page_id)

    def owner_of(self, person_id: str) -> Notice | None:
        """Name the app that holds a conversation, ours as well; Meta tells only who may know.

        https://developers.facebook.com/documentation/business-messaging/messenger-platform/conversation-routing
        """
        owner = self._thread_owner(person_id)
        return notice("own_app") if owner and is_app(owner, self._app_id) else owner

    def find_quoted(self, person_id: str, quotation: str, words: str) -> str | None:
        """Look for a message of the person's among the last 20; it can be answered for a day.

        Where none says just that, the only one counts that has the words in its text, or is the most of them.
        https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages
        """
        now = self.now() or datetime.now(UTC)
        theirs = [
            one for one in self._last_messages(person_id) if _string(one.get("from"), "id") == person_id
        ]
        wordings = [one for one in (quotation, words) if one.strip()]
        exact = [one for wording in wordings for one in theirs if _is(one, wording)]
        found = exact or [one for one in theirs if _is_part(_string(one, "message"), words)]
        if not exact and len(found) > 1:
            return None
        answerable = (one for one in found if now - _created(one) < REPLY_WINDOW)
        return next((proper_mid(_string(one, "id")) for one in answerable), None)

    def find_sent(
        self, person_id: str, text: str | None, within: timedelta, known: Collection[str]
    ) -> SentMessage | None:
        """Look for a message among the last 20 of a conversation; Meta shows no more of them.

        It gives files names and sizes of its own, so any file is taken for the one that is looked for.
        https://developers.facebook.com/documentation/business-messaging/messenger-platform/conversations
        """
        messages = self._last_messages(person_id)
        now = self.now() or datetime.now(UTC)
        for message in reversed(messages):  # the oldest first
            if _string(message.get("from"), "id") != self._page_id or not _is(message, text):
                continue
            sent = SentMessage(proper_mid(_string(message, "id")), now - _created(message))
            if sent.age <= within + _ROUNDING and sent.message_id not in known:
                return sent
        return None

    def conversations(self, after: str = "", *, with_newest: bool = False) -> PastConversations:
        """List the page's conversations, the one where something was said last first."""
        fields = ",".join([past.CONVERSATION_FIELDS, *([past.NEWEST_FIELDS] if with_newest else [])])
        query = {"platform": "messenger", "fields": fields, "limit": "25"}
        path = f"/{segment(self._page_id)}/conversations"
        answer = self._ask_past(path, query | ({"after": after} if after else {}))
        found = [(past.conversation_of(self._page_id, item), item) for item in _found(answer)]
        named = [(one, item) for one, item in found if one]
        newest = {one.id: past.newest_of(self._page_id, one, item) for one, item in named if with_newest}
        return PastConversations([one for one, _ in named], past.after(answer), newest)

    def conversation_with(self, person_id: str) -> PastConversation | None:
        """Find the conversation with a person."""
        found = self._conversation(person_id, past.CONVERSATION_FIELDS)
        return past.conversation_of(self._page_id, found)

    def past(self, conversation: PastConversation, since: datetime, connected: int = 0) -> Past:
        """Read the last 20 messages of a conversation; of older ones since then Meta shows that they are."""
        messages, after = self._listed(conversation, past.MESSAGE_FIELDS, past.MOST_SHOWN)
        wanted = [one for one in messages if _is_since(one, since)]
        read = [(one, past.readable(self._page_id, conversation, one, connected)) for one in wanted]
        unread = [past.hidden(self._page_id, conversation, one) for one, event in read if event is None]
        if after and len(wanted) == len(messages):
            unread += self._hidden(conversation, since, after)
        return Past([event for _, event in reversed(read) if event], unread[::-1])

    def _hidden(self, conversation: PastConversation, since: datetime, after: str) -> Sequence[Incoming]:
        """List the messages since then that Meta does not show, the newest first."""
        found: list[Incoming] = []
        try:
            for _ in range(_MOST_LISTS):
                messages, after = self._listed(conversation, "id,created_time", 100, after)
                wanted = [one for one in messages if _is_since(one, since)]
                found += (past.hidden(self._page_id, conversation, one) for one in wanted)
                if not after or len(wanted) < len(messages):
                    return found
        except RejectedError:
            pass
        return [*found, past.unknown(self._page_id, conversation, int(since.timestamp() * 1000))]

    def _listed(
        self, conversation: PastConversation, fields: str, limit: int, after: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """List messages of a conversation, the newest first; return where the list goes on, too."""
        query = {"fields": fields, "limit": str(limit)} | ({"after": after} if after else {})
        answer = self._ask_past(f"/{segment(conversation.id)}/messages", query)
        return _found(answer), past.after(answer)

    def _ask_past(self, path: str, query: dict[str, str]) -> Any:
        """Ask the Conversations API, which takes few calls for each page. Raises `RateLimited`."""
        if not self._take_turn(self.remote, past.SPACING):
            busy = RateLimited("facebook_rate_limit", retry_after=1)
            busy.remote = self.remote
            raise busy
        return self._get(path, query)

    def now(self) -> datetime | None:
        """Return the time by Meta's own clock, as its last answer gave it."""
        return self.remote_now()

    def usage(self) -> Usage | None:
        """Return how much of Meta's limits the page, or its app, has used."""
        return self._usage

    def _note_headers(self, response: httpx.Response, asked: float) -> None:
        super()._note_headers(response, asked)
        self._usage = usage_of(response.headers, self._page_id) or self._usage

    def _participant_name(self, psid: str) -> str:
        try:
            participants = _items(self._conversation(psid, "participants").get("participants"))
        except RejectedError:
            return ""
        return next((_name(one, "name") for one in participants if one.get("id") == psid), "")

    def _conversation(self, psid: str, fields: str) -> Any:
        query = {"platform": "messenger", "user_id": psid, "fields": fields}
        path = f"/{segment(self._page_id)}/conversations"
        return next(iter(_found(self._ask_past(path, query))), {})

    def _last_messages(self, psid: str) -> list[dict[str, Any]]:
        """Return the last messages of a conversation, the newest first, which takes one call.

        https://developers.facebook.com/docs/graph-api/guides/field-expansion
        """
        fields = f"messages.limit({past.MOST_SHOWN}){{id,created_time,from,message,attachments}}"
        conversation = self._conversation(psid, fields)
        return _found(conversation.get("messages")) if conversation else []

    def show_typing(self, person_id: str) -> None:
        """Have the person see that somebody types, for 20 seconds or until the next message."""
        self._act(person_id, "typing_on")

    def mark_seen(self, person_id: str) -> None:
        """Have the person see that what they wrote was seen."""
        self._act(person_id, "mark_seen")

    def _act(self, psid: str, action: str) -> None:
        # Meta counts texts, links, reactions and stickers against 300 calls a second, and names no sender
        # action there, so none takes a slot of them:
        # https://developers.facebook.com/docs/graph-api/overview/rate-limiting
        request = {"recipient": {"id": psid}, "sender_action": action}
        self._post(f"/{segment(self._page_id)}/messages", json=request, timeout=_PROFILE_TIMEOUT)

    def _send_message(self, psid: str, message: NewMessage, content: Mapping[str, Any]) -> str:
        """Send a message; take the conversation over from another app before it is sent again, where allowed.

        https://developers.facebook.com/documentation/business-messaging/messenger-platform/conversation-routing
        """
        request = {"recipient": {"id": psid}, "message": content}
        try:
            return self._send_in_window(request, message)
        except HeldByAnotherApp as error:
            if not self._take_control or message.is_taken_over:
                code = "not_taken_over" if message.is_taken_over else error.notice.code
                raise _told(error, code, owner=self._owner(psid)) from None
            self._take(psid, error)
            raise TakenOver(error.notice.code, **error.notice.values, owner=notice("an_app")) from None

    def _take(self, psid: str, held: HeldByAnotherApp) -> None:
        """Take a conversation over. Whatever comes of it, the message was not sent yet."""
        try:
            self._post(f"/{segment(self._page_id)}/take_thread_control", json={"recipient": {"id": psid}})
        except Unavailable as error:
            error.maybe_done = False
            raise
        except RejectedError:
            raise _told(held, "not_taken_over", owner=self._owner(psid)) from None

    def _send_in_window(self, request: dict[str, Any], message: NewMessage) -> str:
        """Send a message within Meta's reply window, or late with the tag for human agents, where allowed."""
        if message.is_late:
            return self._send_late(request, message)
        answer = {"reply_to": {"mid": message.reply_to}} if message.reply_to else {}
        try:
            return self._send(request | answer | {"messaging_type": "RESPONSE"})
        except OutsideWindow as error:
            if self._human_agent and not message.is_automated:
                raise LateReplyAllowed(error.notice.code, **error.notice.values) from None
            raise self._closed(request["recipient"]["id"], error, message) from None

    def _send_late(self, request: dict[str, Any], message: NewMessage) -> str:
        """Send a message with the tag for human agents; Meta documents no answer to a certain message then.

        Which error an app without the permission for that gets is not documented. One that several files
        together get may be about them.
        """
        psid = request["recipient"]["id"]
        try:
            return self._send(request | {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"})
        except OutsideWindow as error:
            raise self._closed(psid, error, message) from None
        except RejectedError as error:
            if not may_be_about_tag(error) or len(message.files) > 1:
                raise
            raise self._late_refused(psid, error, message) from None

    def _owner(self, psid: str) -> Notice:
        """Name the app that holds a conversation in which ours may not write."""
        owner = self._thread_owner(psid)
        # Ours by now: the one that held the conversation a moment ago has let it go.
        return notice("an_app") if owner is None or is_app(owner, self._app_id) else owner

    def _thread_owner(self, psid: str) -> Notice | None:
        """Name the app that holds a conversation; None where Meta does not tell."""
        try:
            query = {"recipient": psid}
            found = _found(self._get(f"/{segment(self._page_id)}/thread_owner", query))
            app_id = next(iter(found), {})["thread_owner"]["app_id"]  # nobody's, when nothing was said lately
        except LeaseLost:
            raise
        except (ClientError, IndexError, *MALFORMED):
            return None
        return name_of_app(app_id)

    def _closed(self, psid: str, error: OutsideWindow, message: NewMessage) -> OutsideWindow:
        """Say when Meta's reply window closed, if it is known when the person wrote last."""
        wrote_at = self._last_written(psid, message)
        if wrote_at is None:
            return error
        closed, until = wrote_at + REPLY_WINDOW, wrote_at + AGENTS_WINDOW
        is_open_to_agents = until > (self.now() or datetime.now(UTC))
        if self._human_agent and message.is_automated and is_open_to_agents:
            return _told(error, "window_closed_for_automation", time=_shown(closed), until=_shown(until))
        if self._human_agent:
            return _told(error, "window_closed_at", time=_shown(until))
        if not is_open_to_agents:
            return _told(error, "window_closed_at", time=_shown(closed))
        return _told(error, "window_closed_for_apps", time=_shown(closed), until=_shown(until))

    def _late_refused(self, psid: str, error: RejectedError, message: NewMessage) -> OutsideWindow:
        """Say that Meta does not take a late reply, and why; and when its window closed, if that is known."""
        wrote_at = self._last_written(psid, message)
        if wrote_at is None:
            told = OutsideWindow("late_reply_refused", reason=error.notice)
        else:
            closed = _shown(wrote_at + REPLY_WINDOW)
            told = OutsideWindow("late_reply_refused_at", reason=error.notice, time=closed)
        told.remote = error.remote
        return told

    def _last_written(self, psid: str, message: NewMessage) -> datetime | None:
        """Return when a person wrote last to whom a message came too late; None if that is not known."""
        now = self.now() or datetime.now(UTC)
        if message.wrote_at and message.wrote_at + REPLY_WINDOW <= now:  # else it is not what Meta goes by
            return message.wrote_at
        try:
            messages = self._last_messages(psid)
            return next((_created(one) for one in messages if _string(one.get("from"), "id") == psid), None)
        except LeaseLost:
            raise
        except ClientError:
            return None

    def _send(self, request: dict[str, Any]) -> str:
        path = f"/{segment(self._page_id)}/messages"
        try:
            return proper_mid(_required(self._post(path, json=request), "message_id"))
        except Unavailable as error:
            if error.notice.values.get("reference") == PERHAPS_BLOCKED:
                error.notice = notice("facebook_fault_or_blocked", **error.notice.values)
            raise

    def _get(self, path: str, query: dict[str, str]) -> Any:
        return self.call("GET", path, params=query | self._proof, timeout=_PROFILE_TIMEOUT)

    def _post(self, path: str, **options: Any) -> Any:
        return self.call("POST", path, params=self._proof, **options)

    def error(self, response: httpx.Response) -> ClientError:
        """Sort an error by its code and subcode; its HTTP status says little, its text may be translated."""
        try:
            error, code, subcode, reference = read_error(response.content)
        except MALFORMED:
            return super().error(response)
        words = one_line(
            " ".join(filter(None, (_string(error, f"error_user_{key}") for key in ("title", "msg"))))
        )
        about_proof = "appsecret_proof" in _string(error, "message")  # Meta has no code of its own for that
        kind, ours = BAD_PROOF if about_proof else lookup(code, subcode)
        if issubclass(kind, RateLimited):
            usage = usage_of(response.headers, self._page_id)
            limited = kind(ours, reference=reference, retry_after=(usage and usage.regain) or None)
            limited.is_of_app = code in OF_THE_APP
            return limited
        told = notice(ours, reference=reference)
        if words and issubclass(kind, RejectedError) and not is_explained(code, subcode):
            told = notice("facebook_says", words=words[:_LONGEST_WORDS], reference=reference)
        transient = error.get("is_transient") is True or response.status_code >= 500
        if transient and not is_known(code, subcode):
            kind = Unavailable
        return kind(told.code, **told.values)


def _content(message: NewMessage) -> dict[str, Any]:
    files = [_attachment(file) for file in message.files]
    if len(files) > 1:
        return {"attachments": files}
    return {"attachment": files[0]} if files else {"text": message.text}


def _attachment(file: NewFile) -> dict[str, Any]:
    payload = {"attachment_id": file.uploaded} if file.uploaded else {"url": file.url}
    return {"type": file.kind, "payload": payload}


def _told(error: T, code: str, **values: Value) -> T:
    """Return an error with more to say."""
    told = type(error)(code, **error.notice.values | values)
    told.remote = error.remote
    return told


def _shown(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _is(message: dict[str, Any], text: str | None) -> bool:
    """Return whether a message of a conversation says this, or has a file."""
    if text is None:
        return bool(_items(message.get("attachments")))
    return _string(message, "message").split() == text.split()


def _is_part(text: str, words: str) -> bool:
    """Return whether a message has the words in it, or is the most of them; no few letters count."""
    text, words = " ".join(text.split()), " ".join(words.split())
    if min(len(text), len(words)) < _LEAST_QUOTED:
        return False
    # What else a quotation says would be lost, so it has to be little: a name, or when it was written.
    return words in text or (text in words and 2 * len(text) >= len(words))


def _created(message: dict[str, Any]) -> datetime:
    try:
        return datetime.strptime(_string(message, "created_time"), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        raise Unavailable("facebook_bad_answer", field="data") from None


def _is_since(message: dict[str, Any], since: datetime) -> bool:
    """Return whether a message was written in the same second or later: Meta gives no more of a time."""
    return past.milliseconds_of(message.get("created_time")) >= int(since.timestamp()) * 1000


def _required(answer: Any, key: str) -> str:
    value = _string(answer, key)
    if not value:
        raise Unavailable("facebook_bad_answer", field=key)
    return value


def _found(answer: Any) -> list[dict[str, Any]]:
    """Return what was looked for. Raises `Unavailable` for an answer without it."""
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
