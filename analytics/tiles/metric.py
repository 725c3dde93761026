"""A number that alerts can watch. A tile declares its own with it; see registry.py."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from analytics.queries.question import Sums
from analytics.tiles.dashboard_data import DashboardData

#: A value and what it was computed from. The value is None where there is nothing to compute it from.
Value = tuple[float | None, int]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What can be watched: of sums (`value` and `n`), of a digest (`digest` and `part`), or of this moment (`now`)."""

    key: str
    """What rules store and the API calls it."""
    position: int
    """Its place in the form's list."""
    title: str
    unit: str
    of: str
    good: str
    value: Callable[[Sums], float | None] | None = None
    n: str = ""
    """The measure that says how many chats or messages `value` was computed from."""
    digest: str = ""
    part: float = 0.5
    """Which percentile of the digest."""
    now: Callable[[DashboardData], Value] | None = None
    however_few: bool = False
    """Whether a rule's least number does not count: one is enough."""
