"""A sentiment engine in memory, and customer messages for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analytics.models import Sentiment
from analytics.sentiment.engine import EngineError, ItemFailed, KeyPhrase, Score
from connect_bridge.models import Message
from tests.factories import ContactFactory, ConversationFactory, MessageFactory

GOOD = Score(positive=0.9, negative=0.02, neutral=0.05, mixed=0.03)
BAD = Score(positive=0.02, negative=0.9, neutral=0.05, mixed=0.03)
PLAIN = Score(positive=0.1, negative=0.1, neutral=0.75, mixed=0.05)


class FakeEngine:
    """Scores by words: "bad" is negative, "good" positive. `trouble` are errors of the next calls."""

    model = "fake"

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.trouble: list[EngineError] = []
        self.failures: dict[str, ItemFailed] = {}
        self.detected = "en"
        self.phrased: list[str] = []

    @property
    def calls(self) -> int:
        return len(self.asked) + len(self.phrased)

    def sentiment(self, texts: Sequence[str], language: str) -> list[Score | ItemFailed]:
        self.asked.append((language, list(texts)))
        assert len(texts) <= 25
        assert len(set(texts)) == len(texts)
        if self.trouble:
            raise self.trouble.pop(0)
        return [
            self.failures.get(text) or (BAD if "bad" in text else GOOD if "good" in text else PLAIN) for text in texts
        ]

    def language(self, text: str) -> str:
        self.asked.append(("?", [text]))
        if self.trouble:
            raise self.trouble.pop(0)
        return self.detected

    def key_phrases(self, text: str, language: str) -> list[KeyPhrase]:
        self.phrased.append(text)
        phrases = []
        for word in ("late parcel", "rude agent"):
            start = text.find(word)
            while start >= 0:
                phrases.append(KeyPhrase(f"the {word}", start, start + len(word), 0.9))
                start = text.find(word, start + 1)
        return phrases


def customer_wrote(text: str, conversation: Any = None, **more: Any) -> Message:
    """Store a customer's message with these words of their own."""
    conversation = conversation or ConversationFactory(identity__locale=more.pop("locale", "en"))
    original = {"event": "message", "text": text, "message_id": "m"}
    contact = more.pop("contact", None) or conversation.contacts.first() or ContactFactory(conversation=conversation)
    message: Message = MessageFactory(
        conversation=conversation, contact=contact, text=text, original=original, status="relayed", **more
    )
    return message


def score_of(message: Message) -> Sentiment:
    return Sentiment.objects.get(message=message)
