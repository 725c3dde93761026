"""What the scores of a chat's messages come to: its rating, its shift, its language. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analytics.rollups.records import MessageRecord

#: Scored messages below which a shift says nothing.
SHIFT_LEAST = 6


def scores_of(messages: Sequence[MessageRecord]) -> list[int]:
    """Return the scores of the customer's messages, in order."""
    return [message.score for message in messages if message.inbound and message.scored and message.score is not None]


def rating_of(scores: Sequence[int]) -> int | None:
    """Return the mean score of a chat, in 1/SCALE."""
    return round(sum(scores) / len(scores)) if scores else None


def shift_of(scores: Sequence[int]) -> int | None:
    """Return half the difference between the means of the last and the first third, in 1/SCALE; None for few."""
    third = len(scores) // 3
    if len(scores) < SHIFT_LEAST:
        return None
    return round((sum(scores[-third:]) / third - sum(scores[:third]) / third) / 2)


def language_of(messages: Sequence[MessageRecord]) -> str:
    """Return the language in which the customer wrote most; of several the first."""
    languages = Counter(message.language for message in messages if message.inbound and message.language)
    return max(languages, key=lambda language: languages[language]) if languages else ""
