"""A private PostgreSQL from a wheel, for a laptop or a trial: no server to install, none left behind.

Only its programs come from the wheel. Started as root, the programs and the data live in a system folder of their own
and the server runs as a user of its own (postgres_as_root.py). Nothing listens on the network: the socket lies in a
folder that only the server's user (and root) can enter, so no password is needed.

Every process that needs the server watches it: one that was killed is started again within a second or two.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from config import postgres_as_root, postmaster
from config.postgres_as_root import SYSTEM_DIR, SYSTEM_USER, system_copy, wheel
from config.postgres_files import make_data_folder, make_private_folder, plain_folder
from config.postgres_place import DATABASE, INSTEAD, PROGRAMS, Place, Unable

__all__ = [
    "DATABASE",
    "SYSTEM_USER",
    "Place",
    "broker_url",
    "ensure_database",
    "place",
    "running",
    "running_for",
    "url",
    "var_dir",
]

#: Linux refuses longer socket paths (unix(7): 108 bytes with the final NUL); PostgreSQL adds "/.s.PGSQL.5432".
LONGEST_SOCKET_DIR = 90
#: Seconds between two checks whether the server runs, and the longest pause after it failed to start again.
WATCH_EVERY, LONGEST_PAUSE = 0.5, 5.0
#: Commands that never touch the database.
WITHOUT_DATABASE = frozenset({"help", "version", "--version", "--help", "-h", "simulator", "collectstatic", "startapp"})


def var_dir() -> Path:
    """Return the folder for what this machine makes itself: PARLEY_VAR, or `var` beside the code."""
    return Path(os.environ.get("PARLEY_VAR") or Path(__file__).resolve().parent.parent / "var").absolute()


def _mark(var: Path) -> str:
    return hashlib.sha256(os.fsencode(var)).hexdigest()[:12]


def place(var: Path) -> Place:
    """Return where the server for this `var` folder lives, by whatever name the folder is called. Makes nothing."""
    real = Path(os.path.realpath(var))
    if os.geteuid() == 0:
        home = SYSTEM_DIR / _mark(real)
        if not home.exists() and (earlier := SYSTEM_DIR / _mark(var)).exists():
            home = earlier  # of a version that went by the name
        return Place(system_copy() / PROGRAMS, home / "data", home / "socket", home / "lock", SYSTEM_USER)
    home = real / "postgres"
    socket = home / "socket"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_DIR or not re.fullmatch(r"[A-Za-z0-9/._-]+", str(socket)):
        socket = Path(plain_folder()) / f"parley-{os.geteuid()}-{_mark(real)}"
    return Place(wheel() / PROGRAMS, home / "data", socket, home / "lock", None)


def url(var: Path, database: str = DATABASE) -> str:
    """Return the DATABASE_URL of a database of the embedded server, whether it runs or not."""
    return place(var).url(database)


def broker_url(database_url: str) -> str:
    """Return the Celery broker that rides on the same PostgreSQL (Kombu's pgmq transport)."""
    return "pgmq" + database_url[database_url.index("://") :]


@contextmanager
def running_for(arguments: Sequence[str]) -> Iterator[None]:
    """Keep the embedded server up while a command runs, unless the command or the settings have no use for it."""
    elsewhere = os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE")
    if elsewhere or not arguments or arguments[0] in WITHOUT_DATABASE:
        yield
        return
    with running(var_dir()):
        yield


@contextmanager
def running(var: Path) -> Iterator[Place]:
    """Start the server unless it runs, keep it running, and stop it when the last process that needed it leaves.

    There are two locks. Every process that needs the server holds `lock` shared. The other is held exclusively, only
    while a process begins or ends to need it, so that none begins while the last one stops the server. Locks die with
    their process, so a killed one leaves at worst a running server, which the next one takes over. Exits, saying why,
    if the server cannot run.
    """
    server = place(var)
    lock = _enter(server)
    done = threading.Event()
    watch = threading.Thread(target=_keep_running, args=(server, done), name="postgresql", daemon=True)
    watch.start()
    try:
        yield server
    finally:
        done.set()
        watch.join()
        with _alone(server):
            _stop_if_last(server, lock)
        os.close(lock)


def _enter(server: Place) -> int:
    """Start the server unless it runs; return the lock that we hold while we need it."""
    try:
        if server.user is not None:
            postgres_as_root.prepare(server)
        server.lock.parent.mkdir(parents=True, exist_ok=True)
        with _alone(server):
            make_private_folder(server, server.socket)
            if not postmaster.is_running(server):
                make_data_folder(server)
                make_private_folder(server, server.data)
                postmaster.start(server)
            ensure_database(server)
            lock = os.open(server.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_SH)
            return lock
    except Unable as problem:
        raise SystemExit(str(problem)) from None
    except (OSError, psycopg.Error, subprocess.SubprocessError) as problem:
        raise SystemExit(
            f"Parley cannot have its private PostgreSQL in {server.data}: {problem}. Parley must be able to write"
            f" there: mend that, or name another folder by PARLEY_VAR. {INSTEAD}"
        ) from None


def _keep_running(server: Place, done: threading.Event) -> None:
    """Start the server again whenever it has ended, until `done`."""
    pause = WATCH_EVERY
    while not done.wait(pause):
        if postmaster.is_running(server):
            pause = WATCH_EVERY
            continue
        try:
            with _alone(server):
                if done.is_set() or postmaster.is_running(server):
                    continue
                _say("the private PostgreSQL ENDED; starting it again")
                postmaster.start(server)
                _say("the private PostgreSQL is back")
        except (Unable, OSError) as problem:
            pause = min(2 * pause, LONGEST_PAUSE)
            _say(f"{problem}\nparley: trying again in {pause:g} s")


def _say(text: str) -> None:
    print(f"parley: {text}", file=sys.stderr, flush=True)  # noqa: T201 - whatever logging is set to


@contextmanager
def _alone(server: Place) -> Iterator[None]:
    with server.lock.with_name("coming-and-going").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stop_if_last(server: Place, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    postmaster.stop(server)


def ensure_database(server: Place, database: str = DATABASE) -> None:
    """Make the database on the running server unless it is there."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))
