"""A lean HTTP load: keep-alive connections that post prepared requests, closed loop or at a fixed rate."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """What the load saw. Latencies in seconds; `accepted` are the ids answered 200, `sent` their Unix time."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    sent: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0


async def saturate(port: int, requests: Iterator[tuple[str, bytes]], connections: int, seconds: float) -> Outcome:
    """Post as fast as the server answers, on so many connections."""
    outcome = Outcome()
    began = time.perf_counter()
    deadline = began + seconds
    await asyncio.gather(*(_poster(port, requests, deadline, outcome) for _ in range(connections)))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _poster(port: int, requests: Iterator[tuple[str, bytes]], deadline: float, outcome: Outcome) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < deadline:
            await _post(reader, writer, *next(requests), outcome, time.perf_counter())
    finally:
        writer.close()


async def at_rate(
    port: int, requests: Iterator[tuple[str, bytes]], rate: float, seconds: float, connections: int = 32
) -> Outcome:
    """Post at a fixed rate; latency counts from when a request was due, so that a stall is not hidden."""
    outcome = Outcome()
    due: asyncio.Queue[float | None] = asyncio.Queue()
    posters = [asyncio.create_task(_paced(port, requests, due, outcome)) for _ in range(connections)]
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        due.put_nowait(at)
    for _ in posters:
        due.put_nowait(None)
    await asyncio.gather(*posters)
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _paced(
    port: int, requests: Iterator[tuple[str, bytes]], due: asyncio.Queue[float | None], outcome: Outcome
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while (at := await due.get()) is not None:
            await _post(reader, writer, *next(requests), outcome, at)
    finally:
        writer.close()


async def _post(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    key: str,
    request: bytes,
    outcome: Outcome,
    began: float,
) -> None:
    outcome.sent.setdefault(key, time.time())
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    await reader.readexactly(length)
    outcome.latencies.append(time.perf_counter() - began)
    outcome.statuses[status] += 1
    if status == 200:
        outcome.accepted.add(key)
