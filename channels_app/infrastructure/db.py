"""How every process of ours reaches PostgreSQL: one policy for Django's connections, for pools and for plain psycopg.

A database that does not answer (its host died, its address moved) is given up after nine seconds and tried again every
second or two until it is back. A longer outage does not make anything here wait longer afterwards.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from django.db import connections
from psycopg_pool import AsyncConnectionPool, ConnectionPool

#: libpq's own words: seconds, and for `tcp_user_timeout` milliseconds. A unix socket ignores them.
POLICY: Mapping[str, Any] = {
    "connect_timeout": 4,
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 9_000,
}
#: Of a pool, in seconds: how long a caller waits, how long one round of connecting lasts before the next one begins
#: (psycopg's own doubles its pauses for five minutes), and after what time a connection is replaced anyway.
POOL: Mapping[str, Any] = {"min_size": 1, "timeout": 5.0, "reconnect_timeout": 1.0, "max_lifetime": 1800.0}

#: Seconds between two log lines of a pool that cannot connect.
WARNING_SECONDS = 10.0

Connection = psycopg.Connection[Any]
AsyncConnection = psycopg.AsyncConnection[Any]
AnyConnection = TypeVar("AnyConnection", Connection, AsyncConnection)


def connect_parameters() -> dict[str, Any]:
    """Return what psycopg.connect() needs to reach Django's default database, the test database under tests.

    Sessions are in UTC, as Django's own are, whatever zone the server was set up in.
    """
    parameters = {**POLICY, **connections["default"].get_connection_params()}
    for django_only in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(django_only, None)
    return with_options(parameters, "-c timezone=UTC")


def with_options(parameters: Mapping[str, Any], options: str) -> dict[str, Any]:
    """Return the parameters with more server settings, in libpq's words: `-c statement_timeout=10s`."""
    return {**parameters, "options": f"{parameters.get('options', '')} {options}".strip()}


class Pool(ConnectionPool[Connection]):
    """A pool that keeps trying while the database is unreachable, and never returns a connection known to be dead."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**POOL, **options})

    def getconn(self, timeout: float | None = None) -> Connection:
        """Return a connection. Raises psycopg.OperationalError after `timeout` seconds."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = super().getconn(deadline - time.monotonic())
            if not _is_readable(connection) or self._answers(connection):
                return connection
            self.putconn(connection)

    @staticmethod
    def _answers(connection: Connection) -> bool:
        try:
            ConnectionPool.check_connection(connection)
        except psycopg.Error:
            connection.close()
            return False
        return True

    def reconnect_failed(self) -> None:
        """Start the next round of connecting at once: a caller may be waiting."""
        super().reconnect_failed()
        if not self.closed:
            self.check()


class AsyncPool(AsyncConnectionPool[AsyncConnection]):
    """The same for asyncio."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**POOL, **options})

    async def getconn(self, timeout: float | None = None) -> AsyncConnection:  # noqa: ASYNC109 - the library's
        """Return a connection. Raises psycopg.OperationalError after `timeout` seconds."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(deadline - time.monotonic())
            if not _is_readable(connection) or await self._answers(connection):
                return connection
            await self.putconn(connection)

    @staticmethod
    async def _answers(connection: AsyncConnection) -> bool:
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.Error:
            await connection.close()
            return False
        return True

    async def reconnect_failed(self) -> None:
        """Start the next round of connecting at once."""
        await super().reconnect_failed()
        if not self.closed:
            await self.check()


def _is_readable(connection: AnyConnection) -> bool:
    """Return whether an idle connection has data to read, which mostly means that the server closed it.

    This costs no round trip. With keepalives on, a round trip would find out no more.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Seldom(logging.Filter):
    """Lets one warning of a pool through every ten seconds: it tries every second, and an outage may last a night."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this record is let through."""
        if record.levelno != logging.WARNING:
            return True
        now = time.monotonic()
        due = now >= self._next
        if due:
            self._next = now + WARNING_SECONDS
        return due
