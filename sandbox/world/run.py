"""Runs the simulated world in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Callable

import msgspec
import uvloop
from aiohttp import web

from sandbox.world.faults import Fault
from sandbox.world.server import build
from sandbox.world.world import World

#: Objects that may be made before the collector looks at the youngest; thousands of sockets make its default slow.
GC_THRESHOLD = (50_000, 50, 100)
BACKLOG = 4096


def parse_faults(text: str) -> list[Fault]:
    """Read faults from a JSON list. Raises ValueError that says what is wrong."""
    return msgspec.json.decode(text, type=list[Fault]) if text else []


@contextlib.asynccontextmanager
async def serving(world: World, host: str, port: int) -> AsyncIterator[str]:
    """Serve the world on this loop and yield its URL; port 0 takes a free one. Raises OSError if it is taken."""
    runner = web.AppRunner(build(world), access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        world.base_url = f"http://{host}:{runner.addresses[0][1]}"
        yield world.base_url
    finally:
        await runner.cleanup()


def run(world: World, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is called with the URL as soon as it answers."""
    gc.set_threshold(*GC_THRESHOLD)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(world, host, port, announce))


async def _until_signal(world: World, host: str, port: int, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(world, host, port) as url:
        announce(url)
        await stop.wait()
