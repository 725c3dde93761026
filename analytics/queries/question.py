"""What can be asked of the numbers, and the form of the answers. Rollups and chat facts answer alike."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from analytics.measures import DIGESTS, MEASURES
from analytics.rollups.time_buckets import day_of

#: Sums of measures.
Sums = dict[str, int]
#: Digest → bin → count.
Bins = Mapping[str, Mapping[int, int]]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Which sums: of [start, end), of these accounts (None: all), narrowed by facets.

    `by` groups them by any of at, account and value; `facet` is whose values those are, e.g. queue. `hourly`: `at` is
    an hour; else it is a day. `measures`: which sums are asked for.
    """

    start: datetime
    end: datetime
    accounts: tuple[uuid.UUID, ...] | None = None
    facets: Mapping[str, str] = {}
    by: tuple[str, ...] = ()
    facet: str = ""
    hourly: bool = False
    measures: tuple[str, ...] = MEASURES

    @property
    def rollup(self) -> str | None:
        """Return the facet whose rollups have the answer; None if none has."""
        needed = set(self.facets) | ({self.facet} if self.facet else set())
        if len(needed) > 1 or ("phrase" in needed and (self.hourly or not self.whole_days)):
            return None
        return next(iter(needed), "account")

    @property
    def whole_days(self) -> bool:
        return day_of(self.start) == self.start and day_of(self.end) == self.end


def binned(rows: Iterable[tuple[tuple[Any, ...], int, int, int]]) -> dict[tuple[Any, ...], Bins]:
    """Return digests by group, from rows of group, digest, bin and count."""
    groups: dict[tuple[Any, ...], dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for group, digest, place, count in rows:
        bins = groups[group][DIGESTS[digest]]
        bins[place] = bins.get(place, 0) + count
    return {group: dict(bins) for group, bins in groups.items()}
