"""The sandbox Meta's media host: signed URLs that expire, as those of fbcdn.net and fbsbx.com."""

import hashlib
import hmac
import mimetypes
import re
import secrets
import struct
import time
import zlib
from pathlib import PurePosixPath
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.meta.state import File, Media, Person, Platform

KINDS = ("image", "audio", "video", "file")
FOLDERS = {"image": "t1.15752-9", "sticker": "t39.1997-6", "video": "t42.3356-2"}
CLIPS = {"audio": "audioclip", "video": "video"}


def kind_of(content_type: str) -> str:
    """Return the attachment type that Meta gives to such a file."""
    kind = content_type.partition("/")[0]
    return kind if kind in KINDS else "file"


def store(platform: Platform, kind: str, file: File, origin: str) -> Media:
    """Keep a file on the media host that is reached at `origin`."""
    number = 10**14 + secrets.randbelow(9 * 10**14)
    suffix = PurePosixPath(file.name).suffix or mimetypes.guess_extension(file.content_type) or ".bin"
    # A voice clip or a video loses the name that the person's phone gave it.
    name = f"{CLIPS[kind]}-{time.time_ns() // 1_000_000}{suffix}" if kind in CLIPS else file.name
    media = Media(number, kind, file, name, origin)
    platform.media[number] = media
    return media


def url(platform: Platform, media: Media) -> str:
    """Return a URL of the file that is good from now for the media lifetime."""
    suffix = PurePosixPath(media.name).suffix
    expiry = f"{_expiry(platform):X}"
    query = f"?_nc_cat=1&oh={_digest(platform, str(media.id), expiry)}&oe={expiry}"
    path = f"{media.origin}/media/v/{FOLDERS.get(media.kind, 't59.2708-21')}/{media.id}"
    if media.kind in ("image", "sticker"):
        return f"{path}_n{suffix}{query}"
    return f"{path}{suffix}/{quote(media.name)}{query}&dl=1"


def picture_url(platform: Platform, person: Person, origin: str) -> str:
    """Return a URL of the person's profile picture that is good for the media lifetime."""
    expiry = _expiry(platform)
    digest = _digest(platform, person.psid, str(expiry))
    query = {"psid": person.psid, "width": 1024, "ext": expiry, "hash": digest}
    return f"{origin}/media/platform/profilepic/?{urlencode(query)}"


async def serve_picture(request: Request) -> Response:
    """Answer `GET /media/platform/profilepic/`."""
    query = request.query_params
    psid, expiry = query.get("psid", ""), query.get("ext", "")
    refusal = _refuse(request.app.state.platform, psid, expiry, 10, query.get("hash", ""))
    return refusal or Response(drawing(psid), media_type="image/png")


async def serve_file(request: Request) -> Response:
    """Answer `GET /media/v/...`; a URL with `dl=1` is a download."""
    platform: Platform = request.app.state.platform
    query = request.query_params
    number = re.match(r"[^/]*/(\d*)", request.path_params["path"])
    media_id = number[1] if number else ""
    if refusal := _refuse(platform, media_id, query.get("oe", ""), 16, query.get("oh", "")):
        return refusal
    media = platform.media[int(media_id)]
    disposition = f"attachment; filename*=UTF-8''{quote(media.name)}"
    headers = {"Content-Disposition": disposition} if "dl" in query else {}
    return Response(media.file.data, headers={"Content-Type": media.file.content_type, **headers})


def drawing(seed: str, size: int = 64) -> bytes:
    """Return a PNG of one colour, which follows from the seed (RFC 2083)."""
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    pixels = zlib.compress((b"\0" + colour * size) * size)
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def _expiry(platform: Platform) -> int:
    return int(time.time() + platform.behaviour.media_lifetime)


def _digest(platform: Platform, *parts: str) -> str:
    return "03_" + hmac.new(platform.media_key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()[:40]


def _refuse(platform: Platform, subject: str, expiry: str, base: int, digest: str) -> Response | None:
    if not hmac.compare_digest(digest.encode(), _digest(platform, subject, expiry).encode()):
        return PlainTextResponse("URL signature mismatch", 403)
    return PlainTextResponse("URL signature expired", 403) if time.time() >= int(expiry, base) else None
