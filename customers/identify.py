"""Find or make the identity, and the customer, behind a sender. Evidence is an id, never a name.

1. Find the identity by the sender's id or one of its stable aliases; make identity and customer if there is none.
2. Refresh what the messenger says of it; merge identities that the messenger names as one person.
3. Add its further ids. A verified number that another identity holds makes the two one customer.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from customers.forms import is_id
from customers.identity_sql import (
    ADD_ALIASES,
    ADD_HINTS,
    ERASED_BEFORE,
    FIND,
    HELD,
    HOLD,
    HOME,
    LOCK,
    MAKE,
    NAME_CUSTOMER,
    REFRESH,
)
from customers.merging import CannotMerge, Method, merge
from customers.person import PHONE, Person, params_of
from customers.sql_steps import Connection, take
from customers.tombstones import digests_of


class NotAnId(Exception):
    """The sender's id is not in the form of an id: everybody who came with it would be taken for one person."""


class Erased(Exception):
    """Written before the sender was erased: it must not bring them back."""


async def identify(connection: Connection, person: Person, written: datetime | None = None) -> uuid.UUID:
    """Return the identity's id, making identity and customer if they are new. Runs in the caller's transaction.

    Two first messages of one person at once make one identity: makers queue on a lock per (kind, issuer). Over two
    channels with one verified number they make one customer: the number has one holder. Raises Erased if this was
    `written` before the sender was erased, NotAnId if the sender's id is none.
    """
    if not is_id(person.external_id):
        raise NotAnId
    params = params_of(person)
    rows = await _find(connection, params)
    if not rows:
        await connection.execute(LOCK, params)
        rows = await _find(connection, params)
    # Somebody who was erased since the query is somebody new.
    if rows and (await connection.execute(REFRESH, {**params, "id": rows[0][0]})).rowcount:
        identity: uuid.UUID = rows[0][0]
        await _unite_aliases(connection, rows)
    else:
        await demand_alive(connection, person, written)
        identity = uuid.uuid4()
        await connection.execute(MAKE, {**params, "id": identity, "customer": uuid.uuid4()})
    await add_names(connection, identity, person)
    return identity


async def recognise(connection: Connection, person: Person) -> uuid.UUID | None:
    """Return the identity of somebody who wrote before, None for everybody else. Writes nothing, lifts no STOP."""
    rows = await _find(connection, params_of(person))
    return rows[0][0] if rows else None


async def introduce(connection: Connection, identity: uuid.UUID, known: Mapping[str, str]) -> None:
    """Store a profile that a messenger returned: display_name, handle, picture_url, locale, each if known."""
    profile = Person(
        kind="",
        issuer="",
        external_id="",
        display_name=known.get("display_name", ""),
        handle=known.get("handle", ""),
        picture_url=known.get("picture_url", ""),
        locale=known.get("locale", ""),
    )
    params = {**params_of(profile), "id": identity, "source": "profile", "seen": False}
    async with connection.transaction():
        await connection.execute(REFRESH, params)
        await connection.execute(NAME_CUSTOMER, params)


async def demand_alive(connection: Connection, person: Person, written: datetime | None) -> None:
    """Raise Erased if this was written before its sender was erased."""
    if written is None:
        return
    names = [person.external_id, *(value for _, value in person.stable_aliases)]
    digests = [digest for name in names for digest in digests_of(person.kind, person.issuer, name)]
    if await (await connection.execute(ERASED_BEFORE, {"digests": digests, "written": written})).fetchone():
        raise Erased


async def _unite_aliases(connection: Connection, rows: Sequence[tuple[uuid.UUID, ...]]) -> None:
    """Merge identities that the messenger names as one person, e.g. a number and a user id that were two until now."""
    first = rows[0]
    for other in rows[1:]:
        if other[1] != first[1]:
            await on_proof(connection, Method.ALIAS, first, (other[0], other[2]))


async def add_names(connection: Connection, identity: uuid.UUID, person: Person) -> None:
    """Store further ids of an identity; a number that another identity holds makes them one customer."""
    params = params_of(person)
    fresh: Sequence[tuple[Any, ...]] = ()
    if person.stable_aliases:
        fresh = await (await connection.execute(ADD_ALIASES, {**params, "id": identity})).fetchall()
    if person.hints:
        types, values = zip(*person.hints, strict=True)
        await connection.execute(ADD_HINTS, {"id": identity, "types": list(types), "values": list(values)})
    for phone in (value for type_, value in fresh if type_ == PHONE):
        await _hold(connection, identity, phone)


async def _hold(connection: Connection, identity: uuid.UUID, phone: str) -> None:
    """Hold the number, or merge with the identity that holds it already, if that one wrote lately."""
    params = {"id": identity, "value": phone[:32]}
    if (await connection.execute(HOLD, params)).rowcount:
        return
    holder = await (await connection.execute(HELD, params)).fetchone()
    home = await (await connection.execute(HOME, params)).fetchone()
    if holder is not None and home is not None:
        await on_proof(connection, Method.PHONE, (identity, None, home[0]), holder)


async def on_proof(connection: Connection, method: Method, one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Merge two identities' homes, each a row (id, …, home); customers whom somebody keeps apart stay apart."""
    evidence = {"identities": [str(one[0]), str(other[0])]}
    try:
        await take(connection, merge(one[-1], other[-1], method, evidence=evidence))
    except CannotMerge:
        return


async def _find(connection: Connection, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(FIND, params)).fetchall()
