"""Half an hour of steady talk in hundreds of open conversations: memory, latencies, and whether all of it arrived.

Customers write at a steady rate, an automatic agent answers everything; now and then an agent ends a chat, and its
customer's next message begins another. Memory is each process' proportional share (PSS), a sample every ten seconds.
Times are the simulated world's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from bench import lab
from bench.crew import AGENT, Crew, Outside, crew, outside

#: Seconds between two messages of one customer, between two chats' ends, and between two samples.
PAUSE, END_EVERY, SAMPLE_EVERY = 60.0, 10.0, 10.0
#: The share of the run that counts as warming up, and the share at its start and end whose latencies are compared.
WARM_UP, ENDS = 1 / 6, 1 / 6
#: Seconds that a websocket of this world lives: an hour's would not be renewed within the run.
SOCKET_LIFE = 600.0
#: Percent of growth over the run, after warming up.
TARGET = 10.0
RESULT = lab.VAR / "bench-soak.json"
REPLY = "re: "
QUICK: dict[str, Any] = {"conversations": 30, "minutes": 1.0}


@dataclass(slots=True)
class Samples:
    """MiB of each process, by the seconds since the load began."""

    at: list[float] = field(default_factory=list)
    sizes: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def take(self, running: Crew, at: float) -> None:
        self.at.append(at)
        for name, process in running.processes.items():
            self.sizes[name].append(_share(process))
            if not self.sizes[name][-1]:
                raise SystemExit(f"{name} has ended by itself; look at var/bench-{running.name}-{name}-*.log")

    def growth(self, name: str, since: float) -> float:
        """Return by how many percent the process grew from then to the end, by the line that fits best."""
        points = [(at, size) for at, size in zip(self.at, self.sizes[name], strict=True) if at >= since]
        middle = sum(at for at, _ in points) / len(points)
        mean = sum(size for _, size in points) / len(points)
        spread = sum((at - middle) ** 2 for at, _ in points)
        slope = sum((at - middle) * (size - mean) for at, size in points) / spread if spread else 0.0
        first, last = points[0][0], points[-1][0]
        return 100.0 * slope * (last - first) / (mean - slope * (middle - first))


def run(conversations: int = 500, minutes: float = 30.0) -> Mapping[str, object]:
    """Let people talk for so long; print and return what came of it; exit if anything was lost or doubled."""
    with crew("soak", flow={"auto_reply": REPLY + "{text}"}) as running:
        lab.call("PUT", f"{running.world}/world/settings", {"socket_lifetime": SOCKET_LIFE})
        return asyncio.run(_measure(running, conversations, minutes * 60.0))


async def _measure(running: Crew, conversations: int, seconds: float) -> Mapping[str, object]:
    samples = Samples()
    async with outside(running) as world:
        await asyncio.gather(*(world.write(number, f"hello {number}") for number in range(conversations)))
        await asyncio.to_thread(running.until_open, conversations)
        began, began_at = time.monotonic(), time.time()
        ends = began + seconds
        people = [asyncio.create_task(_customer(world, number, ends)) for number in range(conversations)]
        people.append(asyncio.create_task(_ender(world, ends)))
        watching = asyncio.create_task(_watch(running, samples, began, ends))
        await asyncio.gather(*people)
        await watching
        await asyncio.to_thread(running.until_quiet)
    return _report(running, samples, began_at, seconds)


async def _customer(world: Outside, number: int, ends: float) -> None:
    await asyncio.sleep(random.uniform(0.0, PAUSE))
    turn = 0
    while time.monotonic() < ends:
        turn += 1
        await world.write(number, f"customer {number} {turn}")
        await asyncio.sleep(max(0.0, min(PAUSE * random.uniform(0.7, 1.3), ends - time.monotonic())))


async def _ender(world: Outside, ends: float) -> None:
    """End a chat now and then, as its agent."""
    while time.monotonic() < ends - END_EVERY:
        await asyncio.sleep(END_EVERY)
        await world.end_a_chat(AGENT)


async def _watch(running: Crew, samples: Samples, began: float, ends: float) -> None:
    """Sample, and say every minute how far it is."""
    said = 0
    while (now := time.monotonic()) < ends:
        await asyncio.to_thread(samples.take, running, now - began)
        if now - began >= 60.0 * said:
            said += 1
            sizes = "  ".join(f"{name} {values[-1]:.0f}" for name, values in samples.sizes.items())
            print(f"  {(now - began) / 60:4.0f} min, MiB: {sizes}", flush=True)
        await asyncio.sleep(max(0.0, min(SAMPLE_EVERY, ends - time.monotonic())))


def _share(process: psutil.Process) -> float:
    """Return a process tree's proportional share of memory in MiB."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in [process, *process.children(recursive=True)]:
            total += member.memory_full_info().pss / lab.MIB
    return total


@dataclass(slots=True)
class Ways:
    """When each text was written and arrived, by way."""

    begun: dict[str, dict[str, float]] = field(default_factory=lambda: {"in": {}, "out": {}})
    come: dict[str, dict[str, list[float]]] = field(default_factory=lambda: {"in": {}, "out": {}})

    def lost(self, way: str) -> int:
        return len(self.begun[way].keys() - self.come[way].keys())

    def doubled(self, way: str) -> int:
        return sum(len(times) > 1 for times in self.come[way].values())

    def latencies(self, way: str, since: float, until: float) -> list[float]:
        """Return milliseconds, of what was written in between."""
        begun, come = self.begun[way], self.come[way]
        return [(come[text][0] - at) * 1e3 for text, at in begun.items() if since <= at < until and text in come]


def look(running: Crew) -> Ways:
    """Read the world's ledger: what customers wrote and agents said, and when the other side had it."""
    ways = Ways()
    for line in running.lines():
        fields, at = line["fields"], line["at"]
        text, role = str(fields.get("text")), fields.get("role")
        match line["what"]:
            case "phone.message" if fields.get("direction", "in") == "in":
                ways.begun["in"].setdefault(text, at)
            case "ws.frame" if fields.get("type") == "MESSAGE" and role == "CUSTOMER":
                ways.come["in"].setdefault(text, []).append(at)
            case "ws.frame" if fields.get("type") == "MESSAGE" and role == "AGENT":
                ways.begun["out"].setdefault(text, at)
            case "graph.send" if fields.get("status") == 200:
                ways.come["out"].setdefault(text, []).append(at)
            case _:
                pass
    return ways


def _report(running: Crew, samples: Samples, began_at: float, seconds: float) -> Mapping[str, object]:
    ways, warm = look(running), seconds * WARM_UP
    memory = {name: _memory(samples, name, warm) for name in samples.sizes}
    messages = {way: _messages(ways, way) for way in ("in", "out")}
    windows = {"start": (warm, warm + seconds * ENDS), "end": (seconds * (1 - ENDS), seconds)}
    latencies = {
        f"{way} {name}": _latency(ways.latencies(way, began_at + first, began_at + last))
        for way in ("in", "out")
        for name, (first, last) in windows.items()
    }
    for name, row in latencies.items():
        print(f"  {name:10} p50 {row['p50_ms']:6.0f} ms   p99 {row['p99_ms']:6.0f} ms", flush=True)
    grew = {name: row["growth_percent"] for name, row in memory.items() if name != "simulator"}
    worst = max(grew, key=lambda name: grew[name])
    met = "met" if grew[worst] < TARGET else "NOT MET"
    print(f"  target: under {TARGET:.0f} % growth in every process: {met} ({worst} {grew[worst]:+.1f} %)", flush=True)
    result = {"seconds": seconds, "memory": memory, "messages": messages, "latencies": latencies}
    RESULT.write_text(json.dumps({**result, "at": samples.at, "sizes": samples.sizes}, indent=1))
    print(f"  all samples: {RESULT.relative_to(lab.ROOT)}", flush=True)
    if any(row["lost"] or row["doubled"] for row in messages.values()):
        raise SystemExit("messages were lost or doubled")
    compared = running.reconcile()
    print(f"  reconcile: no gap in {compared['open_chats']} open chats", flush=True)
    return result


def _memory(samples: Samples, name: str, warm: float) -> dict[str, float]:
    sizes, grown = samples.sizes[name], samples.growth(name, warm)
    whose = "  (the world's, not the product's)" if name == "simulator" else ""
    print(f"  {name:10} {sizes[0]:6.1f} MiB at first, {sizes[-1]:6.1f} at last, {grown:+5.1f} %{whose}", flush=True)
    return {"first_mib": sizes[0], "last_mib": sizes[-1], "growth_percent": grown}


def _messages(ways: Ways, way: str) -> dict[str, int]:
    row = {"messages": len(ways.begun[way]), "lost": ways.lost(way), "doubled": ways.doubled(way)}
    print(f"  {way:10} {row['messages']} messages, {row['lost']} lost, {row['doubled']} doubled", flush=True)
    return row


def _latency(values: Sequence[float]) -> dict[str, float]:
    return {"p50_ms": lab.median(values), "p99_ms": lab.percentile(values, 0.99)}
