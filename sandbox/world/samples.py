"""Small valid files, one for each kind of attachment, for phones that send a file without choosing one."""

from __future__ import annotations

import base64
import struct
import zlib


def _png(width: int, height: int, colour: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + colour * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _wav(seconds: float, rate: int = 8000) -> bytes:
    data = b"\x80" * int(seconds * rate)
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8) + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(body) + len(data)) + body + data


_PDF = (
    b"%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)
_MP4 = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"isom", 512, b"isom", b"mp42") + struct.pack(">I4s", 8, b"mdat")
_OGG = b"OggS\0\2" + bytes(8) + struct.pack("<III", 1, 0, 0) + b"\1\x13OpusHead\1\1\0\0\x80\xbb\0\0\0\0\0"
_WEBP = base64.b64decode("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")

#: type -> (MIME type, file name, bytes)
SAMPLES: dict[str, tuple[str, str, bytes]] = {
    "image": ("image/png", "photo.png", _png(96, 64, b"\x3b\x82\xf6")),
    "video": ("video/mp4", "clip.mp4", _MP4),
    "audio": ("audio/wav", "sound.wav", _wav(0.25)),
    "voice": ("audio/ogg", "voice.ogg", _OGG),
    "file": ("application/pdf", "invoice.pdf", _PDF),
    "gif": ("video/mp4", "clip.mp4", _MP4),
    "sticker": ("image/webp", "sticker.webp", _WEBP),
    "like": ("image/webp", "like.webp", _WEBP),
    "contact": ("text/vcard", "contact.vcf", b""),
}


def vcard(name: str, phone: str) -> bytes:
    """Write a contact card, vCard 3.0."""
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nTEL;TYPE=CELL:{phone}\r\nEND:VCARD\r\n".encode()
