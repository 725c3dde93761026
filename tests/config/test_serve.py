from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from django.conf import settings

from config import embedded

PROGRAMS = {"web": "config.web", "bridge": "bridge", "worker": "worker", "beat": "beat"}
#: Seconds that a start or a stop may take on a busy machine.
PATIENCE = 60


class Served:
    """A running `manage.py serve`, its log and its children."""

    def __init__(self, process: subprocess.Popen[str], log: Path, port: int) -> None:
        self.process, self.log, self.port = process, log, port

    def children(self) -> dict[str, int]:
        pids = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            pids |= {name: int(pid) for name, word in PROGRAMS.items() if word in words}
        return pids

    def until_said(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{text!r} was never said:\n{self.log.read_text()}"
            time.sleep(0.05)

    def until_well(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while (health := self.get("/-/health/").json())["status"] != "ok":
            assert time.monotonic() < deadline, health
            time.sleep(0.1)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)


@contextmanager
def serving(port: int, log: Path, environment: dict[str, str]) -> Iterator[Served]:
    command = [sys.executable, "manage.py", "serve", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            served = Served(process, log, port)
            served.until_said(f"Parley is at http://127.0.0.1:{port}")
            yield served
        finally:
            process.kill()
            process.wait(PATIENCE)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def all_gone(pids: list[int], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(is_running, pids))


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.whole
def test_serve_migrates_runs_everything_restarts_what_dies_and_leaves_nothing(
    empty_database: str, free_port: int, tmp_path: Path
) -> None:
    environment = {"DATABASE_URL": empty_database, "PARLEY_VAR": str(tmp_path)}
    with serving(free_port, tmp_path / "log", environment) as served:
        children = served.children()
        assert set(children) == set(PROGRAMS)
        served.until_well()
        os.kill(children["worker"], signal.SIGKILL)
        served.until_said("worker ENDED (killed by SIGKILL)")
        served.until_said("bridge │")
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(PATIENCE) == 0
        assert all_gone(list(children.values()), seconds=0)
        assert "killing it" not in served.log.read_text()


@pytest.mark.whole
def test_nothing_survives_when_serve_itself_is_killed(empty_database: str, free_port: int, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": empty_database, "PARLEY_VAR": str(tmp_path)}
    with serving(free_port, tmp_path / "log", environment) as served:
        children = served.children()
        served.process.kill()
        served.process.wait(PATIENCE)
    assert all_gone(list(children.values()))


@pytest.mark.whole
def test_with_no_database_given_a_private_one_comes_and_goes(free_port: int, tmp_path: Path) -> None:
    var = tmp_path / "var"
    private = embedded.place(var)
    try:
        with serving(free_port, tmp_path / "log", {"DATABASE_URL": "", "PARLEY_VAR": str(var)}) as served:
            served.until_well()
            killed = int((private.data / "postmaster.pid").read_text().split()[0])
            os.kill(killed, signal.SIGKILL)
            served.until_said("the private PostgreSQL is back")
            served.until_well()
            postmaster = int((private.data / "postmaster.pid").read_text().split()[0])
            assert postmaster != killed
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(PATIENCE) == 0
        assert all_gone([postmaster])
        assert oct(private.data.stat().st_mode)[-3:] == "700"
    finally:
        shutil.rmtree(private.lock.parent, ignore_errors=True)


def test_a_taken_port_is_refused_with_a_way_out(tmp_path: Path, postgres: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "manage.py", "serve", "--port", str(port)]
        environment = {**os.environ, "DATABASE_URL": postgres, "PARLEY_VAR": str(tmp_path)}
        done = subprocess.run(
            command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert re.search(rf"Cannot listen on 127.0.0.1 port {port}: .*--port {port + 1}", done.stderr)


def test_a_database_that_is_not_there_is_said_in_one_line(free_port: int, tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "serve", "--port", str(free_port)]
    environment = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:9/none", "PARLEY_VAR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "DATABASE_URL" in done.stderr
