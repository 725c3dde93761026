"""The product's processes, each by production's own command line, each killable, each started again when it dies."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from channels_app.infrastructure.failpoints import KILLED
from config.supervisor import Program, _die_with_parent
from tests.chaos.evidence import Journal

#: Seconds that a process gets to leave on SIGTERM.
GRACE = 25.0
AGAIN = 0.3
#: What a process says when it dies at a failpoint, and within how many of its last bytes.
REACHED = re.compile(r"failpoint (\w+): exit at pass (\d+)")
LAST_WORDS = 20_000
MIB = 1024 * 1024


@dataclass(slots=True)
class Member:
    """One process that is kept running. `failpoints` are what it is to die of, each once, in whatever order.

    `lost` is told the process id of one that died at a failpoint.
    """

    name: str
    program: Program
    environment: Mapping[str, str]
    journal: Journal
    log: Path
    failpoints: list[str] = field(default_factory=list)
    child: asyncio.subprocess.Process | None = None
    keep_running: bool = True
    lost: Callable[[int], object] = id
    pid_before: int = 0

    async def keep(self) -> None:
        """Start it again whenever it ends, until told otherwise."""
        while self.keep_running:
            code = await self._live()
            reached = self._reached() if code == KILLED else ""
            if reached in self.failpoints:
                self.failpoints.remove(reached)
                self.lost(self.pid_before)
                self.journal.note("fault.failpoint", process=self.name, failpoint=reached)
            elif self.keep_running:
                self.journal.note("ended", process=self.name, code=code)
            await asyncio.sleep(AGAIN)

    async def _live(self) -> int:
        armed = ",".join(dict.fromkeys(self.failpoints))
        environment = {**os.environ, **self.environment, **self.program.environment, "PARLEY_FAILPOINTS": armed}
        with self.log.open("ab") as output:
            self.child = await asyncio.create_subprocess_exec(
                *self.program.command, env=environment, stdout=output, stderr=output, preexec_fn=_die_with_parent
            )
        self.journal.note("started", process=self.name, pid=self.child.pid, failpoints=armed)
        self.pid_before = self.child.pid
        return await self.child.wait()

    def _reached(self) -> str:
        """Return the failpoint that the process' last words name."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - LAST_WORDS))
            reached = REACHED.findall(log.read().decode(errors="replace"))
        return "{}:exit:{}".format(*reached[-1]) if reached else ""

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
        """Kill it without a word."""
        return self.signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to leave; kill it if it does not."""
        self.keep_running = False
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


class Deployment:
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
