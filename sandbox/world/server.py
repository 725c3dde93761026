"""The one server of the simulated world: Amazon's APIs at the root, the messengers' under their prefixes."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.world import admin, attachments, ccp, comprehend, connect, lex, participant, sockets
from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import AwsError, refusal
from sandbox.world.world import WORLD, World

#: The messengers' modules. Each has `routes(world)`.
MESSENGERS = ("xapi", "graph", "twilio", "phones")
#: Largest request body in bytes: an attachment of 100 MB, Amazon Connect's configurable most.
BODY_LIMIT = 101 * 1024 * 1024

#: Browsers' clients call from other origins, amazon-connect-chatjs among them.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, PATCH, OPTIONS",
    "Access-Control-Expose-Headers": "x-amzn-errortype, x-amzn-requestid",
    "Access-Control-Max-Age": "86400",
}


@web.middleware
async def answer_preflight(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Allow every cross-origin request."""
    if request.method != "OPTIONS":
        return await handler(request)
    asked = request.headers.get("Access-Control-Request-Headers", "*")
    return web.Response(status=204, headers={"Access-Control-Allow-Headers": asked})


async def allow_origin(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the cross-origin headers on every answer."""
    response.headers.extend(CORS)


async def say_unknown(request: web.Request) -> web.Response:
    """Answer what no service of this world has, as AWS answers an operation that it does not know."""
    request.app[WORLD].ledger.append("world.unknown", method=request.method, path=request.path, status=404)
    return refusal(AwsError("UnknownOperationException", f"The simulated world has no {request.method} {request.path}"))


def build(world: World) -> web.Application:
    """Make the application of this world. It starts nothing outside the loop that runs it."""
    app = web.Application(middlewares=[answer_preflight], client_max_size=BODY_LIMIT)
    app[WORLD] = world
    app.on_response_prepare.append(allow_origin)
    amazon = Amazon.of(world)
    lines = sockets.Sockets(amazon)
    app.add_routes(admin.routes(world, amazon, lines))
    app.add_routes(sockets.routes(lines))
    for service in (connect, participant, attachments, ccp, comprehend, lex):
        app.add_routes(service.routes(amazon))
    for name in MESSENGERS:
        if importlib.util.find_spec(f"sandbox.world.{name}"):
            app.add_routes(importlib.import_module(f"sandbox.world.{name}").routes(world))
    app.router.add_route("*", "/{path:.*}", say_unknown)
    app.on_shutdown.append(_closing(world, lines))
    return app


def _closing(world: World, lines: sockets.Sockets) -> Callable[[web.Application], Awaitable[None]]:
    async def close(_app: web.Application) -> None:
        for socket in tuple(lines.open):
            socket.hang_up(sockets.GOING_AWAY)
        for part in world.parts.values():
            await part.close()
        lines.amazon.forget()
        world.ledger.close()

    return close
