from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config import supervisor as supervisor_module
from config.supervisor import Program, Supervisor

NOTE_WHEN_STOPPED = """
import signal, sys, time
def stopped(*_):
    open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
    sys.exit()
signal.signal(signal.SIGTERM, stopped)
print("up", flush=True)
time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def program(name: str, code: str, *arguments: str) -> Program:
    return Program(name, [sys.executable, "-c", code, *arguments])


async def until(log: io.StringIO, text: str, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while log.getvalue().count(text) < times:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.02)


async def test_groups_stop_in_reverse_order(tmp_path: Path) -> None:
    notes, log = tmp_path / "notes", io.StringIO()
    groups = [[program(name, NOTE_WHEN_STOPPED, str(notes), name)] for name in ("world", "bridge", "web")]
    supervisor = Supervisor(groups, log)

    async def stop_when_up() -> None:
        await until(log, "│ up", 3)
        supervisor.stop()

    await supervisor.run(stop_when_up)
    assert notes.read_text().split() == ["web", "bridge", "world"]


async def test_each_line_names_its_program() -> None:
    log = io.StringIO()
    supervisor = Supervisor([[program("web", "import time; print('one\\ntwo', flush=True); time.sleep(60)")]], log)

    async def stop_when_said() -> None:
        await until(log, "two")
        supervisor.stop()

    await supervisor.run(stop_when_said)
    assert log.getvalue().splitlines() == ["web    │ one", "web    │ two"]


async def test_a_program_that_dies_is_started_again_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "FIRST_BACKOFF", 0.01)
    log = io.StringIO()
    dies = program("worker", "print('up', flush=True); raise SystemExit(3)")
    supervisor = Supervisor([[dies]], log)

    async def stop_after_two_starts() -> None:
        await until(log, "│ up", 2)
        supervisor.stop()

    await supervisor.run(stop_after_two_starts)
    assert "worker ENDED (exit code 3); starting it again in 0.01 s" in log.getvalue()


async def test_a_program_that_was_killed_says_by_what(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    supervisor = Supervisor([[program("bridge", "import os; os.kill(os.getpid(), 9)")]], log)

    async def stop_when_said() -> None:
        await until(log, "ENDED")
        supervisor.stop()

    await supervisor.run(stop_when_said)
    assert "bridge ENDED (killed by SIGKILL)" in log.getvalue()


async def test_a_program_that_ignores_sigterm_is_killed_in_bounded_time() -> None:
    log = io.StringIO()
    supervisor = Supervisor([[program("worker", DEAF)]], log, grace=0.3)

    async def stop_when_up() -> None:
        await until(log, "│ up")
        supervisor.stop()

    began = time.monotonic()
    await supervisor.run(stop_when_up)
    assert "worker did not stop within 0.3 s of SIGTERM; killing it" in log.getvalue()
    assert time.monotonic() - began < 10


async def test_a_failure_beside_the_children_stops_them_all(tmp_path: Path) -> None:
    notes, log = tmp_path / "notes", io.StringIO()
    supervisor = Supervisor([[program("web", NOTE_WHEN_STOPPED, str(notes), "web")]], log)

    async def fail_when_up() -> None:
        await until(log, "│ up")
        raise LookupError("not there")

    with pytest.raises(LookupError):
        await supervisor.run(fail_when_up)
    assert notes.read_text() == "web\n"


SUPERVISE = """
import asyncio, sys
from config.supervisor import Program, Supervisor
sleeper = [sys.executable, "-c", "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"]
asyncio.run(Supervisor([[Program("web", sleeper)], [Program("worker", sleeper)]]).run())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_us_however_we_end(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SUPERVISE], stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stderr
        children = [int(parent.stderr.readline().split()[-1]) for _ in range(2)]
        parent.send_signal(number)
        parent.wait(20)
    deadline = time.monotonic() + 20
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_running, children))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
