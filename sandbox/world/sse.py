"""Server-Sent Events from a ledger, with a heartbeat that notices followers who have gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world.ledger import Ledger, Line
from sandbox.world.world import World

#: Silence is broken this often, in seconds, so that proxies keep the stream open and a lost client is noticed.
HEARTBEAT = 15.0


@dataclass(slots=True)
class Streams:
    """The open event streams. They end when the world closes, which would otherwise wait for them."""

    world: World
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """Leave the streams open: a reset is news for them, not their end."""

    async def close(self) -> None:
        self.closing.set()

    async def send(self, request: web.Request, ledger: Ledger, show: Callable[[Line], Any]) -> web.StreamResponse:
        """Send every line after `?after=` (or Last-Event-ID) as one event, then new ones, until the client goes."""
        after = request.query.get("after") or request.headers.get("Last-Event-ID") or "0"
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await answer.prepare(request)
        lines = ledger.follow(int(after) if after.isdecimal() else 0)
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
