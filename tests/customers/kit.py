"""Services of the customers app, run as the bridge runs them, or many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import psycopg

from channels_app.infrastructure.db import connect_parameters
from customers.models import Customer, Identity
from customers.sql_steps import Connection

T = TypeVar("T")


async def _in_transactions(work: Sequence[Callable[[Connection], Awaitable[T]]]) -> list[T]:
    async with await psycopg.AsyncConnection[Any].connect(**connect_parameters(), autocommit=True) as connection:
        done = []
        for one in work:
            async with connection.transaction():
                done.append(await one(connection))
        return done


async def _at_once(work: Sequence[Callable[[Connection], Awaitable[T]]], lanes: int) -> list[T]:
    shares = [work[start::lanes] for start in range(lanes)]
    return [one for share in await asyncio.gather(*map(_in_transactions, shares)) for one in share]


def at_once(work: Sequence[Callable[[Connection], Awaitable[T]]], lanes: int = 20) -> list[T]:
    """Do all of it over so many connections, each piece in a transaction of its own."""
    return asyncio.run(_at_once(work, lanes))


def done(work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do it in a transaction on a bridge's connection."""
    return at_once([work], lanes=1)[0]


def people() -> set[frozenset[Any]]:
    """Return who is one person now: the sets of identities that share a customer."""
    shown: dict[Any, set[Any]] = {}
    for identity, customer in Identity.objects.values_list("pk", "customer"):
        shown.setdefault(customer, set()).add(identity)
    return {frozenset(members) for members in shown.values()}


def snapshot() -> tuple[list[Any], list[Any]]:
    """Return all that a merge could touch of customers and identities."""
    return (
        list(Customer.objects.order_by("pk").values_list("pk", "merged_into", "display_name", "preferred_channel")),
        list(Identity.objects.order_by("pk").values()),
    )
