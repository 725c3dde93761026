"""What is on the customers' phones: one thread for each customer and account."""

from __future__ import annotations

import base64
import itertools
import secrets
import time
import uuid
from typing import Any, Literal

import msgspec

#: X's ids carry the milliseconds since this moment (4 November 2010) in their upper bits.
X_EPOCH_MS = 1_288_834_974_657
_x_sequence = itertools.count()

Status = Literal["sent", "delivered", "read", "failed"]
LADDER: tuple[Status, ...] = ("sent", "delivered", "read")


class Message(msgspec.Struct):
    """One bubble. `direction` is seen from the company: "in" came to it. `at` is Unix time in seconds.

    `callback` is Twilio's StatusCallback for it, `error` the provider's code when it failed.
    """

    id: str
    direction: Literal["in", "out"]
    type: str
    text: str
    at: float
    status: Status = "sent"
    media: list[str] = []
    choices: list[dict[str, str]] = []
    reply_to: str = ""
    edits: int = 0
    callback: str = ""
    error: int = 0

    def rise(self, status: Status) -> bool:
        """Move up the ladder sent, delivered, read; return whether it moved. Nothing moves down."""
        if self.status == "failed" or LADDER.index(status) <= LADDER.index(self.status):
            return False
        self.status = status
        return True


class Customer(msgspec.Struct):
    """A person with a phone, as one account sees them, and their thread, oldest first.

    `last_inbound` (Unix seconds, 0: never wrote) opens the provider's reply window. `blocked` and `opted_out`
    are what the person decided on the phone.
    """

    id: str
    name: str = ""
    username: str = ""
    phone: str = ""
    locale: str = ""
    picture: str = ""
    last_inbound: float = 0.0
    blocked: bool = False
    opted_out: bool = False
    thread: list[Message] = []
    by_id: dict[str, Message] = {}

    def add(self, message: Message) -> None:
        self.thread.append(message)
        self.by_id[message.id] = message

    def last(self, direction: Literal["in", "out"] | None = None) -> Message | None:
        """Return the newest bubble, or the newest in one direction; None on an empty thread."""
        return next((m for m in reversed(self.thread) if direction in (None, m.direction)), None)

    def unread(self) -> list[Message]:
        """Return what the company sent and this customer did not read yet, oldest first."""
        return [m for m in self.thread if m.direction == "out" and m.status in ("sent", "delivered")]


class Content(msgspec.Struct):
    """What a customer does on the phone; which fields matter depends on `type` (see GET /phones/kinds).

    A file is `data` (base64), or `url` (passed on untouched), or neither: then a small sample is sent.
    """

    type: str = "text"
    text: str = ""
    url: str = ""
    data: str = ""
    mime: str = ""
    name: str = ""
    latitude: float = 52.52
    longitude: float = 13.405
    address: str = ""
    phone: str = ""
    title: str = ""
    payload: Any = None
    to: str = ""
    emoji: str = "❤"
    action: str = "react"
    ref: str = ""
    source: str = ""
    ad_id: str = ""
    variant: str = ""

    @property
    def bytes(self) -> bytes:
        return base64.b64decode(self.data)


def describe(content: Content) -> str:
    """Return what the bubble shows."""
    if content.type == "location":
        return content.name or content.address or f"{content.latitude}, {content.longitude}"
    if content.type == "reaction":
        return content.emoji if content.action == "react" else ""
    return content.text or content.title or content.name or f"[{content.type}]"


def x_id(at: float | None = None) -> str:
    """Make an X id: a number in a string that sorts by time. Two calls never give the same one."""
    ms = int((time.time() if at is None else at) * 1000) - X_EPOCH_MS
    return str((ms << 22) | (next(_x_sequence) & 0x3FFFFF))


def messenger_id() -> str:
    return "m_" + secrets.token_urlsafe(60)


def twilio_sid(prefix: str) -> str:
    """Make a Twilio identifier: two letters and 32 hex digits."""
    return prefix + uuid.uuid4().hex
