"""Moments and days as addresses name them: of our times, so that no sum of days leads out of the calendar."""

from __future__ import annotations

from datetime import date, datetime

from django.utils.timezone import is_aware

#: What anybody asks for lies between these.
FIRST_YEAR, LAST_YEAR = 1971, 2200


def moment(text: str) -> datetime | None:
    """Return the moment that a text names with its offset from UTC, None if it names none of our times."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if is_aware(parsed) and FIRST_YEAR <= parsed.year <= LAST_YEAR else None


def day(text: str) -> date | None:
    """Return the day that a text names, None if it names none of our times."""
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        return None
    return parsed if FIRST_YEAR <= parsed.year <= LAST_YEAR else None
