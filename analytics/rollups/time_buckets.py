"""Hours and days of the organisation's zone. A day of clock change has 23 or 25 hours; none is invented or lost."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@lru_cache(8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def zone() -> ZoneInfo:
    """Return the organisation's zone (TIME_ZONE)."""
    return _zone(settings.TIME_ZONE)


def hour_of(moment: datetime) -> datetime:
    """Return when the moment's hour on the wall clock began, in UTC.

    What the clock shows past the hour is taken away: so the doubled hour of autumn is two hours, and zones that are
    half an hour off have hours of their own.
    """
    local = moment.astimezone(zone())
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return moment.astimezone(UTC) - past


def day_of(moment: datetime) -> datetime:
    """Return when the moment's day began, in UTC."""
    return midnight(moment.astimezone(zone()).date())


def midnight(day: date) -> datetime:
    """Return when a day begins, in UTC. Where midnight is skipped, the first moment after it."""
    return datetime.combine(day, time(), zone()).astimezone(UTC)


def local(moment: datetime) -> datetime:
    return moment.astimezone(zone())


def hours_between(start: datetime, end: datetime) -> list[datetime]:
    """Return the beginnings of all hours of [start, end), in UTC: 23, 24 or 25 for a day."""
    hours = []
    at = hour_of(start)
    while at < end:
        hours.append(at)
        following = hour_of(at + HOUR)
        at = following if following > at else at + HOUR
    return hours


def days_between(start: datetime, end: datetime) -> list[datetime]:
    """Return the beginnings of all days of [start, end), in UTC."""
    days = []
    day = local(start).date()
    while (at := midnight(day)) < end:
        days.append(at)
        day += DAY
    return days
