"""Files to send: made here, so that nothing has to be shipped."""

import io
import math
import struct
import wave
import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """A file that a person or an agent sends."""

    filename: str
    content_type: str
    data: bytes

    def as_json(self) -> dict[str, Any]:
        """Return the file as both sandbox servers take it."""
        return {
            "filename": self.filename,
            "content_type": self.content_type,
            "base64": b64encode(self.data).decode(),
        }


def photo(filename: str = "photo.png", *, blue: int = 128, side: int = 96) -> Sample:
    """Return a square picture, a PNG (RFC 2083) with a run of colours."""
    rows = (
        b"\0" + bytes(value for x in range(side) for value in (x * 255 // side, y * 255 // side, blue))
        for y in range(side)
    )
    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return Sample(filename, "image/png", data)


def document(filename: str = "invoice.pdf", text: str = "Invoice 2026-117: 48.00 EUR") -> Sample:
    """Return a one-page PDF with a line of text."""
    page = f"BT /F1 18 Tf 40 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 420 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(page), page),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + table
    data += b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start
    return Sample(filename, "application/pdf", data)


def voice_clip(seconds: float = 0.5) -> Sample:
    """Return a tone as a WAV file."""
    buffer, rate = io.BytesIO(), 8000
    with wave.open(buffer, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(rate)
        samples = (int(9000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(rate * seconds)))
        clip.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return Sample("voice-clip.wav", "audio/wav", buffer.getvalue())
