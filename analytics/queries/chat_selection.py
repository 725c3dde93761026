"""Which chats lie behind a number: read from a URL, passed to the database, and written back to a URL.

The chats of a range are those that were requested in it, as the numbers count them. Two things are not of the range:
what is open is open now, and a failed message counts in the hour of the message, whenever its chat began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from analytics.rollups.time_buckets import zone
from analytics.thresholds import CLEAR, SCALE

OUTCOMES = {
    "": "All",
    "open": "Open now",
    "negative": "Negative",
    "unanswered": "Unanswered",
    "abandoned": "Gave up waiting",
    "deflected": "The bot alone",
    "contained": "… and did not come back",
    "handled": "With an agent",
}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
NAMES = ("outcome", "phrase", "code", "slot")
_MOST_CHARACTERS = 100

#: The condition on f, a row of ChatFact or what looks like one; its parameters are DashboardData.filter_params.
MATCHES_FILTER = """
  AND (%(accounts)s::uuid[] IS NULL OR f.account_id = ANY(%(accounts)s::uuid[]))
  AND (%(queue)s::text IS NULL OR f.queue = %(queue)s) AND (%(agent)s::text IS NULL OR f.agent = %(agent)s)
  AND (%(language)s::text IS NULL OR f.language = %(language)s)
"""
_REQUESTED = "f.started_at >= %(start)s AND f.started_at < %(end)s"
_OUTCOME = {
    "": "true",
    "open": "f.ended_at IS NULL",
    "negative": f"f.rating <= {-CLEAR * SCALE:.0f}",
    "unanswered": "f.ended_at IS NOT NULL AND f.waiting_since IS NOT NULL",
    "abandoned": "f.outcome = 'abandoned'",
    "deflected": "f.outcome IN ('deflected', 'contained')",
    "contained": "f.outcome = 'contained'",
    "handled": "f.outcome = 'handled'",
}
_PHRASE = """
EXISTS (SELECT 1 FROM analytics_phrase p JOIN connect_bridge_message m ON m.id = p.message_id
         WHERE m.contact_id = f.contact_id AND p.text = %(phrase)s)
"""
_CODE = """
f.started_at < %(end)s AND f.last_at >= %(start)s AND EXISTS (
    SELECT 1 FROM connect_bridge_message m
     WHERE m.contact_id = f.contact_id AND m.direction = 'out' AND m.status = 'failed'
       AND m.created_at >= %(start)s AND m.created_at < %(end)s
       AND COALESCE((SELECT o.provider_code FROM connect_bridge_outboxentry o
                      WHERE o.message_id = m.id AND o.provider_code <> '' ORDER BY o.part LIMIT 1),
                    NULLIF(m.error_code, ''), 'unknown') = %(code)s)
"""
_SLOT = """
extract(isodow FROM f.started_at AT TIME ZONE %(zone)s) = %(weekday)s
AND extract(hour FROM f.started_at AT TIME ZONE %(zone)s) = %(hour)s
"""


class ChatSelection(msgspec.Struct, frozen=True):
    """`outcome` is one of OUTCOMES, `code` a failure's, `slot` an hour of the week such as Mon-09; "": any."""

    outcome: str = ""
    phrase: str = ""
    code: str = ""
    slot: str = ""

    @property
    def where(self) -> str:
        """Return the condition on f, a row of ChatFact: constants alone. `params` belong to it."""
        conditions = ["f.contact_id IS NOT NULL", _OUTCOME[self.outcome]]
        if self.code:
            conditions.append(_CODE)
        elif self.outcome != "open":
            conditions.append(_REQUESTED)
        if self.phrase:
            conditions.append(_PHRASE)
        if self.slot:
            conditions.append(_SLOT)
        return " AND ".join(f"({condition.strip()})" for condition in conditions)

    @property
    def params(self) -> dict[str, Any]:
        weekday, _, hour = self.slot.partition("-")
        slot = {"weekday": WEEKDAYS.index(weekday) + 1, "hour": int(hour)} if self.slot else {}
        return {"phrase": self.phrase, "code": self.code, "zone": str(zone()), **slot}

    @property
    def parameters(self) -> dict[str, str]:
        """Return the selection as parameters of the URL."""
        return {name: value for name in NAMES if (value := getattr(self, name))}

    @property
    def described(self) -> dict[str, str]:
        """Return the selection without its outcome, as text for people."""
        slot = f"began {self.slot.replace('-', ' ')}:00" if self.slot else ""
        texts = {"phrase": f"phrase: {self.phrase}", "code": f"failed with: {self.code}", "slot": slot}
        return {name: texts[name] for name in texts if getattr(self, name)}


def parse(params: Mapping[str, str]) -> ChatSelection:
    """Read a selection from URL parameters; values that no page offers are ignored."""
    texts = {name: params.get(name, "")[:_MOST_CHARACTERS].replace("\x00", "") for name in NAMES}
    if texts["outcome"] not in OUTCOMES:
        texts["outcome"] = ""
    weekday, _, hour = texts["slot"].partition("-")
    if weekday not in WEEKDAYS or not (hour.isascii() and hour.isdecimal()) or int(hour) > 23:  # noqa: PLR2004 - a day's
        texts["slot"] = ""
    return ChatSelection(**texts)
