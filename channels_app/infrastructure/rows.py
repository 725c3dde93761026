"""Read rows over Django's connection, where a query is too much for the ORM: as structs, or as plain tuples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")
Params = Mapping[str, Any] | Sequence[Any]


def read_rows(struct: type[T], sql: str, params: Params = ()) -> list[T]:
    """Return the rows as instances of `struct`, which takes each column by its name. Values are not converted."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        names = [column.name for column in cursor.description]
        return [struct(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def read_tuples(sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
    """Return the rows as they come."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
