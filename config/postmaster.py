"""Starts, watches and stops one PostgreSQL server of our own. Its files are made in postgres_files.py.

No shell sees a path of ours: `pg_ctl` passes its options through one, so the server is started directly.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from config.postgres_place import INSTEAD, Place, Unable

#: Seconds for a server to begin and to end: after a crash it first goes through its log.
STARTS_WITHIN, STOPS_WITHIN = 300.0, 60.0
#: Seconds between two attempts to reach a server that starts or stops.
POLL_SECONDS = 0.05
#: Seconds in which children of a server that was killed must have gone: before, no other one may start.
ORPHANS_END_WITHIN = 30.0
#: Bytes after which the server's log begins anew.
LONGEST_LOG = 10 * 1024 * 1024
#: Bytes of shared memory below which PostgreSQL is better off without.
SHARED_MEMORY = 16 * 1024 * 1024
#: A number that no process has: kill(2) knows none above the kernel's limit of 4,194,304.
NOBODY = 2_000_000_000

#: Servers that we started. They outlive us; while we live, they must be polled, or stay as zombies.
_started: list[subprocess.Popen[bytes]] = []


def start(place: Place) -> None:
    """Start the server and return when it answers. Raises Unable with its own words. Only for one at a time."""
    deadline = time.monotonic() + ORPHANS_END_WITHIN
    while True:
        _clear_away(place)
        log_end = _begin_log(place)
        server = _launch(place)
        if _answers_before_it_ends(place, server):
            return
        output = _tail(place.log, log_end)
        if "shared memory block" not in output or time.monotonic() > deadline:
            raise Unable(_why(place, output, server.returncode))
        time.sleep(0.5)  # children of a killed server are still about to notice


def stop(place: Place) -> None:
    """Stop the server, if it runs: its clients are cut off, what was committed is safe."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        pid = _pid(place)
        if pid is None or not is_running(place):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOPS_WITHIN
        while _serves(pid, place.data) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def is_running(place: Place) -> bool:
    """Return whether this server runs. Its process id alone proves nothing: other processes get it later."""
    pid = _pid(place)
    return pid is not None and _serves(pid, place.data)


def run_program(place: Place, program: str, *arguments: str, check: bool = True) -> None:
    """Run one of PostgreSQL's programs as the server's user. No pipes: a server that it starts would keep them."""
    nothing = subprocess.DEVNULL
    command = [str(place.programs / program), *arguments]
    subprocess.run(command, check=check, stdin=nothing, stdout=nothing, stderr=nothing, **place.as_user())  # noqa: S603


def _launch(place: Place) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": '"' + str(place.socket).replace('"', '""') + '"',
        "max_connections": "200",
    }
    if not _has_shared_memory():
        settings["dynamic_shared_memory_type"] = "mmap"
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with place.log.open("ab") as log:
        command = [str(place.programs / "postgres"), "-D", str(place.data), *options]
        server = subprocess.Popen(  # noqa: S603 - our own program, without a shell
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **place.as_user()
        )
    _started.append(server)
    return server


def _has_shared_memory() -> bool:
    try:
        return sys.platform != "linux" or shutil.disk_usage("/dev/shm").total >= SHARED_MEMORY  # noqa: S108 - looked at
    except OSError:
        return False


def _answers_before_it_ends(place: Place, server: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + STARTS_WITHIN
    while server.poll() is None:
        try:
            psycopg.connect(place.url("postgres"), connect_timeout=10).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise Unable(f"The private PostgreSQL in {place.data} does not answer. Its log: {place.log}") from None
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False


def _clear_away(place: Place) -> None:
    """Remove what a killed server left behind. Must not be called while it runs."""
    for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (place.socket / name).unlink(missing_ok=True)
    file = place.data / "postmaster.pid"
    if not file.exists():
        return
    pid, lines = _pid(place), file.read_bytes().splitlines(keepends=True)
    if pid is None:
        file.unlink()
    elif _is_alive(pid) and not _serves(pid, place.data):
        # Somebody else's number by now. Only the number goes: by the rest PostgreSQL finds children that still run.
        file.write_bytes(b"".join([b"%d\n" % NOBODY, *lines[1:]]))


def _pid(place: Place) -> int | None:
    try:
        return int((place.data / "postmaster.pid").read_bytes().splitlines()[0])
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
    """Return whether the process is a PostgreSQL server of this data folder, by its command line."""
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
    ps = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603, S607
    program, _, rest = ps.stdout.strip().partition(b" -D ")
    return [program, b"-D", rest.partition(b" -c ")[0], b""] if rest else []


def _begin_log(place: Place) -> int:
    """Return where in the log the next lines will begin."""
    if place.log.exists() and place.log.stat().st_size > LONGEST_LOG:
        place.log.replace(place.log.with_suffix(".log.1"))
    place.log.touch(mode=0o600)
    if place.user is not None:
        shutil.chown(place.log, place.user)
    return place.log.stat().st_size


def _tail(log: Path, since: int) -> str:
    with log.open("rb") as file:
        file.seek(since)
        return file.read()[-3000:].decode(errors="replace").strip()


def _why(place: Place, output: str, returncode: int | None) -> str:
    free = shutil.disk_usage(place.data).free
    hint = INSTEAD
    if free < 1024**2:
        hint = f"The disk is full: make room in {place.data}. {INSTEAD}"
    elif "not compatible" in output or "incompatible" in output:
        hint = f"If nothing in it is needed, move {place.data} away and start again. {INSTEAD}"
    report = f"It said:\n{output}" if output else f"It said nothing (exit code {returncode})."
    return f"The private PostgreSQL in {place.data} did not start. {report}\n{hint}"
