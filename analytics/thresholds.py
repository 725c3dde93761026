"""Where sentiment begins to count as negative or positive, and how scores are stored: the one place for these numbers.

A score is P(positive) - P(negative), from -1 to +1; the database keeps it in 1/SCALE. A chat's rating is the mean of
its scores.
"""

from __future__ import annotations

#: Scores are stored in 1/10,000.
SCALE = 10_000
#: A label whose probability is under this is shown as unsure.
SURE = 0.5
#: Ratings at or beyond this, either way, have a sign: nearer to nought they are called neutral.
NEUTRAL = 0.05
#: A chat rated at or below -CLEAR is a negative chat. One message or customer beyond it, either way, is clearly so.
CLEAR = 0.25
#: Steps between the shades of one colour in the heat map.
SHADE = 0.20
#: Shifts within a chat, from its beginning to its end: below the first steady, from the second on strong.
SLIGHT_SHIFT, STRONG_SHIFT = 0.20, 0.55
#: How far an agent's net sentiment is from that of all agents where a band begins.
BAND = 0.10


def sign_of(value: float | None) -> str:
    """Return what a rating is called: negative, neutral, positive, or unscored for None."""
    if value is None:
        return "unscored"
    return "negative" if value <= -NEUTRAL else "positive" if value >= NEUTRAL else "neutral"


def clear_sign_of(value: float) -> str:
    """Return whether a customer is clearly negative or positive over many messages, else neutral."""
    return "negative" if value <= -CLEAR else "positive" if value >= CLEAR else "neutral"
