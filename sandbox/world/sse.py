"""Server-Sent Events from a ledger, with a heartbeat that notices followers who have gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world.ledger import Ledger, Line

#: Silence is broken this often, in seconds, so that proxies keep the stream open and a lost client is noticed.
HEARTBEAT = 15.0


async def stream(request: web.Request, ledger: Ledger, show: Callable[[Line], Any]) -> web.StreamResponse:
    """Send every line after `?after=` (or Last-Event-ID) as one event, then new ones, until the client goes."""
    after = request.query.get("after") or request.headers.get("Last-Event-ID") or "0"
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await answer.prepare(request)
    lines = ledger.follow(int(after) if after.isdecimal() else 0)
    coming = asyncio.ensure_future(anext(lines))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=HEARTBEAT)
            if not done:
                await answer.write(b": still here\n\n")
                continue
            line = coming.result()
            coming = asyncio.ensure_future(anext(lines))
            await answer.write(b"id: %d\ndata: " % line.n + msgspec.json.encode(show(line)) + b"\n\n")
    except ConnectionError:
        return answer
    finally:
        coming.cancel()
