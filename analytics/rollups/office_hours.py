"""Office hours: how much of a span lies in them. OFFICE_HOURS is such as "Mon-Fri 09:00-18:00, Sat 10:00-14:00"."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from analytics.rollups.time_buckets import DAY, local, zone

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?P<first>\w{3})(?:-(?P<last>\w{3}))? (?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d)")

#: Weekday (0 is Monday) to its spans.
Hours = dict[int, list[tuple[time, time]]]


@lru_cache(8)
def parse(text: str) -> Hours:
    """Return the week's hours; raise ImproperlyConfigured, saying how to write them, for anything else."""
    week: Hours = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _SPAN.fullmatch(part)
        try:
            assert found
            first = WEEKDAYS.index(found["first"].lower())
            last = WEEKDAYS.index((found["last"] or found["first"]).lower())
            opens, closes = time.fromisoformat(found["opens"]), _closing(found["closes"])
            assert first <= last
            assert opens < closes
        except (AssertionError, ValueError):
            raise ImproperlyConfigured(
                f"OFFICE_HOURS: {part!r} is no span; write it like Mon-Fri 09:00-18:00, several with commas"
            ) from None
        for weekday in range(first, last + 1):
            week.setdefault(weekday, []).append((opens, closes))
    return week


def _closing(text: str) -> time:
    return time.max if text == "24:00" else time.fromisoformat(text)


def open_between(start: datetime, end: datetime) -> timedelta:
    """Return how long the office was open between two moments; without OFFICE_HOURS it always is."""
    week = parse(settings.OFFICE_HOURS)
    if not week:
        return end - start
    whole = timedelta()
    day = local(start).date()
    while day <= local(end).date():
        for opens, closes in week.get(day.weekday(), []):
            since, until = max(start, _at(day, opens)), min(end, _at(day, closes))
            whole += max(timedelta(), until - since)
        day += DAY
    return whole


def _at(day: date, clock: time) -> datetime:
    moment = datetime.combine(day, clock, zone()).astimezone(UTC)  # in UTC, or differences would be the wall clock's
    return moment + timedelta(microseconds=1) if clock == time.max else moment
