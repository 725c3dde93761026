"""Find or make the identity, and the customer, behind a sender. Evidence is an id, never a name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

#: Zero-width non-joiner and joiner: Persian and Hindi names are spelt with them, families of emoji made of them.
_JOINERS = "\u200c\u200d"
#: What psycopg.AsyncConnection is to us.
Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A sender as a messenger names them. `stable_aliases` are (type, value) ids that do not change hands."""

    kind: str
    issuer: str
    external_id: str
    stable_aliases: Sequence[tuple[str, str]] = ()
    display_name: str = ""
    handle: str = ""
    picture_url: str = ""
    locale: str = ""


FIND = """
SELECT id FROM customers_identity WHERE kind = %(kind)s AND issuer = %(issuer)s AND external_id = %(external_id)s
UNION ALL
SELECT identity_id FROM customers_identityalias
 WHERE kind = %(kind)s AND issuer = %(issuer)s
   AND (type, value) IN (SELECT * FROM unnest(%(types)s::text[], %(values)s::text[]))
LIMIT 1
"""

REFRESH = """
UPDATE customers_identity SET last_seen_at = now(),
       display_name = COALESCE(NULLIF(%(display_name)s, ''), display_name),
       handle = COALESCE(NULLIF(%(handle)s, ''), handle),
       picture_url = COALESCE(NULLIF(%(picture_url)s, ''), picture_url),
       locale = COALESCE(NULLIF(%(locale)s, ''), locale)
 WHERE id = %(id)s
"""

INTRODUCE = f"""
WITH identity AS ({REFRESH} RETURNING customer_id)
UPDATE customers_customer c SET display_name = %(display_name)s FROM identity i
 WHERE c.id = i.customer_id AND c.display_name = ''
"""  # noqa: S608 - a constant

MAKE = """
WITH customer AS (
    INSERT INTO customers_customer (id, display_name, locale, created_at)
    VALUES (%(customer)s, %(display_name)s, %(locale)s, now()) RETURNING id
)
INSERT INTO customers_identity
       (id, customer_id, kind, issuer, external_id, display_name, handle, picture_url, locale, created_at, last_seen_at)
SELECT %(id)s, id, %(kind)s, %(issuer)s, %(external_id)s, %(display_name)s, %(handle)s, %(picture_url)s, %(locale)s,
       now(), now() FROM customer
"""

ADD_ALIASES = """
INSERT INTO customers_identityalias (identity_id, kind, issuer, type, value, created_at)
SELECT %(id)s, %(kind)s, %(issuer)s, type, value, now()
  FROM unnest(%(types)s::text[], %(values)s::text[]) AS given (type, value)
ON CONFLICT DO NOTHING
"""

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(kind)s || ' ' || %(issuer)s, 0))"


async def identify(connection: Connection, person: Person) -> uuid.UUID:
    """Return the identity's id, making identity and customer if they are new. Runs in the caller's transaction.

    Two first messages of one person at once make one identity: makers queue on a lock per (kind, issuer).
    """
    given = _given(person)
    found = await _find(connection, given)
    if found is None:
        await connection.execute(LOCK, given)
        found = await _find(connection, given)
    if found is None:
        found = uuid.uuid4()
        await connection.execute(MAKE, {**given, "id": found, "customer": uuid.uuid4()})
    else:
        await connection.execute(REFRESH, {**given, "id": found})
    if person.stable_aliases:
        await connection.execute(ADD_ALIASES, {**given, "id": found})
    return found


async def introduce(connection: Connection, identity: uuid.UUID, known: Mapping[str, str]) -> None:
    """Write down what a messenger told of somebody: display_name, handle, picture_url, locale, each if known."""
    told = Person(
        kind="",
        issuer="",
        external_id="",
        display_name=known.get("display_name", ""),
        handle=known.get("handle", ""),
        picture_url=known.get("picture_url", ""),
        locale=known.get("locale", ""),
    )
    await connection.execute(INTRODUCE, {**_given(told), "id": identity})


async def update(connection: Connection, person: Person) -> bool:
    """Write down somebody's new names and further ids, e.g. a new number; return False if we do not know them."""
    given = _given(person)
    found = await _find(connection, given)
    if found is None:
        return False
    await connection.execute(REFRESH, {**given, "id": found})
    await connection.execute(ADD_ALIASES, {**given, "id": found})
    return True


async def _find(connection: Connection, given: dict[str, Any]) -> uuid.UUID | None:
    row = await (await connection.execute(FIND, given)).fetchone()
    return None if row is None else row[0]


def _given(person: Person) -> dict[str, Any]:
    return {
        "kind": person.kind,
        "issuer": person.issuer,
        "external_id": person.external_id[:256],
        "display_name": _line(person.display_name)[:256],
        "handle": _line(person.handle)[:128],
        "picture_url": person.picture_url[:2048],
        "locale": person.locale[:35],
        "types": [type_ for type_, _ in person.stable_aliases],
        "values": [value[:256] for _, value in person.stable_aliases],
    }


def _line(text: str) -> str:
    """Return the text on one line: names with line breaks or control characters forge log lines and headers."""
    return " ".join("".join(c if c.isprintable() or c in _JOINERS else " " for c in text).strip(_JOINERS).split())
