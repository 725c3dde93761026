"""What may befall the product: each nemesis is a few seconds of one kind of trouble, written into the journal."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.chaos.compositions import Ground
from tests.chaos.deployment import Deployment, Member
from tests.chaos.evidence import Journal
from tests.chaos.failover import lossy_promotion
from tests.chaos.faultproxy import FaultProxy, Toxic
from tests.chaos.machine import clocks, full_disk, promotion
from tests.chaos.outside import TIMES, Outside

#: Seconds of silence after which others take a bridge's conversations over: BRIDGE_TTL of
#: connect_bridge/storage/ownership.py, which only a process with Django in it can import.
LEASE = 6


@dataclass(slots=True)
class Stage:
    """All that a nemesis can lay hands on. `scale` stretches the long run's troubles."""

    deployment: Deployment
    outside: Outside
    ground: Ground
    proxies: Mapping[str, FaultProxy]
    journal: Journal
    dice: random.Random
    scale: float = 1.0

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.dice.uniform(0.7, 1.3))

    def __post_init__(self) -> None:
        for member in self.deployment.bridges:
            member.lost = self.lost

    def lost(self, pid: int) -> None:
        """Write down which open chats the bridge with this process id leaves behind."""
        try:
            contacts = self.ground.open_chats(pid)
        except psycopg.OperationalError:
            return
        self.journal.note("bridge.lost", contacts=contacts)

    @property
    def busiest(self) -> Member:
        """The bridge with the most open chats."""
        return max(self.deployment.bridges, key=lambda bridge: len(self.ground.open_chats(bridge.pid)))

    async def kill(self, name: str) -> None:
        member = self.deployment[name]
        if member in self.deployment.bridges and member.pid:
            self.lost(member.pid)
        if member.kill():
            self.journal.note("fault.kill", process=name)

    def times(self, number: int) -> range:
        return range(max(1, round(number * self.scale)))

    async def trouble(self, seconds: float, *faults: Mapping[str, Any]) -> None:
        """Switch faults of the world on for a while."""
        for fault in faults:
            self.journal.note(f"fault.world.{fault['name']}", **fault)
        await self.outside.faults(*faults)
        await self.rest(seconds * self.scale)
        await self.outside.heal()
        self.journal.note("healed")


Nemesis = Callable[[Stage], Awaitable[None]]

#: Which process passes which failpoints. The two bridges share theirs.
FAILPOINTS = {
    "web": ("I1", "I2", "I3"),
    "bridge1": ("I4", "I6", "I8", "I11", "O1", "O3", "O4b", "O9"),
    "bridge2": ("I5", "I7", "I9", "I10", "I12", "O2", "O4", "O10"),
    "worker": ("O5", "O6", "O7", "O8", "O12", "O11"),
}
#: Seconds for all of them.
FAILPOINT_SECONDS = 190.0
#: Each is passed so rarely that waiting for a second pass would take too long.
RARE = frozenset({"I9", "I10", "I11", "I12", "O1", "O2", "O4", "O8", "O9", "O10", "O11"})


async def failpoints(stage: Stage) -> None:
    """Let every process die at each of its named places, twice, while the world sees to it that all are passed."""
    for name, places in FAILPOINTS.items():
        for place in places * 2:
            passage = 1 if place in RARE else stage.dice.randint(1, 2)
            stage.deployment[name].failpoints.append(f"{place}:exit:{passage}")
        await stage.kill(name)  # the next incarnation is armed
    provoking = asyncio.create_task(_provoke(stage))
    try:
        async with asyncio.timeout(FAILPOINT_SECONDS * max(1.0, stage.scale)):
            while any(stage.deployment[name].failpoints for name in FAILPOINTS):  # noqa: ASYNC110 - other processes' events
                await asyncio.sleep(0.25)
    except TimeoutError:
        pass
    finally:
        provoking.cancel()
        await asyncio.gather(provoking, return_exceptions=True)
    for member in stage.deployment.members.values():
        for missed in member.failpoints:
            stage.journal.note("failpoint.not_reached", process=member.name, failpoint=missed)
    await disarm(stage)
    await stage.outside.heal()


async def disarm(stage: Stage) -> None:
    """Start anew, with no failpoint, whoever still has one."""
    for member in stage.deployment.members.values():
        if member.failpoints:
            member.failpoints.clear()
            await stage.kill(member.name)


async def _provoke(stage: Stage) -> None:
    """Bring about, again and again, what the rarer places wait for."""
    while True:
        await stage.outside.faults(
            {"name": "throttle", "target": "SendMessage", "share": 0.2, "times": 3},
            {"name": "expire_token", "target": "SendMessage", "share": 0.3, "times": 2},
            {"name": "socket_cut", "target": "CUSTOMER", "share": 0.3, "times": 2},
            {"name": "blocked", "target": "send", "share": 0.3, "times": 2},
            {"name": "error5xx", "target": "GetTranscript", "share": 0.5, "times": 2},
            {"name": "effect_then_reset", "target": "send", "share": 0.3, "times": 1},
        )
        left = stage.deployment["worker"].failpoints
        if left and all(one.startswith("O11") for one in left):
            # The database must go while a send is under way: claimed, and not yet settled.
            await stage.outside.faults({"name": "slow", "target": "send", "seconds": 1.5})
            await asyncio.sleep(1.5)
            stage.journal.note("fault.database", how="backends", broken=stage.ground.kill_backends())
        await stage.outside.end_a_chat(stage.dice)
        await asyncio.sleep(2)
        await stage.outside.heal()


async def kills(stage: Stage) -> None:
    """kill -9, now this one, now that one."""
    for _ in stage.times(12):
        await stage.kill(stage.dice.choice(("web", "bridge1", "bridge2", "worker", "worker")))
        await stage.rest(3.0)


async def kill_web(stage: Stage) -> None:
    for _ in stage.times(4):
        await stage.kill("web")
        await stage.rest(3.5)


async def kill_bridge(stage: Stage) -> None:
    """Kill the bridge that has more to lose, and give the other one time to take over."""
    for _ in stage.times(3):
        await stage.kill(stage.busiest.name)
        await stage.rest(10.0)


async def kill_worker(stage: Stage) -> None:
    for _ in stage.times(3):
        await stage.kill("worker")
        await stage.rest(4.0)


async def kill_all(stage: Stage) -> None:
    """Everything at once, as when the power fails; the database too where it is ours."""
    for name in stage.deployment.members:
        await stage.kill(name)
    if stage.ground.restart is not None:
        stage.journal.note("fault.database", how="immediate stop")
        await asyncio.to_thread(stage.ground.restart)
    await stage.rest(8.0)


async def pause_bridge(stage: Stage) -> None:
    """Hold a bridge still for twice its lease, and let it wake up as if nothing had happened."""
    for _ in stage.times(2):
        member = stage.busiest
        stage.lost(member.pid)
        stage.journal.note("fault.pause", process=member.name, seconds=2 * LEASE)
        member.signal(signal.SIGSTOP)
        await asyncio.sleep(2 * LEASE)
        member.signal(signal.SIGCONT)
        await stage.rest(4.0)


async def database(stage: Stage) -> None:
    """Break all connections a few times; then stop the server without mercy, or take no connections for a while."""
    for _ in stage.times(3):
        stage.journal.note("fault.database", how="backends", broken=stage.ground.kill_backends())
        await stage.rest(4.0)
    if stage.ground.restart is not None:
        stage.journal.note("fault.database", how="immediate restart")
        await asyncio.to_thread(stage.ground.restart)
    elif "database" in stage.proxies:
        stage.journal.note("fault.database", how="unreachable", seconds=5)
        await stage.proxies["database"].down()
        await asyncio.sleep(5)
        await stage.proxies["database"].up()
    await stage.rest(6.0)


async def late_commits(stage: Stage) -> None:
    """Let webhooks of one account commit after later ones of others: their rows' numbers are the older ones.

    Each is delivered once: a second copy would wait for the first, and keep the web's other connection from all.
    """
    stage.outside.times = 1
    for _ in stage.times(6):
        stage.journal.note("fault.database", how="late commits", seconds=0.8)
        await asyncio.to_thread(stage.ground.hold_an_account, 0.8)
        await stage.rest(0.7)
    stage.outside.times = TIMES


async def broker(stage: Stage) -> None:
    """Lose every task that waits; then make the broker unreachable where it is not the database."""
    for _ in stage.times(2):
        if emptied := stage.ground.lose_tasks():
            stage.journal.note("fault.broker", how="emptied", broker=emptied)
        await stage.rest(3.0)
    if "broker" in stage.proxies:
        stage.journal.note("fault.broker", how="unreachable", seconds=10)
        await stage.proxies["broker"].down()
        await asyncio.sleep(10 * stage.scale)
        await stage.proxies["broker"].up()
        await stage.rest(4.0)


async def sockets(stage: Stage) -> None:
    """Websockets that are cut, go silent, lose, double and shuffle frames."""
    role = {"target": "CUSTOMER"}
    await stage.trouble(8, {"name": "socket_cut", "share": 0.05, **role})
    await stage.trouble(8, {"name": "frame_drop", "share": 0.1, **role}, {"name": "frame_double", "share": 0.1, **role})
    await stage.trouble(8, {"name": "frame_shuffle", "share": 0.1, **role})
    await stage.trouble(8, {"name": "socket_silent", "share": 0.02, "times": 5, "seconds": 25.0, **role})


async def connect(stage: Stage) -> None:
    """Amazon is too busy, broken, and does things without saying so."""
    for target in ("SendMessage", "StartChatContact", "CreateParticipantConnection", "GetTranscript"):
        stage.journal.note("fault.world.effect_then_reset", target=target)
        await stage.outside.faults(
            {"name": "effect_then_reset", "target": target, "share": 0.1},
            {"name": "throttle", "target": target, "share": 0.3},
            {"name": "error5xx", "target": target, "share": 0.2},
        )
    for _ in range(8):
        await stage.outside.end_a_chat(stage.dice)
        await stage.rest(1.5 * stage.scale)
    await stage.outside.heal()
    await stage.trouble(6, {"name": "throttle", "target": "SendMessage"})


async def slow_connect(stage: Stage) -> None:
    """Connect takes its time over every message."""
    await stage.trouble(15, {"name": "slow", "target": "SendMessage", "share": 0.6, "seconds": 2.5})


async def lost_answers(stage: Stage) -> None:
    """Connect does what it is asked and does not say so."""
    stage.journal.note("fault.world.effect_then_reset", target="Connect")
    for target in ("SendMessage", "StartChatContact"):
        await stage.outside.faults({"name": "effect_then_reset", "target": target, "share": 0.4})
    for _ in range(10):
        await stage.outside.end_a_chat(stage.dice)
        await stage.rest(1.0)
    await stage.outside.heal()


async def providers(stage: Stage) -> None:
    """Messengers are slow, broken, throttle, refuse, and take messages without saying so."""
    await stage.trouble(6, {"name": "slow", "target": "send", "share": 0.3, "seconds": 3.0})
    await stage.trouble(
        8,
        {"name": "error5xx", "target": "send", "share": 0.2},
        {"name": "effect_then_reset", "target": "send", "share": 0.1},
        {"name": "blocked", "target": "send", "share": 0.05},
    )
    await stage.trouble(5, {"name": "receipt_double", "share": 0.3}, {"name": "receipt_shuffle", "share": 0.5})


async def broken_messengers(stage: Stage) -> None:
    """Messengers answer 5xx more often than not, up to the last message."""
    await stage.trouble(10, {"name": "error5xx", "target": "send", "share": 0.6})


async def refusals(stage: Stage) -> None:
    await stage.trouble(8, {"name": "blocked", "target": "send", "share": 0.2})


async def lost_sends(stage: Stage) -> None:
    """Messengers take messages without saying so, neither at once nor later."""
    await stage.trouble(
        12, {"name": "effect_then_reset", "target": "send", "share": 0.4}, {"name": "receipt_drop", "share": 1.0}
    )


async def network(stage: Stage) -> None:
    """The way to Amazon and the messengers is slow, sliced, cut and shut."""
    for name in ("connect", "messengers"):
        proxy = stage.proxies[name]
        toxics = [
            Toxic("latency", seconds=0.2, jitter=0.15),
            Toxic("slicer", seconds=0.01, size=200),
            Toxic("reset_peer", seconds=0.5, toxicity=0.1),
            Toxic("limit_data", size=4_000, toxicity=0.2),
        ]
        for toxic in toxics:
            stage.journal.note("fault.network", way=name, verb=toxic.verb)
            proxy.toxics[:] = [toxic]
            await stage.rest(2.5 * stage.scale)
        proxy.toxics.clear()
        stage.journal.note("fault.network", way=name, verb="down", seconds=4)
        await proxy.down()
        await asyncio.sleep(4)
        await proxy.up()


async def chats(stage: Stage) -> None:
    """Agents end and pass on chats while their customers go on writing."""
    for _ in stage.times(10):
        await stage.outside.end_a_chat(stage.dice)
        await stage.rest(0.8)


async def attack(stage: Stage) -> None:
    for _ in stage.times(3):
        stage.journal.note("attack", answers=await stage.outside.attack())
        await stage.rest(0.5)


async def deploy(stage: Stage) -> None:
    for _ in stage.times(1):
        await stage.deployment.deploy(stage.dice)


async def long_hellos(stage: Stage) -> None:
    """Let chats begin with more than goes into one message, and bridges die between its parts."""
    for name in ("bridge1", "bridge2"):
        stage.deployment[name].failpoints.extend(["I11:exit:1"] * 4)
        await stage.kill(name)
    for _ in range(25):
        await stage.outside.end_a_chat(stage.dice)
        await stage.rest(1.0)
    await disarm(stage)


async def dead_senders(stage: Stage) -> None:
    """Let workers die between the messenger's answer and their own note of it, which no receipt makes good."""
    stage.deployment["worker"].failpoints.extend(["O7:exit:2"] * 3)
    await stage.kill("worker")
    await stage.trouble(25, {"name": "receipt_drop", "share": 1.0})
    await disarm(stage)
    await stage.rest(25.0)


async def calm(stage: Stage) -> None:
    await stage.rest(6.0)


NEMESES: Mapping[str, Nemesis] = {
    nemesis.__name__: nemesis
    for nemesis in (
        calm, failpoints, kills, kill_web, kill_bridge, kill_worker, kill_all, pause_bridge, database, broker, sockets,
        connect, lost_answers, providers, broken_messengers, refusals, lost_sends, long_hellos,
        dead_senders, late_commits, slow_connect, network, chats, attack, deploy,
        clocks, full_disk, promotion, lossy_promotion,
    )
}  # fmt: skip
#: The short run, in this order; the seed decides what strikes whom and when.
SHORT = ("calm", "attack", "chats", "failpoints", "kill_bridge", "kills", "pause_bridge", "sockets", "connect",
         "slow_connect", "providers", "network", "broker", "late_commits", "database", "kill_all", "deploy",
         "calm")  # fmt: skip
#: What is run on the second composition of CI: all that touches the database or the broker, and the rest in passing.
QUICK = (
    "calm",
    "attack",
    "kill_bridge",
    "kills",
    "broker",
    "late_commits",
    "database",
    "pause_bridge",
    "kill_all",
    "deploy",
    "calm",
)
