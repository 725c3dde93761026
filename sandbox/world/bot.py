"""A small bot with a lexicon of words, which the flows and Lex share. It understands very little English."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Intent to the words that call it and its answer, in the order in which they are tried.
LEXICON: dict[str, tuple[frozenset[str], str]] = {
    "TalkToAgent": (frozenset({"agent", "human", "person", "representative"}), "One moment, I am getting an agent."),
    "OpeningHours": (frozenset({"hours", "open", "opening", "close"}), "We are here every day from 8 to 20."),
    "OrderStatus": (frozenset({"order", "parcel", "delivery", "track"}), "Your order is on its way."),
    "Refund": (frozenset({"refund", "return", "money"}), "Refunds take five days. Say 'agent' to talk to someone."),
    "Thanks": (frozenset({"thanks", "thank", "bye"}), "You are welcome."),
    "Greeting": (frozenset({"hello", "hi", "hey", "morning"}), "Hello! How can I help? Say 'agent' for a person."),
}
FALLBACK = ("FallbackIntent", "I did not understand that. Say 'agent' to talk to a person.")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bot made of a text. `confidence` is between 0 and 1."""

    intent: str
    text: str
    confidence: float


def understand(text: str) -> Reply:
    """Return the first intent of which the text has a word."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    for intent, (keywords, answer) in LEXICON.items():
        if keywords & words:
            return Reply(intent, answer, 0.95)
    return Reply(*FALLBACK, 0.4)
