"""How long to wait before another attempt, so that those who failed together do not come back together."""

from __future__ import annotations

import random

#: Doublings after which no ceiling grows any more: a day is reached long before.
_MOST_DOUBLINGS = 32


def full_jitter(failures: int, first: float, most: float) -> float:
    """Return a number of seconds between nothing and a ceiling: `first`, doubled for each failure, never above `most`.

    "Full jitter" of AWS's Architecture Blog, Exponential Backoff And Jitter: of the schemes compared there, the one in
    which many clients need the fewest calls.
    """
    return random.uniform(0, min(most, first * 2.0 ** min(failures, _MOST_DOUBLINGS)))  # noqa: S311 - not a secret


def spread(seconds: float, share: float) -> float:
    """Return the seconds, up to that share of them more or less, so that what is regular does not fall together."""
    return seconds * random.uniform(1 - share, 1 + share)  # noqa: S311 - not a secret
