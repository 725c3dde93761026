"""The workers' connections to PostgreSQL: a few, pooled, which a thread holds only while a statement runs."""

from __future__ import annotations

import atexit
import os
from contextlib import AbstractContextManager
from threading import Lock

from channels_app.infrastructure.db import Connection, Pool, connect_parameters, with_options

__all__ = ["Connection", "check", "close", "connection"]

#: Connections of one worker process. A send holds none while it waits for the provider.
MOST_CONNECTIONS = 8
#: Seconds to wait for a connection before psycopg.OperationalError.
WAIT = 5.0
#: Statements here take milliseconds: one that hangs (a lock, a disk) must not hold a worker's thread for ever.
STATEMENT_TIMEOUT = "-c statement_timeout=60s"

#: As which pg_stat_activity shows them.
NAME = "parley-outbox"

_lock = Lock()
_pools: dict[int, Pool] = {}


def connection() -> AbstractContextManager[Connection]:
    """Give an autocommitting connection; statements are prepared and stay so."""
    return _pool().connection(timeout=WAIT)


def check() -> None:
    """Replace the idle connections that are broken, e.g. after the database restarted."""
    _pool().check()


def close() -> None:
    """Close this process's connections; the next use opens new ones."""
    with _lock:
        pool = _pools.pop(os.getpid(), None)
    if pool is not None:
        pool.close()


def _pool() -> Pool:
    """Return the pool of this process: one that was inherited by a fork belongs to the parent."""
    with _lock:
        pool = _pools.get(os.getpid())
        if pool is None:
            arguments = {"autocommit": True, "application_name": NAME}
            arguments |= with_options(connect_parameters(), STATEMENT_TIMEOUT)
            pool = Pool(kwargs=arguments, max_size=MOST_CONNECTIONS, open=True, name="worker")
            _pools[os.getpid()] = pool
        return pool


atexit.register(close)
