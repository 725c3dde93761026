"""Runs the private PostgreSQL in a process of its own, as root or as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from config import embedded, postgres_as_root, postgres_place, postmaster

#: Seconds that anything may take on a busy machine.
PATIENCE = 120.0
SOMEBODY = "parley-tester"
#: The interpreter may lie where an ordinary user cannot enter: so it becomes that user when all is loaded.
USE = """
import os, pwd, sys
sys.path.insert(0, sys.argv[1])
from config import embedded
import encodings.idna, glob, psycopg
if sys.argv[3]:
    entry = pwd.getpwnam(sys.argv[3]) if not sys.argv[3].isdigit() else None
    os.setgroups([])
    os.setgid(entry.pw_gid if entry else int(sys.argv[3]))
    os.setuid(entry.pw_uid if entry else int(sys.argv[3]))
os.umask(0o077)
os.environ["PARLEY_VAR"] = sys.argv[2]
with embedded.running(embedded.var_dir()) as here:
    print(here.url(), flush=True)
    sys.stdin.readline()
"""


class User:
    """A process that needs the server. `url` is empty if it could not have it; then `said` says why."""

    def __init__(self, var: str | Path, *, user: str | None = None, cwd: Path | None = None, **env: str) -> None:
        command = [sys.executable, "-c", USE, str(settings.BASE_DIR), str(var), user or ""]
        self.process = subprocess.Popen(
            command,
            cwd=cwd or "/",
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        self.said = "" if self.url else self.process.communicate(timeout=PATIENCE)[1]

    def leave(self) -> str:
        _, said = self.process.communicate("\n", timeout=PATIENCE)
        assert self.process.returncode == 0, said
        return said

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def remove(var: Path) -> None:
    """Stop what may still run for the folder, and remove its files."""
    here = embedded.place(var)
    _end(here)
    shutil.rmtree(here.lock.parent, ignore_errors=True)
    shutil.rmtree(here.socket, ignore_errors=True)


def _end(here: embedded.Place) -> None:
    if (pid := postmaster._pid(here)) is not None and postmaster.is_running(here):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)
        until(lambda: not postmaster._is_alive(pid), "the end of the server")


@contextmanager
def ordinary_user() -> Iterator[str | None]:
    """Give the name of an ordinary user who can read the code and the interpreter; None: that is who we are."""
    if os.geteuid() != 0:
        yield None
        return
    if shutil.which("useradd") is None:
        pytest.skip("NOT TESTED: no useradd here to make an ordinary user with. apt-get install passwd")
    try:
        pwd.getpwnam(SOMEBODY)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SOMEBODY]
        subprocess.run(command, check=True)
    entry, programs = pwd.getpwnam(SOMEBODY), postgres_as_root.wheel() / postgres_place.PROGRAMS
    try:
        subprocess.run([programs / "postgres", "-V"], user=entry.pw_uid, cwd="/", capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"NOT TESTED: {SOMEBODY} may not enter {programs}. Clone where everybody may")
    yield SOMEBODY
