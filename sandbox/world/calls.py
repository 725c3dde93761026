"""What every provider's API does with a call: the faults that are on, the provider's own errors, a ledger line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world.faults import Fault
from sandbox.world.world import World

#: What a handler adds to its call's ledger line.
FIELDS = web.RequestKey("fields", dict[str, Any])
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Refusal(Exception):
    """The provider says no: HTTP status, its error body, its extra headers, and its code for the ledger."""

    status: int
    body: Mapping[str, Any]
    code: int | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)


def note(request: web.Request, **fields: Any) -> None:
    """Add fields to this call's ledger line."""
    request[FIELDS].update(fields)


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider's API. `refusals` makes its answer for the faults that any call can meet."""

    world: World
    kind: str
    prefix: str
    refusals: Mapping[str, Callable[[Fault], Refusal]]

    def fault(self, name: str, op: str) -> Fault | None:
        """Roll the dice once for this call. A fault's target may be "x.send", "send", or "twitter"."""
        return self.world.faults.fires(name, f"{self.prefix}.{op}", op, self.kind)

    def serve(self, op: str, work: Handler) -> Handler:
        """Wrap a handler: faults before it, provider errors from it, one ledger line and maybe a cut after it."""

        async def handler(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            request[FIELDS] = {}
            answer = await self._answer(op, work, request)
            cut = answer.status // 100 == 2 and self.fault("effect_then_reset", op)  # noqa: PLR2004
            ms = round((time.perf_counter() - started) * 1000, 2)
            more = request[FIELDS]
            fields = {"kind": self.kind, "status": answer.status, "ms": ms, "cut": bool(cut), **more}
            self.world.ledger.append(f"{self.prefix}.{op}", **fields)
            if cut and request.transport is not None:
                request.transport.abort()
            return answer

        return handler

    async def _answer(self, op: str, work: Handler, request: web.Request) -> web.StreamResponse:
        try:
            slow = self.fault("slow", op)
            if slow is not None:
                await asyncio.sleep(slow.seconds)
            for name, refuse in self.refusals.items():
                fault = self.fault(name, op)
                if fault is not None:
                    note(request, fault=name)
                    raise refuse(fault)
            return await work(request)
        except Refusal as refusal:
            note(request, code=refusal.code)
            return reply(refusal.body, refusal.status, refusal.headers)
