"""How every process of ours reaches PostgreSQL: one policy for each connection, each pool, and straight psycopg.

A database that fell silent (its host died, its address moved) is given up after nine seconds, tried again every second
or two for as long as it is away, and used at once when it is back. Nothing here waits longer after a longer outage.
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

#: Seconds for which a pool is silent after it has said why it cannot connect.
SAYS_EVERY = 10.0

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
    """A pool that keeps trying while the database is away, and hands out no connection that is known to be dead."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**POOL, **given})

    def getconn(self, timeout: float | None = None) -> Connection:
        """Give a connection. Raises psycopg.OperationalError after `timeout` seconds."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = super().getconn(deadline - time.monotonic())
            if not _has_news(connection) or self._answers(connection):
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
        """Begin the next round at once: a caller may be waiting, and the next one shall not have to."""
        super().reconnect_failed()
        if not self.closed:
            self.check()


class AsyncPool(AsyncConnectionPool[AsyncConnection]):
    """The same for asyncio."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**POOL, **given})

    async def getconn(self, timeout: float | None = None) -> AsyncConnection:  # noqa: ASYNC109 - the library's
        """Give a connection. Raises psycopg.OperationalError after `timeout` seconds."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(deadline - time.monotonic())
            if not _has_news(connection) or await self._answers(connection):
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
        """Begin the next round at once."""
        await super().reconnect_failed()
        if not self.closed:
            await self.check()


def _has_news(connection: AnyConnection) -> bool:
    """Say whether the server said something to a connection that asked nothing: mostly that it ends. Asks nobody.

    That costs no round trip, and sees all that one would see of a connection that keepalives look after.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Seldom(logging.Filter):
    """Lets a pool's warnings through every ten seconds: it tries every second, and an outage may last a night."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether this one is let through."""
        if record.levelno != logging.WARNING:
            return True
        now = time.monotonic()
        due = now >= self._next
        if due:
            self._next = now + SAYS_EVERY
        return due
