"""What may befall the machine that the product runs on: wrong clocks, a full disk, a standby that takes over.

Where a machine does not let itself be broken so, the nemesis says so, loudly, and does nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from tests.chaos.nemeses import Stage

#: Seconds that clocks differ at most, and that some of them are set back.
APART, BACK = 300, 3600
#: Seconds for which the disk stays full.
FULL = 15.0
SOURCE = Path(__file__).with_name("clock.c")


async def clocks(stage: Stage) -> None:
    """Let every process have its own idea of what time it is, for the rest of the run; set some back by an hour."""
    library = _library(stage)
    if library is None:
        skip(stage, "clocks", "no C compiler here: apt-get install gcc libc6-dev")
        return
    offsets = [APART, -APART, 0, APART, -APART]
    stage.dice.shuffle(offsets)
    for member, seconds in zip(stage.deployment.members.values(), offsets, strict=True):
        clock = member.log.with_suffix(".clock")
        clock.write_bytes(bytes(8))
        _set(clock, seconds)
        member.environment = {**member.environment, "LD_PRELOAD": str(library), "PARLEY_CLOCK": str(clock)}
        stage.journal.note("fault.clock", process=member.name, seconds=seconds)
    await stage.deployment.deploy(stage.dice)
    await stage.rest(15.0)
    for name in stage.dice.sample(list(stage.deployment.members), 3):
        _set(stage.deployment[name].log.with_suffix(".clock"), -BACK)
        stage.journal.note("fault.clock", process=name, seconds=-BACK)
    await stage.rest(20.0)


async def full_disk(stage: Stage) -> None:
    """Leave the database no byte for a while; start it again, as an operator would, if that was its end."""
    disk = stage.ground.disk
    if disk is None or stage.ground.restart is None:
        skip(stage, "full_disk", "the database is not on a disk of its own: --composition disk")
        return
    for _ in stage.times(1):
        stage.journal.note("fault.database", how="disk full", seconds=FULL)
        await asyncio.to_thread(disk.fill)
        await asyncio.sleep(FULL)
        await asyncio.to_thread(disk.free)
        await asyncio.sleep(2.0)
        if not await asyncio.to_thread(_answers, stage.ground.url):
            stage.journal.note("fault.database", how="did not survive the full disk; started again")
            await asyncio.to_thread(stage.ground.restart)
        await stage.rest(10.0)


async def promotion(stage: Stage) -> None:
    """Kill the primary; its standby, which has all that was committed, takes its place."""
    pair = stage.ground.pair
    if pair is None:
        skip(stage, "promotion", "the database has no standby: --composition pair")
        return
    stage.journal.note("fault.database", how="primary killed, standby promoted")
    await asyncio.to_thread(pair.fail_over)
    await stage.rest(10.0)


def skip(stage: Stage, name: str, why: str) -> None:
    stage.journal.note("skipped", nemesis=name, why=why)
    print(f"  {name} DID NOT RUN: {why}", flush=True)


def _library(stage: Stage) -> Path | None:
    """Build what moves a process' clock; None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = stage.deployment["web"].log.with_name("clock.so")
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return library if done.returncode == 0 else None


def _set(clock: Path, seconds: int) -> None:
    with clock.open("r+b") as file:  # in place: processes have it mapped
        file.write(seconds.to_bytes(8, "little", signed=True))


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute("CREATE TEMPORARY TABLE room (n int)")
    except psycopg.Error:
        return False
    return True
