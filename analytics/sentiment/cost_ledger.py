"""Calls of the engine and what they cost, by day (UTC), and the cap of the day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from analytics.models import Spending
from analytics.sentiment.engine import units

ADD = """
INSERT INTO analytics_spending AS s (day, operation, calls, documents, units, throttled, reused)
VALUES ((now() AT TIME ZONE 'UTC')::date, %s, %s, %s, %s, %s, %s)
ON CONFLICT (day, operation) DO UPDATE
   SET calls = s.calls + EXCLUDED.calls, documents = s.documents + EXCLUDED.documents,
       units = s.units + EXCLUDED.units, throttled = s.throttled + EXCLUDED.throttled,
       reused = s.reused + EXCLUDED.reused
"""


def spend(operation: str, documents: Sequence[str]) -> None:
    """Note a call before it is made: a call that was lost may have been charged."""
    _add(operation, 1, len(documents), sum(units(document) for document in documents), 0, 0)


def take_back(operation: str, documents: Sequence[str]) -> None:
    """Note that a call was throttled: it was not charged, and counts as no call."""
    _add(operation, -1, -len(documents), -sum(units(document) for document in documents), 1, 0)


def note_reused(texts: int) -> None:
    if texts:
        _add("BatchDetectSentiment", 0, 0, 0, 0, texts)


def allows(more: int) -> bool:
    """Return whether so many units more are within today's cap."""
    cap: int = settings.SENTIMENT_DAILY_UNITS
    return cap <= 0 or spent_today() + more <= cap


def spent_today() -> int:
    """Return the units of today, of all operations."""
    return sum(Spending.objects.filter(day=datetime.now(UTC).date()).values_list("units", flat=True))


def tomorrow() -> datetime:
    """Return when the next day's cap begins."""
    return datetime.combine(datetime.now(UTC).date() + timedelta(days=1), time(), UTC)


def cost(number: int) -> float:
    """Return US dollars for so many units."""
    return number * float(settings.SENTIMENT_UNIT_PRICE)


def _add(*params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ADD, list(params))
