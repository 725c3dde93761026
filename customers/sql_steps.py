"""Run the same few statements on the bridge's connection and on Django's: a service yields SQL and receives rows.

A step is `rows = yield SQL, parameters`; what the generator returns is the answer. Either runner uses the transaction
that is open; a service says in its docstring if it needs one.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, LiteralString, TypeVar

import psycopg
from django.db import connection as django_connection

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]
Rows = list[tuple[Any, ...]]
Steps = Generator[tuple[LiteralString, dict[str, Any]], Rows, T]


async def take(connection: Connection, steps: Steps[T]) -> T:
    """Take the steps on the bridge's connection."""
    rows: Rows | None = None
    while True:
        try:
            query, params = next(steps) if rows is None else steps.send(rows)
        except StopIteration as end:
            answer: T = end.value
            return answer
        cursor = await connection.execute(query, params)
        rows = [] if cursor.description is None else await cursor.fetchall()


def take_now(steps: Steps[T]) -> T:
    """Take the steps on Django's connection."""
    with django_connection.cursor() as cursor:
        return take_with(cursor, steps)


def take_with(cursor: Any, steps: Steps[T]) -> T:
    """Take the steps with a cursor, psycopg's or Django's."""
    rows: Rows | None = None
    while True:
        try:
            query, params = next(steps) if rows is None else steps.send(rows)
        except StopIteration as end:
            answer: T = end.value
            return answer
        cursor.execute(query, params)
        rows = [] if cursor.description is None else cursor.fetchall()
