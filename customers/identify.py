"""Find or make the identity, and the customer, behind a sender. Evidence is an id, never a name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from customers.forms import is_alias, is_id
from customers.merging import CannotMerge, Method, merge
from customers.names import name_key, one_line
from customers.sql_steps import Connection, take
from customers.tombstones import digests_of

#: An alias of this type is a number that the messenger itself has verified, wherever it comes from.
PHONE = "phone"
#: A number whose holder was silent for longer may have a new owner (the FCC lets numbers rest for 45 to 90 days): it is
#: suggested then, not merged.
HOLDS_FOR = "90 days"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A sender as a messenger names them.

    `stable_aliases` are (type, value) ids that do not change hands; `hints` are ids that several people may share. One
    that is not in its documented form (forms.py) is left out: people who share it are not one person.
    """

    kind: str
    issuer: str
    external_id: str
    stable_aliases: Sequence[tuple[str, str]] = ()
    hints: Sequence[tuple[str, str]] = ()
    display_name: str = ""
    handle: str = ""
    picture_url: str = ""
    locale: str = ""

    def __post_init__(self) -> None:
        for name in ("stable_aliases", "hints"):
            object.__setattr__(self, name, [one for one in getattr(self, name) if is_alias(*one)])


class NotAnId(Exception):
    """What the messenger gave as the sender's id is none: whoever else brings it would be taken for the same person."""


class Erased(Exception):
    """Written before the sender was erased: it must not bring them back."""


#: The id that the messenger writes from first, then its aliases. More than one: the messenger says they are one person.
#: Not so when an alias leads to somebody with another number: a user id is made anew with the number, so one that comes
#: with two numbers was given wrongly, and the number counts.
FIND = """
SELECT i.id, i.customer_id, i.home_id FROM (
    SELECT id, 0 AS place FROM customers_identity
     WHERE kind = %(kind)s AND issuer = %(issuer)s AND external_id = %(external_id)s
    UNION ALL
    SELECT identity_id, 1 FROM customers_identityalias
     WHERE kind = %(kind)s AND issuer = %(issuer)s
       AND (type, value) IN (SELECT * FROM unnest(%(types)s::text[], %(values)s::text[]))
) found JOIN customers_identity i ON i.id = found.id
 GROUP BY i.id
HAVING min(place) = 0 OR cardinality(%(phones)s::text[]) = 0
    OR (SELECT COALESCE(bool_or(a.value = ANY(%(phones)s)), true) FROM customers_identityalias a
         WHERE a.identity_id = i.id AND a.type = 'phone')
 ORDER BY min(place), i.created_at
"""

#: What the messenger tells now counts; what it told before is written down where it was another. Somebody who writes
#: takes answers again, whatever they asked for before.
REFRESH = """
WITH old AS (
    SELECT id, display_name, handle, picture_url FROM customers_identity
     WHERE id = %(id)s AND external_id NOT LIKE 'erased %%' FOR NO KEY UPDATE
), changed AS (
    INSERT INTO customers_identitychange (identity_id, field, old, new, source, at)
    SELECT id, c.field, c.old, c.new, %(source)s, now() FROM old CROSS JOIN LATERAL (VALUES
           ('display_name', display_name, %(display_name)s), ('handle', handle, %(handle)s),
           ('picture_url', picture_url, %(picture_url)s)) AS c (field, old, new)
     WHERE c.new <> '' AND c.old <> '' AND c.new <> c.old
)
UPDATE customers_identity i SET last_seen_at = CASE WHEN %(seen)s THEN now() ELSE i.last_seen_at END,
       suppressed_at = CASE WHEN %(seen)s THEN NULL ELSE i.suppressed_at END,
       display_name = COALESCE(NULLIF(%(display_name)s, ''), i.display_name),
       name_key = CASE WHEN %(display_name)s <> '' THEN %(name_key)s ELSE i.name_key END,
       handle = COALESCE(NULLIF(%(handle)s, ''), i.handle),
       picture_url = COALESCE(NULLIF(%(picture_url)s, ''), i.picture_url),
       locale = COALESCE(NULLIF(%(locale)s, ''), i.locale)
  FROM old WHERE i.id = old.id
"""

NAME_CUSTOMER = """
UPDATE customers_customer c SET display_name = %(display_name)s FROM customers_identity i
 WHERE i.id = %(id)s AND c.id = i.home_id AND c.display_name = ''
"""

MAKE = """
WITH customer AS (
    INSERT INTO customers_customer (id, display_name, locale, created_at)
    VALUES (%(customer)s, %(display_name)s, %(locale)s, now()) RETURNING id
)
INSERT INTO customers_identity (id, customer_id, home_id, kind, issuer, external_id, display_name, name_key, handle,
                                picture_url, locale, created_at, last_seen_at)
SELECT %(id)s, id, id, %(kind)s, %(issuer)s, %(external_id)s, %(display_name)s, %(name_key)s, %(handle)s,
       %(picture_url)s, %(locale)s, now(), now() FROM customer
"""

#: Returns what was new. An id that regenerates with the number (WhatsApp's BSUID) is noted when it changes: the number
#: may have a new owner.
ADD_ALIASES = """
WITH given AS (
    SELECT * FROM unnest(%(types)s::text[], %(values)s::text[]) AS given (type, value)
), fresh AS (
    INSERT INTO customers_identityalias (identity_id, kind, issuer, type, value, created_at)
    SELECT %(id)s, %(kind)s, %(issuer)s, type, value, now() FROM given
    ON CONFLICT DO NOTHING RETURNING type, value
), changed AS (
    INSERT INTO customers_identitychange (identity_id, field, old, new, source, at)
    SELECT %(id)s, f.type, a.value, f.value, %(source)s, now() FROM fresh f CROSS JOIN LATERAL (
        SELECT value FROM customers_identityalias a WHERE a.identity_id = %(id)s AND a.type = f.type
         ORDER BY a.id DESC LIMIT 1) a
)
SELECT type, value FROM fresh
"""
ADD_HINTS = """
INSERT INTO customers_identityhint (identity_id, type, value, created_at)
SELECT %(id)s, type, value, now() FROM unnest(%(types)s::text[], %(values)s::text[]) AS given (type, value)
ON CONFLICT DO NOTHING
"""
#: The first to bring a number holds it. Who comes second, even at the same moment, waits here and finds the first.
HOLD = """
INSERT INTO customers_phoneholder (value, identity_id, created_at) VALUES (%(value)s, %(id)s, now())
ON CONFLICT (value) DO NOTHING
"""
HELD = f"""
SELECT i.id, i.home_id FROM customers_phoneholder p JOIN customers_identity i ON i.id = p.identity_id
 WHERE p.value = %(value)s AND i.id <> %(id)s AND i.last_seen_at > now() - interval '{HOLDS_FOR}'
"""  # noqa: S608 - a constant
HOME = "SELECT home_id FROM customers_identity WHERE id = %(id)s"

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(kind)s || ' ' || %(issuer)s, 0))"
ERASED_BEFORE = "SELECT 1 FROM customers_tombstone WHERE digest = ANY(%(digests)s) AND erased_at > %(written)s"


async def identify(connection: Connection, person: Person, written: datetime | None = None) -> uuid.UUID:
    """Return the identity's id, making identity and customer if they are new. Runs in the caller's transaction.

    Two first messages of one person at once make one identity: makers queue on a lock per (kind, issuer). Over two
    channels with one verified number they make one customer: the number has one holder. Raises Erased if this was
    `written` before the sender was erased, NotAnId if the sender's id is none.
    """
    if not is_id(person.external_id):
        raise NotAnId
    given = given_of(person)
    found = await _find(connection, given)
    if not found:
        await connection.execute(LOCK, given)
        found = await _find(connection, given)
    # Who was erased since we found them is somebody new.
    if found and (await connection.execute(REFRESH, {**given, "id": found[0][0]})).rowcount:
        identity: uuid.UUID = found[0][0]
        await _unite_aliases(connection, found)
    else:
        await demand_alive(connection, person, written)
        identity = uuid.uuid4()
        await connection.execute(MAKE, {**given, "id": identity, "customer": uuid.uuid4()})
    await add_names(connection, identity, person)
    return identity


async def recognise(connection: Connection, person: Person) -> uuid.UUID | None:
    """Return the identity of somebody who wrote before, None for everybody else. Writes nothing, lifts no STOP."""
    found = await _find(connection, given_of(person))
    return found[0][0] if found else None


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
    given = {**given_of(told), "id": identity, "source": "profile", "seen": False}
    async with connection.transaction():
        await connection.execute(REFRESH, given)
        await connection.execute(NAME_CUSTOMER, given)


async def demand_alive(connection: Connection, person: Person, written: datetime | None) -> None:
    """Raise Erased if this was written before its sender was erased."""
    if written is None:
        return
    names = [person.external_id, *(value for _, value in person.stable_aliases)]
    digests = [one for name in names for one in digests_of(person.kind, person.issuer, name)]
    if await (await connection.execute(ERASED_BEFORE, {"digests": digests, "written": written})).fetchone():
        raise Erased


async def _unite_aliases(connection: Connection, found: Sequence[tuple[uuid.UUID, ...]]) -> None:
    """Merge whom the messenger names in one breath, e.g. by a number and by a user id that were two until now."""
    first = found[0]
    for other in found[1:]:
        if other[1] != first[1]:
            await on_proof(connection, Method.ALIAS, first, (other[0], other[2]))


async def add_names(connection: Connection, identity: uuid.UUID, person: Person) -> None:
    """Write down further ids of somebody; a number that another identity holds makes them one customer."""
    given = given_of(person)
    fresh: Sequence[tuple[Any, ...]] = ()
    if person.stable_aliases:
        fresh = await (await connection.execute(ADD_ALIASES, {**given, "id": identity})).fetchall()
    if person.hints:
        types, values = zip(*person.hints, strict=True)
        await connection.execute(ADD_HINTS, {"id": identity, "types": list(types), "values": list(values)})
    for phone in (value for type_, value in fresh if type_ == PHONE):
        await _hold(connection, identity, phone)


async def _hold(connection: Connection, identity: uuid.UUID, phone: str) -> None:
    """Hold the number, or merge with whom holds it already, if they were heard of lately."""
    given = {"id": identity, "value": phone[:32]}
    if (await connection.execute(HOLD, given)).rowcount:
        return
    holder = await (await connection.execute(HELD, given)).fetchone()
    home = await (await connection.execute(HOME, given)).fetchone()
    if holder is not None and home is not None:
        await on_proof(connection, Method.PHONE, (identity, None, home[0]), holder)


async def on_proof(connection: Connection, method: Method, one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Merge two identities' homes, each given as (id, …, home); whom a person keeps apart stays apart."""
    evidence = {"identities": [str(one[0]), str(other[0])]}
    try:
        await take(connection, merge(one[-1], other[-1], method, evidence=evidence))
    except CannotMerge:
        return


async def _find(connection: Connection, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(FIND, given)).fetchall()


def given_of(person: Person) -> dict[str, Any]:
    """Return the parameters of the statements above, cut to what the columns take."""
    name = one_line(person.display_name)[:256]
    return {
        "kind": person.kind,
        "issuer": person.issuer,
        "external_id": person.external_id[:256],
        "display_name": name,
        "name_key": name_key(name),
        "handle": one_line(person.handle)[:128],
        "picture_url": person.picture_url[:2048],
        "locale": person.locale[:35],
        "types": [type_ for type_, _ in person.stable_aliases],
        "values": [value for _, value in person.stable_aliases],
        "phones": [value for type_, value in person.stable_aliases if type_ == PHONE],
        "source": "webhook",
        "seen": True,
    }
