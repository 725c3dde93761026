"""Append-only account of what the outside world saw, in order, with live followers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

#: Followers that fall this far behind are dropped; they resume with `after`.
FOLLOWER_BACKLOG = 10_000


class Line(msgspec.Struct, frozen=True):
    """One thing that happened. `at` is Unix time in seconds; `what` is dotted, e.g. connect.SendMessage."""

    n: int
    at: float
    what: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Ledger:
    """Every call and delivery, kept in memory and, when `path` is given, appended to a file as JSON lines.

    Memory holds at least the last `keep` lines and at most a quarter more; the file holds all.
    """

    path: Path | None = None
    lines: list[Line] = field(default_factory=list)
    keep: int = 400_000
    last: int = 0
    """The number of the newest line; 0 when there is none."""
    _followers: set[asyncio.Queue[Line]] = field(default_factory=set)
    _file: BinaryIO | None = None

    def append(self, what: str, **fields: Any) -> Line:
        """Record one event now and wake the followers. Never blocks on a follower."""
        self.last += 1
        line = Line(n=self.last, at=time.time(), what=what, fields=fields)
        self.lines.append(line)
        if len(self.lines) > self.keep * 5 // 4:
            del self.lines[: -self.keep]
        if self.path is not None:
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
            self._file.write(msgspec.json.encode(line) + b"\n")
        for follower in tuple(self._followers):
            try:
                follower.put_nowait(line)
            except asyncio.QueueFull:
                self._followers.discard(follower)
        return line

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def since(self, after: int) -> list[Line]:
        """Return the lines numbered above `after` that memory still holds."""
        return self.lines[max(0, after - self.last + len(self.lines)) :]

    async def follow(self, after: int = 0) -> AsyncIterator[Line]:
        """Yield every line numbered above `after`: those already written, then new ones as they come."""
        queue: asyncio.Queue[Line] = asyncio.Queue(FOLLOWER_BACKLOG)
        self._followers.add(queue)
        try:
            seen = after
            for line in self.since(after):
                seen = line.n
                yield line
            while True:
                line = await queue.get()
                if line.n > seen:
                    seen = line.n
                    yield line
        finally:
            self._followers.discard(queue)
