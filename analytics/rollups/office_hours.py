"""Office hours: how much of a span lies in them. OFFICE_HOURS is such as "Mon-Fri 09:00-18:00, Sat 10:00-14:00"."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from channels_app.accounts import opening_hours
from channels_app.accounts.opening_hours import DAYS, Hours, read_spans

WEEKDAYS = tuple(day[:3] for day in DAYS)
_PART = re.compile(r"(?P<first>\w{3})(?:-(?P<last>\w{3}))? (?P<span>\d\d:\d\d-\d\d:\d\d)")


@lru_cache(8)
def parse(text: str, zone: str) -> Hours:
    """Return the week's hours; raise ImproperlyConfigured, saying how to write them, for anything else."""
    week: dict[str, list[list[str]]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PART.fullmatch(part)
        try:
            assert match
            first = WEEKDAYS.index(match["first"].lower())
            last = WEEKDAYS.index((match["last"] or match["first"]).lower())
            assert first <= last
            spans = read_spans(match["span"])
        except (AssertionError, ValueError):
            raise ImproperlyConfigured(
                f"OFFICE_HOURS: {part!r} is no span; write it like Mon-Fri 09:00-18:00, several with commas"
            ) from None
        for day in DAYS[first : last + 1]:
            week.setdefault(day, []).extend(spans)
    return Hours(zone=zone, week=week)


def open_between(start: datetime, end: datetime) -> timedelta:
    """Return how long the office was open between two moments; without OFFICE_HOURS it always is."""
    hours = parse(settings.OFFICE_HOURS, settings.TIME_ZONE)
    return opening_hours.open_between(hours, start, end) if hours.week else end - start
