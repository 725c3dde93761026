"""Say in plain text what Connect's chat cannot show: a place, a picture, a sticker, a deleted message.

Text stays as the customer wrote it, to the letter; every other part becomes one line in square brackets.
"""

from __future__ import annotations

import unicodedata
from typing import assert_never

from channels_app.infrastructure.failpoints import failpoint
from channels_app.toolkit.part_lines import bracketed, line_of, quote, with_answers
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
#: How a messenger's word for a customer's decision is shown; any other word names what they decided about.
_DECISIONS = {
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
    lines = [f"[in reply to: {quote(replied_to)}]"] if replied_to else []
    if message.forwarded:
        lines.append("[forwarded]")
    text = message.text if not is_blank(message.text) else _selected(message)
    if text:
        lines.append(text)
    if message.parts:
        failpoint("I12")
    lines += [line_of(part) for part in message.parts]
    if not text and not message.parts:
        lines.append(_empty(message))
    if message.referral:
        lines.append(f"[came from: {quote(message.referral)}]")
    return "\n".join(lines)


def _selected(message: MessageReceived) -> str:
    """Return what a customer who wrote nothing has tapped: its title, else its id."""
    selection = message.selection
    if selection is None or is_blank(selection.title + selection.id):
        return ""
    return f"[chose: {quote(selection.id)}]" if is_blank(selection.title) else selection.title


def _empty(message: MessageReceived) -> str:
    if message.text.strip():
        return UNSEEN
    return EMPTY if not message.referral or message.selection else OPENED


def elsewhere(echo: Echoed) -> str:
    """Return how an answer that our side wrote outside of Parley is shown; "" if the echo holds no content."""
    lines = [line_of(part) for part in echo.parts]
    content = "\n".join([*([] if is_blank(echo.text) else [echo.text]), *lines])
    return f"[answered elsewhere: {content}]" if content else ""


def describe(event: InboundEvent, about: str = "") -> str | None:
    """Return what the agent is shown of an event, or None for events that only the system needs to know.

    `about` is the text of the message that the event is about, where the caller has it at hand.
    """
    match event:
        case MessageReceived():
            return readable(event)
        case MessageEdited():
            return _edited(event, about)
        case MessageUnsent():
            return f"[deleted: {quote(about)}]" if about else "[message deleted by the customer]"
        case Reacted() | Rated():
            return _reacted(event, about)
        case Referred():
            return f"{OPENED}\n[came from: {quote(event.referral)}]"
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
    before = f"\n[before: {quote(about)}]" if about else ""
    return f"[edited: {'the text was removed' if is_blank(event.text) else event.text}]{before}"


def _reacted(event: Reacted | Rated, about: str) -> str:
    if isinstance(event, Rated):
        return with_answers(bracketed("feedback on" if about else "feedback", about), event.answers)
    if event.emoji:
        return f"[reacted {quote(event.emoji)} to: {quote(about)}]" if about else f"[reacted {quote(event.emoji)}]"
    return f"[reaction removed from: {quote(about)}]" if about else "[reaction removed]"


def _decided(event: ConsentChanged) -> str | None:
    if event.topic in _WRITTEN and not event.offers:
        return None
    known = "" if event.offers else _DECISIONS.get(event.topic)
    return known or bracketed("opted in" if event.granted else "opted out", event.topic)
