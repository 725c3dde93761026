"""Group commit without a timer: what arrives while a batch is being written waits for the next batch.

One commit costs about the same for one row and for five hundred. Under load batches grow by themselves; without load an
item is written at once.
"""

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

#: Writes these items in one statement or transaction and returns one result for each, in order. May be called again for
#: the same items.
RunBatch = Callable[[psycopg.AsyncConnection[Any], Sequence[T]], Awaitable[Sequence[R]]]
#: Two transactions collided: there is nothing wrong with the one that lost, and it is tried again.
CONFLICTS = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
#: OperationalErrors that concern the data or other transactions, and do not mean that the database is unreachable.
NOT_UNREACHABLE = (*CONFLICTS, psycopg.errors.ProgramLimitExceeded)
#: How often an item is tried that keeps losing against other transactions.
ATTEMPTS = 4


@dataclass(slots=True)
class GroupCommitter(Generic[T, R]):
    """Commits many small writes together. Belongs to one event loop.

    `add()` returns after the commit that contains the item. Up to `connections` batches are written at once, each with
    up to `most` items. If a batch fails because of its data or a deadlock, its items are tried again one by one, so
    that only the bad one fails. If the database cannot be reached, all of them fail with psycopg.OperationalError.

    Not promised: order. Two items that are added one after the other may be committed in either order.
    """

    run_batch: RunBatch[T, R]
    parameters: dict[str, Any]
    connections: int = 2
    most: int = 512
    _waiting: list[tuple[T, asyncio.Future[R]]] = field(default_factory=list)
    _idle: list[psycopg.AsyncConnection[Any]] = field(default_factory=list)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def add(self, item: T) -> R:
        """Write the item durably and return its result."""
        committed: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, committed))
        self._start()
        return await committed

    async def close(self) -> None:
        """Wait for the batches that are being written and close the connections."""
        while self._running:
            await asyncio.wait(self._running)
        while self._idle:
            await self._idle.pop().close()

    def _start(self) -> None:
        if self._waiting and len(self._running) < self.connections:
            batch, self._waiting = self._waiting[: self.most], self._waiting[self.most :]
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    async def _run(self, batch: list[tuple[T, asyncio.Future[R]]], attempt: int = 1) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as failure:  # noqa: BLE001 - whoever waits for the item gets it, whatever it is
            await self._on_failure(batch, failure, attempt)
            return
        for (_, committed), result in zip(batch, results, strict=True):
            if not committed.done():
                committed.set_result(result)

    async def _on_failure(self, batch: list[tuple[T, asyncio.Future[R]]], failure: Exception, attempt: int) -> None:
        """Try each item alone, a lone one only if it lost against another transaction; else pass the failure on."""
        if isinstance(failure, psycopg.OperationalError) and not isinstance(failure, NOT_UNREACHABLE):
            log.warning("database unreachable, %d writes refused: %s", len(batch), type(failure).__name__)
            _fail(batch, failure)
        elif len(batch) > 1 or (isinstance(failure, CONFLICTS) and attempt < ATTEMPTS):
            log.warning("a batch of %d failed (%s): trying each alone", len(batch), type(failure).__name__)
            for waiting in batch:
                await self._run([waiting], attempt + 1)
        else:
            _fail(batch, failure)

    async def _write(self, items: Sequence[T]) -> Sequence[R]:
        """Write over an idle connection; over another one if that broke unnoticed, as when the database restarted."""
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._write_over(connection, items)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not connection.closed:
                    raise
        failpoint("I3", psycopg.OperationalError)
        return await self._write_over(await psycopg.AsyncConnection.connect(**self.parameters, autocommit=True), items)

    async def _write_over(self, connection: psycopg.AsyncConnection[Any], items: Sequence[T]) -> Sequence[R]:
        """Write, and keep the connection if it is healthy; one that is broken or inside a transaction is closed."""
        try:
            results = await self.run_batch(connection, items)
            if len(results) != len(items):
                raise AssertionError(f"run_batch returned {len(results)} results for {len(items)} items")
            return results
        finally:
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                self._idle.append(connection)
            else:
                await connection.close()


def _fail(batch: list[tuple[T, asyncio.Future[R]]], failure: Exception) -> None:
    for _, committed in batch:
        if not committed.done():
            committed.set_exception(failure)
