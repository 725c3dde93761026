"""Shares and means of sums, as tiles show them and alerts watch them."""

from __future__ import annotations

from collections.abc import Callable

from analytics.queries.question import Sums
from analytics.thresholds import SCALE
from analytics.tiles.tile import share

#: A value of sums; None where nothing was counted.
Measure = Callable[[Sums], float | None]


def share_of(part: str, whole: str) -> Measure:
    """Return a measure: one sum as a share of another."""
    return lambda sums: share(sums[part], sums[whole])


def mean_of(total: str, number: str) -> Measure:
    """Return a measure: the mean of scores whose sum and number are given, -1 … +1."""

    def measure(sums: Sums) -> float | None:
        mean = share(sums[total], sums[number])
        return None if mean is None else mean / SCALE

    return measure


#: Net sentiment: the mean of the chats' ratings.
net_sentiment = mean_of("rating_sum", "rated")
#: How sentiment changed from the beginning of chats to their end.
sentiment_shift = mean_of("shift_sum", "shifted")
negative_share = share_of("rated_negative", "rated")
