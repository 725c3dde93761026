"""The product's processes, each by production's own command line, each killable, each started again when it dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from channels_app.failpoints import KILLED
from connect_bridge.supervisor import Program, _die_with_parent
from tests.chaos.evidence import Journal

#: Seconds that a process gets to leave on SIGTERM.
GRACE = 25.0
AGAIN = 0.3
MIB = 1024 * 1024


@dataclass(slots=True)
class Member:
    """One process that is kept running. `failpoints` are what its next incarnations are given, one each.

    `lost` is told the process id of one that died at a failpoint.
    """

    name: str
    program: Program
    environment: Mapping[str, str]
    journal: Journal
    log: Path
    failpoints: deque[str] = field(default_factory=deque)
    armed: str = ""
    reached: list[str] = field(default_factory=list)
    child: asyncio.subprocess.Process | None = None
    wanted: bool = True
    lost: Callable[[int], object] = id
    pid_before: int = 0

    async def keep(self) -> None:
        """Start it again whenever it ends, until told otherwise."""
        while self.wanted:
            code = await self._live()
            if code == KILLED and self.armed:
                self.lost(self.pid_before)
                self.reached.append(self.armed)
                self.journal.note("fault.failpoint", process=self.name, failpoint=self.armed)
            elif self.wanted:
                self.journal.note("ended", process=self.name, code=code)
            await asyncio.sleep(AGAIN)

    async def _live(self) -> int:
        self.armed = self.failpoints.popleft() if self.failpoints else ""
        environment = {**os.environ, **self.environment, **self.program.environment, "PARLEY_FAILPOINTS": self.armed}
        with self.log.open("ab") as output:
            self.child = await asyncio.create_subprocess_exec(
                *self.program.command, env=environment, stdout=output, stderr=output, preexec_fn=_die_with_parent
            )
        self.journal.note("started", process=self.name, pid=self.child.pid, failpoint=self.armed)
        self.pid_before = self.child.pid
        return await self.child.wait()

    @property
    def pid(self) -> int:
        return self.child.pid if self.child is not None and self.child.returncode is None else 0

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal if it runs."""
        try:
            if self.child is not None and self.pid:
                self.child.send_signal(number)
                return True
        except ProcessLookupError:  # it has just died by itself
            pass
        return False

    def kill(self) -> bool:
        """Kill it without a word. What it was armed with does not count as reached."""
        self.armed = ""
        return self.signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to leave; kill it if it does not."""
        self.wanted = False
        if self.child is None or not self.signal(signal.SIGTERM):
            return
        try:
            await asyncio.wait_for(self.child.wait(), GRACE)
        except TimeoutError:
            self.journal.note("did not stop", process=self.name)
            self.signal(signal.SIGKILL)

    def megabytes(self) -> float:
        try:
            return psutil.Process(self.pid).memory_info().rss / MIB if self.pid else 0.0
        except psutil.NoSuchProcess:
            return 0.0


class House:
    """All members: one web, two bridges, one worker, beat."""

    def __init__(
        self, programs: Sequence[Sequence[Program]], environment: Mapping[str, str], journal: Journal, logs: Path
    ) -> None:
        by_name = {program.name: program for group in programs for program in group}
        names = {"bridge1": "bridge", "bridge2": "bridge", "worker": "worker", "beat": "beat", "web": "web"}
        self.journal = journal
        self.members = {
            name: Member(name, by_name[program], environment, journal, logs / f"{name}.log")
            for name, program in names.items()
        }
        self._keeping: list[asyncio.Task[None]] = []

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    @property
    def bridges(self) -> list[Member]:
        return [self.members["bridge1"], self.members["bridge2"]]

    def start(self) -> None:
        self._keeping = [asyncio.create_task(member.keep()) for member in self.members.values()]

    async def stop(self) -> None:
        """Stop the web first, so that nothing comes in any more."""
        await self.members["web"].stop()
        await asyncio.gather(*(member.stop() for member in self.members.values()))
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)

    async def deploy(self, dice: random.Random) -> None:
        """Replace everything, one after the other, by SIGTERM, as a rolling deployment does."""
        order = list(self.members.values())
        dice.shuffle(order)
        for member in order:
            child = member.child
            if child is None or not member.signal(signal.SIGTERM):
                continue
            self.journal.note("fault.deploy", process=member.name)
            began = time.monotonic()
            try:
                await asyncio.wait_for(child.wait(), GRACE)
            except TimeoutError:
                self.journal.note("did not stop", process=member.name, seconds=round(time.monotonic() - began, 1))
                member.signal(signal.SIGKILL)
            await asyncio.sleep(2.0)
