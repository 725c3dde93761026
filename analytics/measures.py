"""What is counted: the names of all sums and of all digests, and how a digest's bins stand for durations.

A measure of a message belongs to the hour in which the message was stored, a measure of a chat to the hour in which the
chat was requested. All are integers, so that adding and taking away never drifts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

#: Of messages: how many came, went, ended, and how those of customers were scored.
MESSAGE_MEASURES = (
    "received",  # customers' messages; one id of the messenger counts once
    "sent_agent",  # taken by the messenger
    "sent_bot",
    "sent_auto",
    "settled",  # outbound that came to an end: taken, failed or uncertain
    "failed",  # outbound that the messenger did not take or could not deliver
    "unsettled",  # outbound that has not come to an end
    "blocked",  # failed because the reply window was closed
    "scorable",  # customers' messages with words of their own
    "scored",
    "unscored",  # in a language that the engine does not know, or refused by it
    "negative",
    "neutral",
    "mixed",
    "positive",
    "unsure",  # top probability under SURE
)
#: Of chats. Scores are in 1/SCALE (see thresholds.py): a rating of -1 … +1 is -10,000 … +10,000.
CHAT_MEASURES = (
    "chats",
    "closed",
    "bot_chats",  # a bot spoke
    "queued",  # waited for an agent
    "handled",  # an agent joined
    "abandoned",  # queued, ended, no agent
    "unanswered",  # ended, and the last word is the customer's
    "deflected",  # a bot spoke, ended, nobody waited for an agent
    "contained",  # deflected, and the customer did not come back within 24 hours
    "answered",  # a first response was taken by the messenger
    "handle_ms",
    "rated",  # at least one scored message
    "rating_sum",
    "rated_negative",  # rating at or below -CLEAR
    "shifted",  # at least six scored messages
    "shift_sum",
)
MEASURES = (*MESSAGE_MEASURES, *CHAT_MEASURES)

#: Digests of durations, in this order: the position is what the database stores.
DIGESTS = (
    "first_response",
    "first_response_office",
    "queue_wait",
    "agent_delay",
    "reply",
    "handle",
    "bridge_in",
    "bridge_out",
)

#: How far off a percentile is at most: two per cent.
ACCURACY = 0.02
#: Digests that say something about an agent or a queue; the others are the bridge's own.
OF_PEOPLE = tuple(range(6))
_RATIO = math.log((1 + ACCURACY) / (1 - ACCURACY))
#: No bin is above this: it stands for about a year.
LAST_BIN = 900


def bin_of(milliseconds: int) -> int:
    """Return the bin of a duration; bin 0 holds 1 ms and less."""
    return min(LAST_BIN, math.ceil(math.log(milliseconds) / _RATIO)) if milliseconds > 1 else 0


def middle_of(number: int) -> float:
    """Return the milliseconds that a bin stands for: at most ACCURACY away from all that it holds."""
    return 2 * math.exp(number * _RATIO) / ((1 + ACCURACY) / (1 - ACCURACY) + 1) if number else 1.0


def percentile(bins: Mapping[int, int], share: float) -> float | None:
    """Return the duration, in milliseconds, under or at which this share of the values lies; None without values.

    The value of rank ceil(share * n): the nearest-rank definition, within ACCURACY.
    """
    whole = sum(bins.values())
    if whole <= 0:
        return None
    rank = max(1, math.ceil(share * whole))
    for number in sorted(bins):
        rank -= bins[number]
        if rank <= 0:
            return middle_of(number)
    raise AssertionError("the ranks add up to the whole")


def merged(several: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return one digest of several. Bins add up; percentiles would not."""
    whole: dict[int, int] = {}
    for bins in several:
        for number, count in bins.items():
            whole[number] = whole.get(number, 0) + count
    return whole
