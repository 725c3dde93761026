"""One sandbox to a folder, and one to a database: two would open each other's chats in their own simulated world."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

#: Any number that nothing else in this database locks by.
SANDBOX = 7_027_540
#: As which pg_stat_activity shows who holds the database.
NAME = "parley-sandbox pid {pid} port {port}"


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
            raise Taken(_words(f"in the folder {var}", lock.read(), port)) from None
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), "port": port}))
        lock.flush()
        yield


def _words(where: str, holder: str, port: int) -> str:
    try:
        known = json.loads(holder)
        who = f"process {known['pid']}, http://127.0.0.1:{known['port']}"
        stop = f"kill {known['pid']}"
        other = port if port != known["port"] else port + 1
    except (ValueError, KeyError, TypeError):
        who, stop, other = "which has just started", "Ctrl-C where it runs", port + 1
    return (
        f"A sandbox runs already {where} ({who}). Use that one, or stop it ({stop}), or keep this one apart:"
        f" PARLEY_VAR=/another/folder make demo PORT={other}"
    )


@contextmanager
def the_only_one_on(url: str, var: Path, port: int) -> Iterator[None]:
    """Hold the database, which another folder's sandbox may have been pointed at, too. Raises Taken, OSError."""
    try:
        name = NAME.format(pid=os.getpid(), port=port)
        holding = psycopg.connect(url, autocommit=True, connect_timeout=5, application_name=name)
    except psycopg.OperationalError as problem:
        reason = str(problem).strip().splitlines()[0]
        raise OSError(f"No database: {reason}. Start PostgreSQL, or correct DATABASE_URL.") from None
    with closing(holding):  # not its own `with`: that fails if the database was restarted meanwhile
        row = holding.execute("SELECT pg_try_advisory_lock(%s)", [SANDBOX]).fetchone()
        if not (row and row[0]):
            raise Taken(_words(f"on the database that {var} is to use", "", port))
        yield
