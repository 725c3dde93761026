"""What an app above can say of messages' mood, if one is installed. The pages here ask through this alone."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """One message's sentiment. `label` is negative, neutral, mixed or positive; `score` from -1 to 1; `unsure`: weak.

    `detail` is what a reader may want to know besides: probabilities, model, language.
    """

    label: str
    score: float
    unsure: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Sentiment over time: mean score of each day on which the customer wrote, and of how many messages."""

    days: tuple[tuple[date, float, int], ...]

    @property
    def messages(self) -> int:
        return sum(number for _, _, number in self.days)

    @property
    def mean(self) -> float:
        return sum(score * number for _, score, number in self.days) / max(1, self.messages)


class Insights(Protocol):
    """What whoever analyses messages tells. Each is one query."""

    def moods(self, messages: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Mood]:
        """Return what is known of these messages; one that was not scored is left out."""
        ...

    def trend(self, conversations: Collection[uuid.UUID], days: int) -> Trend | None:
        """Return the trend of what customers wrote in these conversations, None if nothing was scored."""
        ...


class _Nobody:
    """Nothing is analysed here."""

    def moods(self, _messages: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Mood]:
        return {}

    def trend(self, _conversations: Collection[uuid.UUID], _days: int) -> Trend | None:
        return None


_installed: list[Insights] = [_Nobody()]


def install(insights: Insights) -> None:
    """Let these answer from now on. For an app's `ready()`."""
    _installed[0] = insights


def insights() -> Insights:
    return _installed[0]
