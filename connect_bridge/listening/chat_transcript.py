"""Connect's transcript of one chat, read again and again, each time from a little before where the last look ended."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connect_bridge.connect.gateway import Item
from connect_bridge.connect.item_reader import said_at
from connect_bridge.connect.items import is_under_way
from connect_bridge.connect.transcript import read_transcript
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.chats import Chat

#: How far back a look overlaps with the one before: an item may appear late.
OVERLAP = timedelta(seconds=10)
#: Seconds for which what is still being processed or scanned is looked for. A message processor has three minutes
#: (administrator guide, in-flight message processing), a file's scan one.
LONGEST_UNFINISHED = 300.0
#: A chat is compared with Connect's transcript so many seconds after its last traffic, or while it is busy after the
#: last comparison. GetTranscript may be asked eight times a second.
SWEEP_AFTER, SWEEP_BUSY = 60.0, 120.0


@dataclass(slots=True)
class ChatTranscript:
    """How far the transcript of one chat has been read. `unfinished`: the last look found what is not whole yet."""

    runtime: BridgeRuntime
    chat: Chat
    unfinished: bool = False
    _read_at: float = field(default_factory=time.monotonic)
    _read_until: datetime | None = None
    #: Items that were not there as a whole, and since when we know that.
    _under_way: dict[str, float] = field(default_factory=dict)

    async def read(self, token: str) -> Sequence[Item]:
        """Return the transcript: all of it the first time, since whoever listened before may have missed some.

        Later only from a little before the end of the last look on. Raises GatewayError.
        """
        began = time.monotonic()
        since = self._read_until and self._read_until - OVERLAP
        limiter = self.runtime.limiters.of(self.chat.instance_id, "transcript")
        items = await read_transcript(self.runtime.participants, limiter, token, since)
        latest = max((at for item in items if (at := said_at(item))), default=self._read_until)
        first_unfinished = self._first_unfinished(items, began)
        self.unfinished = first_unfinished is not None
        self._read_until, self._read_at = first_unfinished or latest, began
        return items

    def sweep_due_at(self, traffic_at: float) -> float:
        """Return at which time of the monotonic clock to look for what no frame brought; never without traffic."""
        if traffic_at < self._read_at:
            return math.inf
        return min(traffic_at + SWEEP_AFTER, self._read_at + SWEEP_BUSY)

    def _first_unfinished(self, items: Sequence[Item], now: float) -> datetime | None:
        """Return Connect's time of the first item that is not there as a whole yet; the next look begins with it."""
        pending = {item.id: at for item in items if is_under_way(item) and (at := said_at(item)) is not None}
        self._under_way = {item: self._under_way.get(item, now) for item in pending}
        due = [pending[item] for item, seen in self._under_way.items() if now - seen < LONGEST_UNFINISHED]
        return min(due, default=None)
