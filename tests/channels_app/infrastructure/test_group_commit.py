"""Group commit: what is written together, what fails alone, and a database that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from django.db import connection as django_connection

from channels_app.infrastructure.db import connect_parameters
from channels_app.infrastructure.group_commit import ATTEMPTS, GroupCommitter

pytestmark = pytest.mark.django_db(transaction=True)

Connection = psycopg.AsyncConnection[Any]


@pytest.fixture
def table() -> Iterator[str]:
    with django_connection.cursor() as cursor:
        cursor.execute("CREATE TABLE things (id int PRIMARY KEY, times int NOT NULL DEFAULT 0)")
        cursor.execute("INSERT INTO things SELECT generate_series(1, 2)")
    yield "things"
    with django_connection.cursor() as cursor:
        cursor.execute("DROP TABLE things")


async def insert(connection: Connection, items: Sequence[int]) -> Sequence[int]:
    await connection.execute("INSERT INTO things (id) SELECT unnest(%s::int[])", [list(items)])
    return items


async def added(committer: GroupCommitter[int, int], *items: int) -> list[Any]:
    try:
        return await asyncio.gather(*map(committer.add, items), return_exceptions=True)
    finally:
        await committer.close()


def stored() -> list[int]:
    with django_connection.cursor() as cursor:
        cursor.execute("SELECT id FROM things ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def test_what_arrives_while_a_batch_is_written_waits_for_the_next(table: str) -> None:
    batches: list[int] = []

    async def counted(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        batches.append(len(items))
        return await insert(connection, items)

    asyncio.run(added(GroupCommitter(counted, connect_parameters(), connections=1), *range(10, 110)))
    assert batches == [1, 99]
    assert len(stored()) == 102


def test_a_bad_item_fails_alone(table: str) -> None:
    results = asyncio.run(added(GroupCommitter(insert, connect_parameters(), connections=1), 10, 11, 1, 12))
    assert [type(result) for result in results] == [int, int, psycopg.errors.UniqueViolation, int]
    assert stored() == [1, 2, 10, 11, 12]


def test_two_batches_that_deadlock_are_both_committed(table: str) -> None:
    meeting: list[asyncio.Event] = []

    async def both(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        order = (1, 2) if items[0] == 1 else (2, 1)
        async with connection.transaction():
            await connection.execute("UPDATE things SET times = times + 1 WHERE id = %s", [order[0]])
            meeting.append(asyncio.Event())
            if len(meeting) < 2:
                await meeting[0].wait()
            else:
                meeting[0].set()
            await connection.execute("UPDATE things SET times = times + 1 WHERE id = %s", [order[1]])
        return items

    assert asyncio.run(added(GroupCommitter(both, connect_parameters(), most=1), 1, 2)) == [1, 2]
    with django_connection.cursor() as cursor:
        cursor.execute("SELECT array_agg(times) FROM things")
        assert cursor.fetchone()[0] == [2, 2]


async def test_an_item_that_keeps_losing_fails_after_the_last_attempt() -> None:
    attempts: list[Sequence[int]] = []

    async def lose(_connection: Connection, items: Sequence[int]) -> Sequence[int]:
        attempts.append(items)
        raise psycopg.errors.DeadlockDetected

    [result] = await added(GroupCommitter(lose, connect_parameters()), 1)
    assert isinstance(result, psycopg.errors.DeadlockDetected)
    assert len(attempts) == ATTEMPTS


def test_a_connection_that_broke_while_idle_costs_nobody_anything(table: str) -> None:
    async def interrupted() -> list[Any]:
        committer = GroupCommitter(insert, connect_parameters() | {"application_name": "idle"}, connections=1)
        first = await committer.add(10)
        async with await Connection.connect(**connect_parameters(), autocommit=True) as killer:
            await killer.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='idle'")
        return [first, *await added(committer, 11, 12)]

    assert asyncio.run(interrupted()) == [10, 11, 12]
    assert stored() == [1, 2, 10, 11, 12]


async def test_while_the_database_is_away_everybody_is_told_at_once() -> None:
    nowhere = connect_parameters() | {"host": "127.0.0.1", "port": 1}
    results = await added(GroupCommitter(insert, nowhere), 1, 2, 3)
    assert {type(result) for result in results} == {psycopg.OperationalError}


async def test_a_batch_function_that_forgets_an_item_leaves_nobody_waiting() -> None:
    async def forgetful(_connection: Connection, _items: Sequence[int]) -> Sequence[int]:
        return []

    [result] = await asyncio.wait_for(added(GroupCommitter(forgetful, connect_parameters()), 1), 30)
    assert isinstance(result, AssertionError)
