"""The world's own controls under /world: health, ledger, faults, settings, flows, reset."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import answer
from sandbox.world.faults import Fault
from sandbox.world.flows import Flow
from sandbox.world.sockets import Sockets
from sandbox.world.sse import Streams
from sandbox.world.world import World

MOST_LINES = 10_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SocketOrder(msgspec.Struct):
    """The body of POST /world/sockets: what to do now to every socket of a role (empty: of all roles)."""

    action: str
    role: str = ""


class Admin:
    """The handlers."""

    def __init__(self, world: World, amazon: Amazon, sockets: Sockets) -> None:
        self.world, self.amazon, self.sockets = world, amazon, sockets

    async def health(self, _request: web.Request) -> web.Response:
        """Say that the world is there, and how much is going on in it."""
        chats = self.amazon.chats
        state = {
            "status": "ok",
            "base_url": self.world.base_url,
            "chats": chats.active,
            "sockets": len(self.sockets.open),
            "waiting": len(self.amazon.desk.waiting),
            "lines": self.world.ledger.last,
        }
        return answer(200, state)

    async def ledger(self, request: web.Request) -> web.Response:
        """Return up to `limit` lines numbered above `after`."""
        limit = min(int(request.query.get("limit", "1000")), MOST_LINES)
        return answer(200, self.world.ledger.since(int(request.query.get("after", "0")))[:limit])

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send every line numbered above `after`, then new ones, as Server-Sent Events until the client goes."""
        return await self.world.part(Streams).send(request, self.world.ledger, lambda line: line)

    async def faults(self, _request: web.Request) -> web.Response:
        """List the faults that are on."""
        return answer(200, self.world.faults.on)

    async def add_faults(self, request: web.Request) -> web.Response:
        """Switch on one fault, or a list of them."""
        added = msgspec.json.decode(await request.read(), type=Fault | list[Fault])
        self.world.faults.on.extend(added if isinstance(added, list) else [added])
        return answer(200, self.world.faults.on)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Switch off all faults, or those of one `name`."""
        name = request.query.get("name")
        self.world.faults.on[:] = [fault for fault in self.world.faults.on if name and fault.name != name]
        return answer(200, self.world.faults.on)

    async def reset(self, _request: web.Request) -> web.Response:
        """Forget all chats, agents, flows and faults, and tell the other services. The ledger goes on."""
        self.amazon.forget()
        self.world.faults.on.clear()
        for part in self.world.parts.values():
            part.reset()
        self.world.ledger.append("world.reset")
        return answer(200, {"status": "ok"})

    async def settings(self, _request: web.Request) -> web.Response:
        """Return the times and limits."""
        return answer(200, self.world.settings)

    async def change_settings(self, request: web.Request) -> web.Response:
        """Change some of the times and limits; they count from the next use."""
        settings = self.world.settings
        merged = msgspec.to_builtins(settings) | msgspec.json.decode(await request.read(), type=dict[str, Any])
        changed = msgspec.convert(merged, type(settings), str_keys=True)
        for name in settings.__struct_fields__:
            setattr(settings, name, getattr(changed, name))
        self.amazon.quotas.buckets.clear()
        return answer(200, settings)

    async def flows(self, _request: web.Request) -> web.Response:
        """Return the configured flows by id."""
        return answer(200, self.amazon.flows.flows)

    async def flow(self, request: web.Request) -> web.Response:
        """Return one flow as it will run."""
        return answer(200, self.amazon.flows.flow(request.match_info["flow_id"]))

    async def put_flow(self, request: web.Request) -> web.Response:
        """Configure one flow; `default` counts for all that are not configured."""
        flow = msgspec.json.decode(await request.read(), type=Flow)
        self.amazon.flows.flows[request.match_info["flow_id"]] = flow
        return answer(200, flow)

    async def put_metrics(self, request: web.Request) -> web.Response:
        """Set what the metrics API answers, by metric name, e.g. {"ESTIMATED_WAIT_TIME": 600}."""
        self.amazon.metrics.clear()
        self.amazon.metrics.update(msgspec.json.decode(await request.read(), type=dict[str, float]))
        return answer(200, self.amazon.metrics)

    async def order_sockets(self, request: web.Request) -> web.Response:
        """Cut, or close politely, the open chat sockets of a role."""
        order = msgspec.json.decode(await request.read(), type=SocketOrder)
        chosen = [socket for socket in self.sockets.open if order.role in ("", socket.participant.role)]
        for socket in chosen:
            if order.action == "cut":
                socket.cut()
            else:
                socket.hang_up(1001)
        return answer(200, {"sockets": len(chosen)})


def _guarded(handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ValueError as error:  # msgspec's errors are ValueErrors too
            return answer(400, {"error": str(error)})

    return guarded


def routes(world: World, amazon: Amazon, sockets: Sockets) -> Iterable[web.AbstractRouteDef]:
    """Return the routes of the world's controls."""
    admin = Admin(world, amazon, sockets)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "health", admin.health),
        ("GET", "ledger", admin.ledger),
        ("GET", "ledger/stream", admin.stream),
        ("GET", "faults", admin.faults),
        ("POST", "faults", admin.add_faults),
        ("DELETE", "faults", admin.clear_faults),
        ("POST", "reset", admin.reset),
        ("GET", "settings", admin.settings),
        ("PUT", "settings", admin.change_settings),
        ("GET", "flows", admin.flows),
        ("GET", "flows/{flow_id}", admin.flow),
        ("PUT", "flows/{flow_id}", admin.put_flow),
        ("PUT", "metrics", admin.put_metrics),
        ("POST", "sockets", admin.order_sockets),
    ]
    return [web.route(method, f"/world/{path}", _guarded(handler)) for method, path, handler in table]
