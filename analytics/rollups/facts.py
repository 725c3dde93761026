"""What one chat adds to the numbers: the form in which it is kept, so that it can be taken away again."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import msgspec

from analytics.measures import DIGESTS, bin_of
from analytics.rollups.time_buckets import hour_of


class Facts(msgspec.Struct, kw_only=True):
    """`hours`: hour → measure → count. `bins`: hour → digest → bin → count. `codes`: hour → code → failures."""

    account: uuid.UUID
    queue: str = ""
    agent: str = ""
    language: str = ""
    phrases: list[str] = []
    hours: dict[datetime, dict[str, int]] = {}
    bins: dict[datetime, dict[int, dict[int, int]]] = {}
    codes: dict[datetime, dict[str, int]] = {}

    def add(self, at: datetime, **counts: int) -> None:
        """Add to the measures of the hour of this moment."""
        hour = self.hours.setdefault(hour_of(at), {})
        for name, count in counts.items():
            if count:
                hour[name] = hour.get(name, 0) + count

    def note(self, digest: str, at: datetime, duration: timedelta) -> None:
        """Add a duration to a digest; one that clocks made negative counts as none."""
        bins = self.bins.setdefault(hour_of(at), {}).setdefault(DIGESTS.index(digest), {})
        place = bin_of(milliseconds(duration))
        bins[place] = bins.get(place, 0) + 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Facts)


def encode(facts: Facts) -> bytes:
    """Write facts as the column ChatFact.counted keeps them."""
    return _encoder.encode(facts)


def decode(raw: bytes | memoryview) -> Facts:
    return _decoder.decode(raw)


def milliseconds(duration: timedelta) -> int:
    return max(0, duration // timedelta(milliseconds=1))
