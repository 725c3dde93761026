"""A TCP proxy that misbehaves on demand, with the verbs of toxiproxy."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Stream = Literal["upstream", "downstream"]
#: `linger` on, zero seconds: closing sends RST instead of FIN.
RESET = struct.pack("ii", 1, 0)
CHUNK = 64 * 1024
FOR_EVER = 10**9


@dataclass(slots=True)
class Toxic:
    """One way to misbehave. `upstream` is from client to server. A fraction `toxicity` of connections suffers.

    latency     every chunk waits `seconds` ± `jitter`
    bandwidth   at most `rate` bytes a second
    slow_close  the close waits `seconds`
    timeout     nothing passes; the connection closes after `seconds` (0: never)
    reset_peer  the connection is reset after `seconds`
    slicer      chunks are cut to `size` bytes, each after `seconds`
    limit_data  the connection closes after `size` bytes
    """

    verb: Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"]
    stream: Stream = "downstream"
    seconds: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    size: int = 0
    toxicity: float = 1.0


class Cut(Exception):
    """This connection is to end now; `reset` tells how."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("cut")
        self.reset = reset


@dataclass(slots=True, eq=False)
class Link:
    """One proxied connection and the toxics that it drew."""

    proxy: FaultProxy
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    lot: float
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    passed: dict[Stream, int] = field(default_factory=lambda: {"upstream": 0, "downstream": 0})

    def toxics(self, stream: Stream) -> list[Toxic]:
        return [toxic for toxic in self.proxy.toxics if toxic.stream == stream and self.lot < toxic.toxicity]

    async def pipe(self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(CHUNK):
            for toxic in self.toxics(stream):
                await self._suffer(toxic, len(chunk))
            for piece in self._pieces(stream, chunk):
                writer.write(piece)
                await writer.drain()
                self.passed[stream] += len(piece)
            if self.left(stream) <= 0:
                raise Cut(reset=False)
        for toxic in self.toxics(stream):
            if toxic.verb == "slow_close":
                await asyncio.sleep(toxic.seconds)

    async def _suffer(self, toxic: Toxic, size: int) -> None:
        """Wait as the toxic says; raise Cut if it ends the connection."""
        match toxic.verb:
            case "latency":
                await asyncio.sleep(max(0.0, toxic.seconds + self.proxy.dice.uniform(-1, 1) * toxic.jitter))
            case "bandwidth":
                await asyncio.sleep(size / toxic.rate)
            case "slicer":
                await asyncio.sleep(toxic.seconds)
            case "timeout":
                await asyncio.sleep(toxic.seconds or FOR_EVER)
                raise Cut(reset=False)
            case "reset_peer":
                await asyncio.sleep(toxic.seconds)
                raise Cut(reset=True)
            case "slow_close" | "limit_data":
                pass  # not a matter of waiting, or only at the end

    def _pieces(self, stream: Stream, chunk: bytes) -> list[bytes]:
        chunk = chunk[: min(len(chunk), self.left(stream))]
        size = min((toxic.size for toxic in self.toxics(stream) if toxic.verb == "slicer"), default=CHUNK)
        return [chunk[at : at + size] for at in range(0, len(chunk), size)]

    def left(self, stream: Stream) -> int:
        """Return how many bytes may still pass."""
        limits = [toxic.size for toxic in self.toxics(stream) if toxic.verb == "limit_data"]
        return min(limits, default=FOR_EVER) - self.passed[stream]

    def close(self, *, reset: bool = False) -> None:
        for writer in (self.client, self.server):
            if reset and (handle := writer.get_extra_info("socket")) is not None:
                with contextlib.suppress(OSError):
                    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
            else:
                writer.close()
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()


@dataclass(slots=True)
class FaultProxy:
    """Listens on 127.0.0.1 and passes everything on to `upstream`, through whatever toxics are on.

    A toxic counts from the next chunk on, also for connections that are open. `down()` stops listening and closes every
    connection; `up()` opens it again on the same port.
    """

    upstream: tuple[str, int]
    port: int = 0
    seed: int = 7
    toxics: list[Toxic] = field(default_factory=list)
    links: set[Link] = field(default_factory=set)
    dice: random.Random = field(init=False)
    _server: asyncio.Server | None = None

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    async def up(self) -> int:
        """Listen; return the port. Nothing happens if it listens already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def down(self) -> None:
        """Refuse new connections and reset those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut(lambda _: True)
        await asyncio.sleep(0)

    def cut(self, chosen: Callable[[Link], bool]) -> int:
        """Reset the chosen connections; return how many."""
        links = [link for link in self.links if chosen(link)]
        for link in links:
            link.close(reset=True)
        return len(links)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(*self.upstream)
        except OSError:
            writer.transport.abort()
            return
        link = Link(self, writer, forth, self.dice.random())
        self.links.add(link)
        link.tasks = [
            asyncio.create_task(link.pipe("upstream", reader, forth)),
            asyncio.create_task(link.pipe("downstream", back, writer)),
        ]
        reset = False
        try:
            done, _ = await asyncio.wait(link.tasks, return_when=asyncio.FIRST_COMPLETED)
            reset = any(_resets(task.exception()) for task in done if not task.cancelled())
        finally:
            link.close(reset=reset)
            self.links.discard(link)
            await asyncio.gather(*link.tasks, return_exceptions=True)


def _resets(failure: BaseException | None) -> bool:
    return isinstance(failure, ConnectionError) or (isinstance(failure, Cut) and failure.reset)
