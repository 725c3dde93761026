"""What an app above knows of the sentiment of messages, if one is installed. The pages here ask through this alone."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSentiment:
    """One message's sentiment. `label` is negative, neutral, mixed or positive; `score` from -1 to 1; `unsure`: weak.

    `detail` is what a reader may want to know besides: probabilities, model, language.
    """

    label: str
    score: float
    unsure: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Sentiment over time: mean score of each day on which the customer wrote, and of how many messages.

    `label` is negative, neutral or positive: where these begin is decided by the app that scores.
    """

    days: tuple[tuple[date, float, int], ...]
    label: str

    @property
    def messages(self) -> int:
        return sum(number for _, _, number in self.days)

    @property
    def mean(self) -> float:
        return sum(score * number for _, score, number in self.days) / max(1, self.messages)


class SentimentSource(Protocol):
    """What an app that scores messages answers. Each method is one query."""

    def of_messages(self, messages: Collection[uuid.UUID]) -> Mapping[uuid.UUID, MessageSentiment]:
        """Return what is known of these messages; one that was not scored is left out."""
        ...

    def trend(self, conversations: Collection[uuid.UUID], days: int) -> Trend | None:
        """Return the trend of what customers wrote in these conversations, None if nothing was scored."""
        ...


class _NothingScored:
    """Answers where no app scores messages."""

    def of_messages(self, _messages: Collection[uuid.UUID]) -> Mapping[uuid.UUID, MessageSentiment]:
        return {}

    def trend(self, _conversations: Collection[uuid.UUID], _days: int) -> Trend | None:
        return None


_installed: list[SentimentSource] = [_NothingScored()]


def install(source: SentimentSource) -> None:
    """Let this source answer from now on. For an app's `ready()`."""
    _installed[0] = source


def sentiment_source() -> SentimentSource:
    return _installed[0]
