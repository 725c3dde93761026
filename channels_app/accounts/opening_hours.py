"""When an account is open: a week, its holidays, its time zone. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from channels_app.types import Struct

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: Pairs of times, as in (("09:00", "12:30"), ("13:30", "18:00")). "24:00" is the end of a day.
Spans = Sequence[Sequence[str]]
#: How far the next opening is looked for.
FURTHEST = 370
_SPAN = re.compile(r"(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)")


class Hours(Struct, frozen=True, kw_only=True):
    """`week` has the spans of each day, `holidays` those of dates (ISO) that are otherwise than the week says."""

    zone: str
    week: dict[str, list[list[str]]]
    holidays: dict[str, list[list[str]]] = {}


class Opening(Struct, frozen=True, kw_only=True):
    """Whether it is open, and until when that holds; None: for more than a year, or for ever."""

    open: bool
    until: datetime | None

    @property
    def period(self) -> str:
        """Return a name of this stretch of being closed: a customer is told once in each."""
        return self.until.isoformat() if self.until else "for ever"


def opening(hours: Hours, at: datetime) -> Opening:
    """Return whether the account is open at a moment."""
    zone = ZoneInfo(hours.zone)
    local = at.astimezone(zone)
    stretches = _stretches(hours, local.date(), zone)
    for begins, ends in stretches:
        if begins <= at < ends:
            return Opening(open=True, until=ends)
        if at < begins:
            return Opening(open=False, until=begins)
    return Opening(open=False, until=None)


def open_between(hours: Hours, start: datetime, end: datetime) -> timedelta:
    """Return how long it is open between two moments. Where spans of one day overlap, both count."""
    zone, since, until = ZoneInfo(hours.zone), start.astimezone(UTC), end.astimezone(UTC)
    whole, day = timedelta(), start.astimezone(zone).date()
    while day <= end.astimezone(zone).date():
        for begins, ends in _spans_of(hours, day):
            # In UTC, or differences would be those of the wall clock.
            opens, closes = (_moment(day, clock, zone).astimezone(UTC) for clock in (begins, ends))
            whole += max(timedelta(), min(until, closes) - max(since, opens))
        day += timedelta(days=1)
    return whole


def _stretches(hours: Hours, first: date, zone: ZoneInfo) -> Sequence[tuple[datetime, datetime]]:
    """Return the stretches of being open from a day on, those that touch put together; a few are enough."""
    stretches: list[tuple[datetime, datetime]] = []
    for ahead in range(FURTHEST):
        day = first + timedelta(days=ahead)
        for begins, ends in sorted(map(tuple, _spans_of(hours, day))):
            start, end = _moment(day, begins, zone), _moment(day, ends, zone)
            if stretches and stretches[-1][1] >= start:
                stretches[-1] = (stretches[-1][0], max(end, stretches[-1][1]))
            elif start < end:
                stretches.append((start, end))
        if len(stretches) > 2:  # noqa: PLR2004 - today's, and one after it
            break
    return stretches


def _spans_of(hours: Hours, day: date) -> Spans:
    return hours.holidays.get(day.isoformat(), hours.week.get(DAYS[day.weekday()], []))


def _moment(day: date, clock: str, zone: ZoneInfo) -> datetime:
    hour, minute = (int(part) for part in clock.split(":"))
    if hour == 24:  # noqa: PLR2004 - the end of the day
        return datetime.combine(day + timedelta(days=1), time(), zone)
    return datetime.combine(day, time(hour, minute), zone)


def read_spans(text: str) -> list[list[str]]:
    """Read "09:00-12:30, 13:30-18:00"; raise ValueError, which says what is wrong. "" and "closed" are none."""
    if text.strip().lower() in ("", "closed"):
        return []
    spans = []
    for part in text.split(","):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no span of time: write 09:00-17:30")
        begins, ends = (_clock(end) for end in match.groups())
        if begins >= ends:
            raise ValueError(f"{part.strip()!r} ends before it begins")
        spans.append([begins, ends])
    return sorted(spans)


def _clock(text: str) -> str:
    hour, minute = (int(part) for part in text.split(":"))
    if minute > 59 or hour > 24 or (hour == 24 and minute):  # noqa: PLR2004 - a clock's
        raise ValueError(f"{text} is no time of day")
    return f"{hour:02}:{minute:02}"


def write_spans(spans: Spans) -> str:
    return ", ".join(f"{begins}-{ends}" for begins, ends in spans)


def chosen(words: Mapping[str, str], locale: str, default: str) -> str:
    """Return the text in somebody's language, else in the account's, else in any; "" if there is none."""
    languages = (locale.replace("_", "-").lower(), locale[:2].lower(), default.lower())
    texts = {language.lower(): text for language, text in words.items()}
    return next((texts[language] for language in languages if language in texts), next(iter(texts.values()), ""))
