"""A bench's laboratory: private databases, processes that are ended by their own pid, and what they cost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

from config import embedded

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var"
MIB = 1024 * 1024


@contextmanager
def database(name: str, *, keep: bool = False) -> Iterator[str]:
    """Give the address of a fresh database on DATABASE_URL's server or the embedded one; drop it afterwards.

    With `keep` it is the one that an earlier run left, and stays.
    """
    address = os.environ.get("DATABASE_URL")
    if address:
        with _opened(address, name, keep=keep) as url:
            yield url
        return
    VAR.mkdir(exist_ok=True)
    with embedded.running(VAR) as place, _opened(place.url(), name, keep=keep) as url:
        yield url


@contextmanager
def _opened(server: str, name: str, *, keep: bool) -> Iterator[str]:
    admin = urlunsplit(urlsplit(server)._replace(path="/postgres"))
    with psycopg.connect(admin, autocommit=True) as connection:
        if not keep:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            if not keep:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(*arguments: str, env: dict[str, str]) -> str:
    """Run one of the product's commands and return what it printed."""
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def add_account(kind: str, env: dict[str, str], **credentials: str) -> dict[str, str]:
    """Add an account through the product's own command."""
    pairs = [item for key, value in credentials.items() for item in ("--set", f"{key}={value}")]
    account: dict[str, str] = json.loads(manage("addaccount", kind, f"bench {kind}", *pairs, "--json", env=env))
    return account


@contextmanager
def process(command: Sequence[str], env: dict[str, str], log: str) -> Iterator[psutil.Process]:
    """Run a program for as long as the block; then SIGTERM, and SIGKILL if it does not go within ten seconds."""
    VAR.mkdir(exist_ok=True)
    with (VAR / f"bench-{log}.log").open("wb") as output:
        child = subprocess.Popen(command, env={**os.environ, **env}, stdout=output, stderr=output, cwd=ROOT)
        try:
            yield psutil.Process(child.pid)
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until_answers(url: str, seconds: float = 60.0) -> None:
    """Wait until something answers HTTP there, whatever it says."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing answers at {url}; look at var/bench-*.log")


def call(method: str, url: str, body: Any = None) -> Any:
    """Make one JSON call."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        raw = answer.read()
    return json.loads(raw) if raw else None


@dataclass(slots=True)
class Cost:
    """What a process tree used: CPU seconds, and resident memory in MiB at the end."""

    cpu: float
    rss: float


def spent(*roots: psutil.Process) -> float:
    """Return the CPU seconds, user and system, that these trees have used so far."""
    total = 0.0
    for root in roots:
        for member in [root, *root.children(recursive=True)]:
            try:
                times = member.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
    return total


def resident(root: psutil.Process) -> float:
    """Return the resident memory of a tree in MiB."""
    return sum(member.memory_info().rss for member in [root, *root.children(recursive=True)]) / MIB


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)
