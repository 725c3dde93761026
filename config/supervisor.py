"""Keeps a handful of processes running on one machine: starts them in order, restarts what dies, leaves none behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

#: Seconds before a child that died is started again: the first and the longest wait.
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 15.0
#: A child that lived so long (seconds) had recovered: its next death starts the back-off anew.
HEALTHY_AFTER = 30.0
#: Seconds that one group of children gets to stop before it is killed: longer than the longest send to a messenger.
GRACE = 20.0
#: A second signal within so many seconds is the first one again: timeout(1) and some init systems send it twice.
SAME_REQUEST = 1.0
#: Longest line of a child's log that is kept whole, in bytes.
LONGEST_LINE = 1024 * 1024
PR_SET_PDEATHSIG = 1  # Linux, prctl(2)


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running. Its environment is ours plus `environment`."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Supervisor:
    """Runs groups of programs: started in the order given, stopped in the reverse order, a group at a time.

    SIGTERM, SIGINT and SIGHUP stop everything; a second one kills what still runs. On Linux the children die with us
    even if we are killed ourselves.
    """

    groups: Sequence[Sequence[Program]]
    log: TextIO = field(default_factory=lambda: sys.stderr)
    grace: float = GRACE
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: float = 0.0

    async def run(self, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        """Return when a signal, or `stop`, has asked us to and every child is gone.

        `meanwhile` runs beside the children; if it raises, everything is stopped and the exception raised again.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        running = [[asyncio.create_task(self._keep_running(program)) for program in group] for group in self.groups]
        try:
            await self._until_stopped(meanwhile)
        finally:
            for tasks in reversed(running):
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_stopped(self, meanwhile: Callable[[], Awaitable[None]] | None) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        if meanwhile is not None:
            companion = asyncio.ensure_future(meanwhile())
            await asyncio.wait([stopping, companion], return_when=asyncio.FIRST_COMPLETED)
            if not companion.done():
                companion.cancel()
                await asyncio.gather(companion, return_exceptions=True)
            elif not companion.cancelled():
                companion.result()
        await stopping

    def stop(self) -> None:
        """Ask to stop; asked again later, kill what still runs."""
        now = time.monotonic()
        self._asked = self._asked or now
        if now - self._asked > SAME_REQUEST:
            self._say("serve", "asked again to stop: killing what still runs")
            self._hurry.set()
        self._stop.set()

    async def _keep_running(self, program: Program) -> None:
        """Start the program again whenever it ends, until cancelled; then stop it."""
        backoff = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            ended = await self._run_once(program)
            if time.monotonic() - began > HEALTHY_AFTER:
                backoff = FIRST_BACKOFF
            self._say("serve", f"{program.name} ENDED ({_words(ended)}); starting it again in {backoff:g} s")
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    async def _run_once(self, program: Program) -> int:
        child = await asyncio.create_subprocess_exec(
            *program.command,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE,
            start_new_session=True,  # Ctrl-C in a terminal reaches us alone, and we stop the children in order
            preexec_fn=_die_with_parent,
        )
        copying = asyncio.create_task(self._copy(program.name, child))
        try:
            return await child.wait()
        finally:
            await self._end(program.name, child)
            await asyncio.wait([copying], timeout=1)  # its last words
            copying.cancel()

    async def _end(self, name: str, child: asyncio.subprocess.Process) -> None:
        """Make sure that the child and whatever it started in its session are gone."""
        if child.returncode is None:
            child.terminate()
            hurry = asyncio.create_task(self._hurry.wait())
            await asyncio.wait(
                [hurry, waiting := asyncio.create_task(child.wait())],
                timeout=self.grace,
                return_when=asyncio.FIRST_COMPLETED,
            )
            hurry.cancel()
            if not waiting.done() and not self._hurry.is_set():
                self._say("serve", f"{name} did not stop within {self.grace:g} s of SIGTERM; killing it")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()

    async def _copy(self, name: str, child: asyncio.subprocess.Process) -> None:
        assert child.stdout
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:
                line = b"(a line longer than a megabyte was left out)\n"
            if not line:
                return
            self._say(name, line.decode(errors="replace").rstrip())

    def _say(self, name: str, text: str) -> None:
        print(f"{name:7}│ {text}", file=self.log, flush=True)


def _words(returncode: int) -> str:
    return f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"


def _load_prctl() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


_LIBC = _load_prctl()  # loaded here: between fork and exec nothing may be


def _die_with_parent() -> None:
    """Ask the kernel to kill this child when its parent dies, however it dies."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
