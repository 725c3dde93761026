"""A bridge is killed with hundreds of open chats: how long until another one hears them, and what of all was lost.

Several rounds, each time the bridge that has more to lose; while nobody listens every chat's agent says something and
some customers write. Times are the simulated world's own. The floor is the lease: nobody may take over before it ends.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import lab
from bench.crew import Crew, Outside, crew, customer_number, outside

#: Seconds after the kill in which agents and customers speak: within the lease, so nobody listens yet.
GAP = 4.0
#: One customer in so many writes in the gap.
WRITERS = 5
#: Seconds for a round to come to its end.
ROUND = 180.0
#: With Amazon's default quotas agents and bridges share ten messages a second: so many chats speak in the gap.
FEW = 20
TARGET = 10.0
QUICK: dict[str, Any] = {"conversations": 20, "rounds": 2, "quotas": (False,)}


@dataclass(slots=True)
class Round:
    """One death: when, which chats it left behind, and what was said into the gap, with the time of that."""

    at: float
    chats: Mapping[str, str]
    said: dict[str, float] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """What the world saw, by chat or by text."""

    opened: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    read: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    phone: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    agent: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def first_message_after(self, contact: str, after: float) -> float | None:
        """Return when the chat had a new socket and its transcript was read, None if that has not happened yet."""
        opened = next((at for at in self.opened[contact] if at > after), None)
        return None if opened is None else next((at for at in self.read[contact] if at > opened), None)


def run(conversations: int = 300, rounds: int = 4, quotas: Sequence[bool] = (False, True)) -> Mapping[str, object]:
    """Open the chats, kill bridges, print and return what it took; exit if anything was lost or doubled."""
    result: dict[str, object] = {}
    for on in quotas:
        name = "quotas_on" if on else "quotas_off"
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        what = f"{conversations} open chats, {rounds} deaths, Amazon's default quotas {'on' if on else 'off'}"
        print(f"  {what}; other load: {load:.1f} for each core", flush=True)
        with crew("takeover") as running:
            result[name] = asyncio.run(_measure(running, conversations, rounds, quotas=on))
    return result


async def _measure(running: Crew, chats: int, rounds: int, *, quotas: bool) -> Mapping[str, object]:
    async with outside(running) as world:
        began = time.monotonic()
        await asyncio.gather(*(world.write(number, f"hello {number}") for number in range(chats)))
        await asyncio.to_thread(running.until_open, chats)
        await world.take_seats()
        print(f"  {chats} chats opened in {time.monotonic() - began:.0f} s: {running.owners()}", flush=True)
        await world.quotas(on=quotas)
        done = [await _round(running, world, number, quotas=quotas) for number in range(rounds)]
        await world.quotas(on=False)
        await asyncio.to_thread(running.until_quiet)
    seen = look(running)
    _refuse_losses(seen, done, chats)
    compared = running.reconcile()
    print(f"  reconcile: no gap in {compared['open_chats']} open chats", flush=True)
    return _report(seen, done, quotas=quotas)


async def _round(running: Crew, world: Outside, number: int, *, quotas: bool) -> Round:
    """Kill the bridge with more chats, let people speak, wait until all is heard, and start a bridge again."""
    owners = running.owners()
    victim = max(owners, key=lambda name: owners[name])
    chats = running.chats_of(victim)
    death = Round(running.kill(victim), chats)
    speakers = random.sample(sorted(chats), min(FEW, len(chats))) if quotas else sorted(chats)
    said = [_say(world, death, contact, f"agent {number} {contact}") for contact in speakers]
    written = [_write(world, death, contact, f"customer {number} {contact}") for contact in speakers[::WRITERS]]
    await asyncio.gather(*said, *written)
    await asyncio.to_thread(running.until, "end of this round", lambda: _missing(running, death) == 0, ROUND)
    took = time.time() - death.at
    print(f"  death {number + 1}: {victim} with {len(chats)} chats, all heard and said after {took:.0f} s", flush=True)
    running.start(victim)
    await asyncio.to_thread(running.until_joined, victim)
    await asyncio.sleep(2.0)
    return death


async def _say(world: Outside, death: Round, contact: str, text: str) -> None:
    """Let a chat's agent say something while nobody listens."""
    await _wait_in_gap(death)
    death.said[text] = time.time()
    await world.say(contact, text)


async def _write(world: Outside, death: Round, contact: str, text: str) -> None:
    await _wait_in_gap(death)
    death.written[text] = time.time()
    await world.write(customer_number(death.chats[contact]), text)


async def _wait_in_gap(death: Round) -> None:
    await asyncio.sleep(random.uniform(0.0, max(0.0, death.at + GAP - time.time())))


def look(running: Crew) -> Seen:
    """Read the world's ledger."""
    seen = Seen()
    for line in running.lines():
        fields, at = line["fields"], line["at"]
        contact, text = fields.get("initial_contact_id"), fields.get("text")
        match line["what"]:
            case "ws.open" if fields["role"] == "CUSTOMER":
                seen.opened[contact].append(at)
            case "participant.GetTranscript" if fields.get("status") == 200:
                seen.read[contact].append(at)
            case "ws.frame" if fields.get("type") == "MESSAGE" and fields.get("role") == "CUSTOMER":
                seen.agent[text].append(at)
            case "graph.send" if fields.get("status") == 200:
                seen.phone[text].append(at)
            case _:
                pass
    return seen


def _missing(running: Crew, death: Round) -> int:
    seen = look(running)
    unheard = sum(seen.first_message_after(contact, death.at) is None for contact in death.chats)
    return (
        unheard
        + sum(text not in seen.phone for text in death.said)
        + sum(text not in seen.agent for text in death.written)
    )


def _refuse_losses(seen: Seen, done: Sequence[Round], chats: int) -> None:
    said = {text for death in done for text in death.said}
    written = {text for death in done for text in death.written} | {f"hello {number}" for number in range(chats)}
    for what, expected, arrived in (("to phones", said, seen.phone), ("to agents", written, seen.agent)):
        lost, doubled = sum(text not in arrived for text in expected), sum(len(times) > 1 for times in arrived.values())
        print(f"  {what:10} {len(expected)} messages, {lost} lost, {doubled} doubled", flush=True)
        if lost or doubled or arrived.keys() - expected:
            raise SystemExit(f"messages {what} were lost, doubled or made up")


def _report(seen: Seen, done: Sequence[Round], *, quotas: bool) -> Mapping[str, object]:
    reached = [
        (seen.first_message_after(contact, death.at) or float("inf")) - death.at
        for death in done
        for contact in death.chats
    ]
    from_death = [seen.phone[text][0] - death.at for death in done for text in death.said]
    to_phone = [seen.phone[text][0] - at for death in done for text, at in death.said.items()]
    to_agent = [seen.agent[text][0] - at for death in done for text, at in death.written.items()]
    rows = {
        "death to heard again": reached,
        "death to agent's words on the phone": from_death,
        "said to on the phone": to_phone,
        "written to with the agent": to_agent,
    }
    for name, values in rows.items():
        p50, p99 = lab.median(values), lab.percentile(values, 0.99)
        print(f"  {name:36} p50 {p50:5.1f} s   p99 {p99:5.1f} s   longest {max(values):5.1f} s", flush=True)
    p99 = lab.percentile(reached, 0.99)
    print(f"  target: p99 under {TARGET:.0f} s to heard again: {'met' if p99 < TARGET else 'NOT MET'}", flush=True)
    figures = {
        name: {"p50_s": lab.median(v), "p99_s": lab.percentile(v, 0.99), "max_s": max(v)} for name, v in rows.items()
    }
    return {"deaths": [len(death.chats) for death in done], "quotas": quotas, **figures}
