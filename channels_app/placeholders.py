"""Say in plain text what Connect's chat cannot show: a place, a picture, a sticker, a deleted message.

Text stays as the customer wrote it, to the letter; every other part becomes one line in square brackets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from channels_app.failpoints import failpoint
from channels_app.types import (
    AccountChanged,
    AccountLinked,
    ConsentChanged,
    Echoed,
    IdentityChanged,
    InboundEvent,
    MessageEdited,
    MessageReceived,
    MessageUnsent,
    Misaddressed,
    Part,
    PartKind,
    Reacted,
    ReceiptReceived,
    TypingShown,
    Unrecognised,
)

EMPTY = "[empty message]"
#: Characters of a name, caption or link that a placeholder quotes.
LONGEST_QUOTE = 300
#: Characters that turn the direction of what follows: in a name they would also turn our own words around it.
_TURNS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))

_NOUNS = {
    PartKind.IMAGE: "image",
    PartKind.AUDIO: "audio",
    PartKind.VOICE: "voice message",
    PartKind.VIDEO: "video",
    PartKind.FILE: "file",
    PartKind.STICKER: "sticker",
    PartKind.CONTACT: "contact",
    PartKind.LINK: "link",
    PartKind.ORDER: "order",
    PartKind.STORY: "story",
}


def readable(message: MessageReceived, replied_to: str = "") -> str:
    """Return the message as an agent can read it, never empty.

    `replied_to` is the text that the customer replied to, where the caller has it at hand.
    """
    lines = [f"[in reply to: {_quote(replied_to)}]"] if replied_to else []
    if message.forwarded:
        lines.append("[forwarded]")
    text = message.text or (message.selection.title if message.selection else "")
    if text.strip():
        lines.append(text)
    if message.parts:
        failpoint("I12")
    lines += [_LINES.get(part.kind, _named)(part) for part in message.parts]
    if not text.strip() and not message.parts:
        lines.append(EMPTY if not message.referral or message.selection else "[opened the chat]")
    if message.referral:
        lines.append(f"[came from: {_quote(message.referral)}]")
    return "\n".join(lines)


def describe(event: InboundEvent) -> str | None:
    """Return what the agent is shown of an event, or None for what only the system needs to know."""
    match event:
        case MessageReceived():
            return readable(event)
        case MessageEdited():
            return f"[edited] {event.text}" if event.text.strip() else "[edited: the text was removed]"
        case MessageUnsent():
            return "[message deleted by the customer]"
        case Reacted():
            return f"[reacted {_quote(event.emoji)}]" if event.emoji else "[reaction removed]"
        case (
            Echoed()
            | ReceiptReceived()
            | TypingShown()
            | ConsentChanged()
            | AccountLinked()
            | IdentityChanged()
            | AccountChanged()
            | Unrecognised()
            | Misaddressed()
        ):
            return None
        case _:
            assert_never(event)


def _quote(text: str) -> str:
    """Return the text on one line, written in one direction and not too long: nobody can draw lines of their own."""
    line = " ".join(text.translate(_TURNS).split())
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"


def _line(noun: str, *details: str) -> str:
    known = " · ".join(_quote(detail) for detail in details if detail.strip())
    return f"[{noun}: {known}]" if known else f"[{noun}]"


def _named(part: Part) -> str:
    return _line(_NOUNS[part.kind], part.name, part.caption, part.detail)


def _location(part: Part) -> str:
    at = ", ".join(_degrees(angle) for angle in (part.latitude, part.longitude) if angle is not None)
    return _line("location", at, part.name, part.caption, part.detail)


def _degrees(angle: float) -> str:
    """Return the angle to a millionth of a degree, a tenth of a metre, without idle zeros."""
    return f"{angle:.6f}".rstrip("0").rstrip(".")


def _linked(part: Part) -> str:
    return _line(_NOUNS[part.kind], part.name, part.caption, part.media_ref)


def _story(part: Part) -> str:
    return f"[{_quote(part.detail or 'about a story')}]"


def _encrypted(_part: Part) -> str:
    return "[encrypted message: X Chat is not readable here]"


def _unsupported(part: Part) -> str:
    return _line("a kind of message that cannot be shown here", part.name, part.caption, part.detail)


_LINES: dict[PartKind, Callable[[Part], str]] = {
    PartKind.LOCATION: _location,
    PartKind.LINK: _linked,
    PartKind.STORY: _story,
    PartKind.ENCRYPTED: _encrypted,
    PartKind.UNSUPPORTED: _unsupported,
}
