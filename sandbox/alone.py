"""One sandbox to a database: two would open each other's chats, each in its own simulated world.

A folder's private database is held by the folder, which survives a restart of the database.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

#: Any number that nothing else in this database locks by.
SANDBOX = 7_027_540
#: As which pg_stat_activity shows who holds the database.
NAME = "parley-sandbox pid {pid} port {port}"
WHO = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.objid = %s AND l.granted AND a.datname = current_database()
"""


class Taken(Exception):
    """Another sandbox runs there; the text says which, and what to do."""


@contextmanager
def the_only_one(var: Path, port: int) -> Iterator[None]:
    """Hold the folder, for as long as the block or the process lives. Raises Taken."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "sandbox.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Taken(_words(f"in the folder {var}", port, *_numbers(lock.read()))) from None
        lock.truncate(0)
        lock.write(NAME.format(pid=os.getpid(), port=port))
        lock.flush()
        yield


def _numbers(name: str) -> tuple[int | None, int | None]:
    """Return the process and the port of the holder, as far as it has said."""
    match = re.search(r"pid (\d+) port (\d+)", name)
    return (int(match[1]), int(match[2])) if match else (None, None)


def _words(where: str, port: int, pid: int | None, its_port: int | None) -> str:
    who = f"process {pid}, http://127.0.0.1:{its_port}" if pid else "it has just started"
    stop = f"kill {pid}" if pid else "Ctrl-C where it runs"
    other = port + 1 if its_port in (port, None) else port
    return (
        f"A sandbox runs already {where} ({who}). Use that one, or stop it ({stop}), or keep this one apart:"
        f" PARLEY_VAR=/another/folder make demo PORT={other}"
    )


@contextmanager
def the_only_one_on(url: str, port: int) -> Iterator[None]:
    """Hold the database, to which sandboxes of several folders may have been pointed. Raises Taken, OSError."""
    try:
        name = NAME.format(pid=os.getpid(), port=port)
        holding = psycopg.connect(url, autocommit=True, connect_timeout=5, application_name=name)
    except psycopg.OperationalError as problem:
        reason = str(problem).strip().splitlines()[0]
        raise OSError(f"No database: {reason}. Start PostgreSQL, or correct DATABASE_URL.") from None
    with closing(holding):  # not its own `with`: that fails if the database was restarted meanwhile
        row = holding.execute("SELECT pg_try_advisory_lock(%s)", [SANDBOX]).fetchone()
        if not (row and row[0]):
            held = holding.execute(WHO, [SANDBOX]).fetchone() or ("",)
            raise Taken(_words("on this database", port, *_numbers(held[0])))
        yield
