"""Group commit without a timer: what arrives while a flight is under way rides in the next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import psycopg

from channels_app.infrastructure.failpoints import failpoint

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

#: Write these items in one statement or transaction and return one result for each, in order. It may be repeated.
Flight = Callable[[psycopg.AsyncConnection[Any], Sequence[T]], Awaitable[Sequence[R]]]
#: Two transactions met: the one that lost has nothing wrong with it.
CLASHES = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
#: Classes of OperationalError that speak of the data or of other transactions, not of the database being away.
NOT_AWAY = (*CLASHES, psycopg.errors.ProgramLimitExceeded)
#: How often an item is written that keeps losing.
ATTEMPTS = 4


@dataclass(slots=True)
class GroupCommitter(Generic[T, R]):
    """Commits many small writes together. Belongs to one event loop.

    `add()` returns after the commit that holds the item. Up to `connections` flights are under way at once, each with
    up to `most` items. If a flight fails because of its data or a deadlock, its items are tried again one by one, so
    that only the bad one fails. If the database cannot be reached, all of them fail with psycopg.OperationalError.
    """

    flight: Flight[T, R]
    parameters: dict[str, Any]
    connections: int = 2
    most: int = 512
    _waiting: list[tuple[T, asyncio.Future[R]]] = field(default_factory=list)
    _idle: list[psycopg.AsyncConnection[Any]] = field(default_factory=list)
    _flying: set[asyncio.Task[None]] = field(default_factory=set)

    async def add(self, item: T) -> R:
        """Write the item durably and return its result."""
        landed: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, landed))
        self._take_off()
        return await landed

    async def close(self) -> None:
        """Wait for the flights under way and close the connections."""
        while self._flying:
            await asyncio.wait(self._flying)
        while self._idle:
            await self._idle.pop().close()

    def _take_off(self) -> None:
        if self._waiting and len(self._flying) < self.connections:
            batch, self._waiting = self._waiting[: self.most], self._waiting[self.most :]
            task = asyncio.create_task(self._fly(batch))
            self._flying.add(task)
            task.add_done_callback(self._land)

    def _land(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._take_off()

    async def _fly(self, batch: list[tuple[T, asyncio.Future[R]]], attempt: int = 1) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as failure:  # noqa: BLE001 - whatever it is, it belongs to whoever waits for the item
            await self._crash(batch, failure, attempt)
            return
        for (_, landed), result in zip(batch, results, strict=True):
            if not landed.done():
                landed.set_result(result)

    async def _crash(self, batch: list[tuple[T, asyncio.Future[R]]], failure: Exception, attempt: int) -> None:
        """Try each item alone, a lone one only if it lost against another transaction; else pass the failure on."""
        if isinstance(failure, psycopg.OperationalError) and not isinstance(failure, NOT_AWAY):
            log.warning("database unreachable, %d writes refused: %s", len(batch), type(failure).__name__)
            _fail(batch, failure)
        elif len(batch) > 1 or (isinstance(failure, CLASHES) and attempt < ATTEMPTS):
            log.warning("a batch of %d failed (%s): trying each alone", len(batch), type(failure).__name__)
            for one in batch:
                await self._fly([one], attempt + 1)
        else:
            _fail(batch, failure)

    async def _write(self, items: Sequence[T]) -> Sequence[R]:
        """Write over an idle connection; over another if that one broke unnoticed, as when the database restarted."""
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._over(connection, items)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not connection.closed:
                    raise
        failpoint("I3", psycopg.OperationalError)
        return await self._over(await psycopg.AsyncConnection.connect(**self.parameters, autocommit=True), items)

    async def _over(self, connection: psycopg.AsyncConnection[Any], items: Sequence[T]) -> Sequence[R]:
        """Write, and keep the connection if it is healthy; one that is broken or inside a transaction is closed."""
        try:
            results = await self.flight(connection, items)
            if len(results) != len(items):
                raise AssertionError(f"the flight returned {len(results)} results for {len(items)} items")
            return results
        finally:
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                await connection.close()


def _fail(batch: list[tuple[T, asyncio.Future[R]]], failure: Exception) -> None:
    for _, landed in batch:
        if not landed.done():
            landed.set_exception(failure)
