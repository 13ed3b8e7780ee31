"""Files that a page brings to the sandbox Meta: uploaded, or fetched from a URL, or saved before."""

import asyncio
import secrets
import time
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.meta import errors
from sandbox.meta import media as meta_media
from sandbox.meta.call import Call, read_call
from sandbox.meta.errors import GraphError
from sandbox.meta.state import Attachment, File, Media, Page

# Messenger Platform, "Send API" and "Saving Assets": bytes and seconds.
MAX_BYTES, MAX_FETCHED_IMAGE_BYTES = 25 * 2**20, 8 * 2**20
FETCH_TIMEOUT, VIDEO_FETCH_TIMEOUT = 10.0, 75.0
ASSET_LIFETIME = 90 * 86400.0


async def upload(request: Request) -> Response:
    """Answer `POST /{page}/message_attachments` (Messenger Platform, "Attachment Upload API")."""
    call = await read_call(request)
    page = call.own_page()
    spec = call.object("message").get("attachment")
    if not isinstance(spec, dict):
        raise GraphError(errors.REQUIRED, name="message[attachment]")
    media = await _bring(call, spec)
    return JSONResponse({"attachment_id": _save(page, media)})


async def take(call: Call, page: Page, spec: Any) -> tuple[Attachment, str | None]:
    """Return the attachment that a send describes, and its id when it is to be used again."""
    payload = spec.get("payload") if isinstance(spec, dict) else None
    payload = payload if isinstance(payload, dict) else {}
    if "attachment_id" in payload:
        media = _saved(page, str(payload["attachment_id"]))
        return _attachment(media), None
    media = await _bring(call, spec)
    return _attachment(media), _save(page, media) if payload.get("is_reusable") else None


def _attachment(media: Media) -> Attachment:
    return Attachment({"type": media.kind, "payload": {}}, media)


async def _bring(call: Call, spec: Any) -> Media:
    """Take the uploaded file, or fetch the URL, and put it on the media host."""
    spec = spec if isinstance(spec, dict) else {}
    kind, payload = str(spec.get("type")), spec.get("payload") or {}
    if kind not in meta_media.KINDS:
        allowed = ", ".join(sorted(meta_media.KINDS))
        raise GraphError(errors.NOT_ONE_OF, name="message[attachment][type]", allowed=allowed, value=kind)
    url = payload.get("url") if isinstance(payload, dict) else None
    file = await _fetch(call, kind, url) if isinstance(url, str) else call.file
    if file is None:
        raise GraphError(errors.MESSAGE_EMPTY)
    _check(kind, file)
    return meta_media.store(call.platform, kind, file, call.origin)


def _check(kind: str, file: File) -> None:
    if len(file.data) > MAX_BYTES:
        raise GraphError(errors.ATTACHMENT_TOO_LARGE)
    if kind != "file" and not file.content_type.startswith(f"{kind}/"):
        raise GraphError(errors.UPLOAD_FAILED)


async def _fetch(call: Call, kind: str, url: str) -> File:
    """Fetch a file as Meta does: in time, not too large, and named by the last part of its URL."""
    is_video = kind == "video"
    try:
        async with asyncio.timeout(VIDEO_FETCH_TIMEOUT if is_video else FETCH_TIMEOUT):
            return await _download(call, url, MAX_FETCHED_IMAGE_BYTES if kind == "image" else MAX_BYTES)
    except TimeoutError as exc:
        raise GraphError(errors.VIDEO_FETCH_FAILED if is_video else errors.FETCH_FAILED) from exc
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise GraphError(errors.FETCH_FAILED) from exc


async def _download(call: Call, url: str, max_bytes: int) -> File:
    data = bytearray()
    async with call.platform.http.stream("GET", url, follow_redirects=True) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_bytes():
            data += chunk
            if len(data) > max_bytes:
                raise GraphError(errors.FETCH_FAILED)
    name = PurePosixPath(unquote(urlsplit(url).path)).name or "file"
    content_type = answer.headers.get("content-type", "application/octet-stream").partition(";")[0]
    return File(name, content_type, bytes(data))


def _save(page: Page, media: Media) -> str:
    attachment_id = str(10**15 + secrets.randbelow(9 * 10**15))
    page.assets[attachment_id] = (media, time.time())
    return attachment_id


def _saved(page: Page, attachment_id: str) -> Media:
    media, saved_at = page.assets.get(attachment_id, (None, 0.0))
    if media is None or time.time() - saved_at > ASSET_LIFETIME:
        raise GraphError(errors.ATTACHMENT_UNKNOWN)
    return media
