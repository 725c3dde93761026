"""What a dashboard shows: a range of hours, and of which chats. All of it is in the URL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec

from analytics.rollups.time_buckets import DAY, HOUR, hour_of, local, midnight, zone

RANGES = {"today": "Today", "24h": "24 hours", "7d": "7 days", "28d": "28 days", "custom": "Custom"}
COMPARISONS = {"week": "Same weekday", "previous": "Previous period", "off": "No comparison"}
#: Days that a custom range may have.
LONGEST = 400
#: Up to so many hours a series has a point for each.
HOURLY = 50
NAMES = ("range", "since", "until", "compare", "channel", "account", "queue", "language", "agent")
#: Facets of which the rollups have sums, and which a filter may name.
FACETS = ("queue", "agent", "language")
#: How the URL says "not told": an empty parameter means no filter at all.
NONE = "-"
_MOST_CHARACTERS = 256


class BadFilter(ValueError):
    """A parameter that cannot be read: `field` names it, the text says how to write it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """A range [start, end) in UTC, on the hour of the organisation's zone; the comparison; and whose chats."""

    now: datetime
    range: str = "today"
    since: date | None = None
    until: date | None = None
    compare: str = "week"
    channel: str = ""
    account: uuid.UUID | None = None
    queue: str | None = None
    language: str | None = None
    agent: str | None = None

    @property
    def start(self) -> datetime:
        today = local(self.now).date()
        if self.range == "24h":
            return hour_of(self.now) - 23 * HOUR
        if self.range == "custom" and self.since is not None:
            return midnight(self.since)
        return midnight(today - {"7d": 6, "28d": 27}.get(self.range, 0) * DAY)

    @property
    def end(self) -> datetime:
        if self.range == "24h":
            return hour_of(self.now) + HOUR
        if self.range == "custom" and self.until is not None:
            return midnight(self.until + DAY)
        return midnight(local(self.now).date() + DAY)

    @property
    def done(self) -> datetime:
        """The end of the last hour that is over."""
        return max(self.start, min(self.end, hour_of(self.now)))

    @property
    def hourly(self) -> bool:
        """Whether a series has a point for each hour, not for each day."""
        return self.end - self.start <= HOURLY * HOUR

    @property
    def shift(self) -> timedelta | None:
        """Return how many days of the calendar the comparison lies back; None if there is none."""
        days = max(1, (local(self.end - HOUR).date() - local(self.start).date()).days + (self.range != "24h"))
        match self.compare:
            case "previous":
                return days * DAY
            case "week":
                return -(-days // 7) * 7 * DAY
            case _:
                return None

    def before(self, moment: datetime) -> datetime:
        """Return the moment of the comparison: the same time on the wall clock, so many days earlier."""
        shift = self.shift
        assert shift is not None
        wall_clock = local(moment)
        return datetime.combine(wall_clock.date() - shift, wall_clock.time(), zone()).astimezone(UTC)

    @property
    def facets(self) -> dict[str, str]:
        """Return the facets that are filtered by, with their values."""
        named = {name: getattr(self, name) for name in FACETS}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def narrow(self) -> bool:
        """Whether it looks at less than everything."""
        return bool(self.channel or self.account or self.facets)

    def parameters(self, **changed: str) -> dict[str, str]:
        """Return the URL's parameters, some changed; "" takes one away."""
        params = {
            "range": self.range,
            "since": self.since.isoformat() if self.since and self.range == "custom" else "",
            "until": self.until.isoformat() if self.until and self.range == "custom" else "",
            "compare": self.compare,
            "channel": self.channel,
            "account": str(self.account) if self.account else "",
            **{name: (value or NONE) for name, value in self.facets.items()},
        }
        return {name: value for name, value in {**params, **changed}.items() if value}

    @property
    def cleared(self) -> str:
        """Return the URL's query for the same range of everything."""
        return self.query(channel="", account="", **dict.fromkeys(FACETS, ""))

    def query(self, **changed: str) -> str:
        """Return the URL's query: whoever opens it sees the same."""
        return urlencode(self.parameters(**changed))


def parse(params: Mapping[str, str], now: datetime) -> Filter:
    """Read a filter from a URL's parameters; raise BadFilter for what cannot be read. Unknown names are ignored."""
    texts = {name: params.get(name, "").strip() for name in NAMES}
    for name, text in texts.items():
        if "\x00" in text or len(text) > _MOST_CHARACTERS:
            raise BadFilter(name, "It holds what no value has.")
    chosen = texts["range"] or "today"
    since, until = _days(texts) if chosen == "custom" else (None, None)
    return Filter(
        now=now,
        range=_one_of("range", chosen, RANGES),
        since=since,
        until=until,
        compare=_one_of("compare", texts["compare"] or "week", COMPARISONS),
        channel=texts["channel"],
        account=_account(texts["account"]),
        **{name: None if not texts[name] else texts[name].removeprefix(NONE) for name in FACETS},
    )


def unknown(params: Mapping[str, Any], *, known: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the names of parameters that no filter has."""
    return (name for name in params if name not in (*NAMES, *known))


def _one_of(field: str, text: str, allowed: Mapping[str, str]) -> str:
    if text not in allowed:
        raise BadFilter(field, f"Give one of: {', '.join(allowed)}.")
    return text


def _account(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise BadFilter("account", "Give the id of an account, as /api/v1/accounts/ lists them.") from None


def _days(texts: Mapping[str, str]) -> tuple[date, date]:
    days = []
    for name in ("since", "until"):
        try:
            days.append(date.fromisoformat(texts[name]))
        except ValueError:
            raise BadFilter(name, "Give a day as 2026-11-25.") from None
    since, until = days
    if since > until:
        raise BadFilter("until", "The last day is before the first.")
    if until - since > LONGEST * DAY or since < date(2000, 1, 1) or until > date(2200, 1, 1):
        raise BadFilter("since", f"Give at most {LONGEST} days, in this century.")
    return since, until
