"""A feed of numbered events as Server-Sent Events, with a heartbeat that notices followers who have gone."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol

import msgspec
from aiohttp import web

from sandbox.world.ledger import Line
from sandbox.world.world import World

#: Silence is broken this often, in seconds, so that proxies keep the stream open and a lost client is noticed.
HEARTBEAT = 15.0
#: So many events are kept for followers who come late or come back.
KEPT = 5_000


class Followed(Protocol):
    """What can be streamed: the ledger, or a feed."""

    def follow(self, after: int = 0) -> AsyncIterator[Line]: ...


@dataclass(slots=True)
class Feed:
    """The newest events, numbered from 1 without a gap, and who waits for the next. Older ones are dropped."""

    last: int = 0
    events: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT))
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, what: str, **fields: Any) -> None:
        self.last += 1
        self.events.append(Line(n=self.last, at=time.time(), what=what, fields=fields))
        self._more.set()

    async def follow(self, after: int = 0) -> AsyncIterator[Line]:
        """Yield each kept event numbered above `after`, then new ones as they come."""
        while True:
            newer = list(takewhile(lambda line: line.n > after, reversed(self.events)))  # noqa: B023 - used at once
            for line in reversed(newer):
                after = line.n
                yield line
            if self.last <= after or not self.events:
                self._more.clear()
                await self._more.wait()


@dataclass(slots=True)
class Streams:
    """The open event streams. They end when the world closes, which would otherwise wait for them."""

    world: World
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """Leave the streams open: a reset is news for them, not their end."""

    async def close(self) -> None:
        self.closing.set()

    async def send(self, request: web.Request, feed: Followed, show: Callable[[Line], Any]) -> web.StreamResponse:
        """Send every event after `?after=` (or Last-Event-ID) and then new ones, until the client goes."""
        after = request.query.get("after") or request.headers.get("Last-Event-ID") or "0"
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await answer.prepare(request)
        lines = feed.follow(int(after) if after.isdecimal() else 0)
        closing = asyncio.ensure_future(self.closing.wait())
        coming = asyncio.ensure_future(anext(lines))
        try:
            while not closing.done():
                await asyncio.wait({coming, closing}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    await answer.write(b": still here\n\n")
                    continue
                line = coming.result()
                coming = asyncio.ensure_future(anext(lines))
                await answer.write(b"id: %d\ndata: " % line.n + msgspec.json.encode(show(line)) + b"\n\n")
        except ConnectionError:
            pass
        finally:
            coming.cancel()
            closing.cancel()
        return answer
