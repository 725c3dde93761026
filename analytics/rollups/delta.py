"""What must be added to the rollups, by hour and day, account and facet."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from analytics.measures import CHAT_MEASURES, OF_PEOPLE
from analytics.models import Rollup
from analytics.rollups.facts import Facts
from analytics.rollups.time_buckets import day_of

Facet = Rollup.Facet
Grain = Rollup.Grain
#: (grain, facet, at, account, value)
Key = tuple[str, str, datetime, uuid.UUID, str]
#: The facets for which durations are kept, by hour or day: there are many bins.
DIGEST_GRAINS: Mapping[str, tuple[str, ...]] = {
    Facet.ACCOUNT: (Grain.HOUR, Grain.DAY),
    Facet.QUEUE: (Grain.HOUR, Grain.DAY),
    Facet.AGENT: (Grain.DAY,),
}
Counted = TypeVar("Counted")


class Delta:
    """Sums and bins by key. What is added and taken away again leaves nothing."""

    def __init__(self) -> None:
        self._sums: dict[Key, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._bins: dict[Key, dict[tuple[int, int], int]] = defaultdict(lambda: defaultdict(int))

    def add(self, facts: Facts, sign: int) -> None:
        """Add what a chat counts for, or take it away."""
        dimensions = (
            (Facet.ACCOUNT, ""),
            (Facet.QUEUE, facts.queue),
            (Facet.AGENT, facts.agent),
            (Facet.LANGUAGE, facts.language),
        )
        for facet, value in dimensions:
            for key, counts in _hours_and_days(facet, facts.account, value, facts.hours):
                self._add(key, counts, sign)
            self._add_digests(facet, value, facts, sign)
        self._add_phrases(facts, sign)
        for hour, codes in facts.codes.items():
            for code, count in codes.items():
                for key, counts in _hours_and_days(Facet.CODE, facts.account, code, {hour: {"failed": count}}):
                    self._add(key, counts, sign)

    def sums(self) -> dict[Key, dict[str, int]]:
        """Return the sums by key, without those where everything is 0."""
        return {key: dict(counts) for key, counts in self._sums.items() if any(counts.values())}

    def bins(self) -> dict[Key, list[tuple[int, int, int]]]:
        """Return (digest, bin, count) by key, without counts of 0."""
        bins = {key: [(*place, n) for place, n in counts.items() if n] for key, counts in self._bins.items()}
        return {key: counts for key, counts in bins.items() if counts}

    def _add_phrases(self, facts: Facts, sign: int) -> None:
        """Count the chat for each of its phrases; by day only, because there are many."""
        for hour, counts in facts.hours.items():
            whole = {name: counts[name] for name in CHAT_MEASURES if name in counts} if "rated" in counts else {}
            for phrase in facts.phrases if whole else ():
                self._add((Grain.DAY, Facet.PHRASE, day_of(hour), facts.account, phrase), whole, sign)

    def _add_digests(self, facet: str, value: str, facts: Facts, sign: int) -> None:
        """Add durations: of accounts all; of queues and agents those that say something about them, of agents by day.

        Finer questions are answered from the facts of the chats themselves (queries/chat_facts.py).
        """
        grains = DIGEST_GRAINS.get(facet, ())
        for (grain, *key), digests in _hours_and_days(facet, facts.account, value, facts.bins):
            if grain in grains:
                kept = digests if facet == Facet.ACCOUNT else {n: bins for n, bins in digests.items() if n in OF_PEOPLE}
                self._add_bins((grain, *key), kept, sign)  # type: ignore[arg-type] # a Key, taken apart and put together

    def _add(self, key: Key, counts: Mapping[str, int], sign: int) -> None:
        sums = self._sums[key]
        for name, count in counts.items():
            sums[name] += sign * count

    def _add_bins(self, key: Key, digests: Mapping[int, Mapping[int, int]], sign: int) -> None:
        bins = self._bins[key]
        for digest, counts in digests.items():
            for place, count in counts.items():
                bins[digest, place] += sign * count


def _hours_and_days(
    facet: str, account: uuid.UUID, value: str, hours: Mapping[datetime, Counted]
) -> Iterator[tuple[Key, Counted]]:
    for hour, counted in hours.items():
        yield (Grain.HOUR, facet, hour, account, value), counted
        yield (Grain.DAY, facet, day_of(hour), account, value), counted
