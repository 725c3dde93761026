"""Follow a customer whose id at the messenger changed: a new number, a new user id, another handle."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from customers import identify
from customers.forms import is_id
from customers.identity_sql import REFRESH
from customers.merging import Method
from customers.person import Person, params_of
from customers.sql_steps import Connection

FORMER = """
SELECT i.id, i.home_id FROM customers_identity i
 WHERE i.kind = %(kind)s AND i.issuer = %(issuer)s
   AND (i.external_id = %(former)s OR i.id IN (
        SELECT identity_id FROM customers_identityalias
         WHERE kind = %(kind)s AND issuer = %(issuer)s AND value = %(former)s))
 ORDER BY i.external_id = %(former)s DESC LIMIT 1
"""
HOLDER = """
SELECT id, home_id FROM customers_identity
 WHERE kind = %(kind)s AND issuer = %(issuer)s AND external_id = %(external_id)s AND id <> %(id)s
"""
#: A former number may get a new owner: it leads to this identity no more.
MOVE = """
WITH moved AS (
    UPDATE customers_identity i SET external_id = %(external_id)s FROM customers_identity old
     WHERE i.id = %(id)s AND old.id = i.id AND old.external_id = %(former)s AND %(external_id)s <> %(former)s
    RETURNING i.id
), noted AS (
    INSERT INTO customers_identitychange (identity_id, field, old, new, source, at)
    SELECT id, 'external_id', %(former)s, %(external_id)s, 'webhook', now() FROM moved
), freed AS (
    DELETE FROM customers_identityalias WHERE identity_id = %(id)s AND value = %(former)s
       AND %(external_id)s <> %(former)s
)
DELETE FROM customers_phoneholder WHERE identity_id = %(id)s AND value = %(former)s AND %(external_id)s <> %(former)s
"""


async def update(connection: Connection, person: Person, former_id: str) -> bool:
    """Store a customer's new id, names and further ids; return False for an id that we do not know.

    Runs in the caller's transaction. An id that another identity has already makes the two one person: the messenger
    says so. Messages that came to either stay where they are.
    """
    if not (is_id(former_id) and is_id(person.external_id)):
        return False
    params = {**params_of(person), "former": former_id[:256], "seen": False}
    row = await (await connection.execute(FORMER, params)).fetchone()
    if row is None:
        return False
    identity: uuid.UUID = row[0]
    params = {**params, "id": identity}
    holder = await (await connection.execute(HOLDER, params)).fetchone()
    if holder is not None:
        await identify.on_proof(connection, Method.ALIAS, row, holder)
        return True
    await connection.execute(MOVE, params)
    await connection.execute(REFRESH, params)
    await identify.add_names(connection, identity, _without(person, former_id))
    return True


def _without(person: Person, former_id: str) -> Any:
    """Return the person without the id that is theirs no more."""
    if person.external_id == former_id:
        return person
    return replace(person, stable_aliases=[alias for alias in person.stable_aliases if alias[1] != former_id])
