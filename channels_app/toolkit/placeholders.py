"""Say in plain text what Connect's chat cannot show: a place, a picture, a sticker, a deleted message.

Text stays as the customer wrote it, to the letter; every other part becomes one line in square brackets.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import assert_never

from channels_app.infrastructure.failpoints import failpoint
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
    Rated,
    Reacted,
    ReceiptReceived,
    Referred,
    TypingShown,
    Unrecognised,
)

EMPTY, OPENED = "[empty message]", "[opened the chat]"
UNSEEN = "[empty message: only characters that cannot be seen]"
#: Characters that show nothing though Unicode counts them as letters, marks or symbols: fillers, joiners, variants.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
#: Characters of a name, caption or link that a placeholder quotes.
LONGEST_QUOTE = 300
#: Characters of one answer of a form.
LONGEST_ANSWER = 1_000
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
    PartKind.FORM: "form",
    PartKind.STORY: "story",
}
#: What a messenger's own word for a customer's decision comes to; any other is the name of what they decided about.
_DECIDED = {
    "follow": "[follows us now]",
    "unfollow": "[no longer follows us]",
    "block": "[blocked us]",
    "unblock": "[unblocked us]",
}
#: These come beside the message in which the customer wrote them, which is shown anyway.
_WRITTEN = frozenset(("STOP", "START"))


def is_blank(text: str) -> bool:
    """Return whether there is nothing to see: blanks, control and format characters, fillers."""
    return not any(_shows(letter) for letter in text)


def _shows(letter: str) -> bool:
    if letter in _INVISIBLE or "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef":
        return False
    return unicodedata.category(letter) not in ("Cc", "Cf", "Cn", "Cs", "Zs", "Zl", "Zp")


def readable(message: MessageReceived, replied_to: str = "") -> str:
    """Return the message as an agent can read it, never empty.

    `replied_to` is the text that the customer replied to, where the caller has it at hand.
    """
    lines = [f"[in reply to: {_quote(replied_to)}]"] if replied_to else []
    if message.forwarded:
        lines.append("[forwarded]")
    text = message.text if not is_blank(message.text) else _picked(message)
    if text:
        lines.append(text)
    if message.parts:
        failpoint("I12")
    lines += [_LINES.get(part.kind, _named)(part) for part in message.parts]
    if not text and not message.parts:
        lines.append(_nothing(message))
    if message.referral:
        lines.append(f"[came from: {_quote(message.referral)}]")
    return "\n".join(lines)


def _picked(message: MessageReceived) -> str:
    """Return what a customer who wrote nothing has tapped: what it was called, else what it means to us."""
    picked = message.selection
    if picked is None or is_blank(picked.title + picked.id):
        return ""
    return f"[chose: {_quote(picked.id)}]" if is_blank(picked.title) else picked.title


def _nothing(message: MessageReceived) -> str:
    if message.text.strip():
        return UNSEEN
    return EMPTY if not message.referral or message.selection else OPENED


def elsewhere(echo: Echoed) -> str:
    """Return how our own side's words, written past us, are shown; "" if the echo holds none."""
    lines = [_LINES.get(part.kind, _named)(part) for part in echo.parts]
    said = "\n".join([*([] if is_blank(echo.text) else [echo.text]), *lines])
    return f"[answered elsewhere: {said}]" if said else ""


def describe(event: InboundEvent, about: str = "") -> str | None:
    """Return what the agent is shown of an event, or None for what only the system needs to know.

    `about` is the text of the message that the event is about, where the caller has it at hand.
    """
    match event:
        case MessageReceived():
            return readable(event)
        case MessageEdited():
            return _edited(event, about)
        case MessageUnsent():
            return f"[deleted: {_quote(about)}]" if about else "[message deleted by the customer]"
        case Reacted() | Rated():
            return _reacted(event, about)
        case Referred():
            return f"{OPENED}\n[came from: {_quote(event.referral)}]"
        case ConsentChanged():
            return _decided(event)
        case (
            Echoed()
            | ReceiptReceived()
            | TypingShown()
            | AccountLinked()
            | IdentityChanged()
            | AccountChanged()
            | Unrecognised()
            | Misaddressed()
        ):
            return None
        case _:
            assert_never(event)


def _edited(event: MessageEdited, about: str) -> str:
    before = f"\n[before: {_quote(about)}]" if about else ""
    return f"[edited: {'the text was removed' if is_blank(event.text) else event.text}]{before}"


def _reacted(event: Reacted | Rated, about: str) -> str:
    if isinstance(event, Rated):
        return _with_answers(_line("feedback on" if about else "feedback", about), event.answers)
    if event.emoji:
        return f"[reacted {_quote(event.emoji)} to: {_quote(about)}]" if about else f"[reacted {_quote(event.emoji)}]"
    return f"[reaction removed from: {_quote(about)}]" if about else "[reaction removed]"


def _decided(event: ConsentChanged) -> str | None:
    if event.topic in _WRITTEN and not event.offers:
        return None
    own = "" if event.offers else _DECIDED.get(event.topic)
    return own or _line("opted in" if event.granted else "opted out", event.topic)


def _quote(text: str, most: int = LONGEST_QUOTE) -> str:
    """Return the text on one line, written in one direction and not too long: nobody can draw lines of their own."""
    line = " ".join(text.translate(_TURNS).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _line(noun: str, *details: str) -> str:
    known = " · ".join(_quote(detail) for detail in details if detail.strip())
    return f"[{noun}: {known}]" if known else f"[{noun}]"


def _named(part: Part) -> str:
    return _with_answers(_line(_NOUNS[part.kind], part.name, part.caption, part.detail), part.answers)


def _with_answers(line: str, answers: Iterable[tuple[str, str]]) -> str:
    """Return the line and below it each answer of a form by itself."""
    told = ((_quote(question), _quote(answer, LONGEST_ANSWER)) for question, answer in answers)
    return "\n".join([line, *(f"{question}: {answer}" if question else answer for question, answer in told)])


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
    words = (part.name, part.caption, part.detail, part.media_ref)
    return _with_answers(_line("a kind of message that cannot be shown here", *words), part.answers)


_LINES: dict[PartKind, Callable[[Part], str]] = {
    PartKind.LOCATION: _location,
    PartKind.LINK: _linked,
    PartKind.STORY: _story,
    PartKind.ENCRYPTED: _encrypted,
    PartKind.UNSUPPORTED: _unsupported,
}
