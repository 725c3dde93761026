"""Who may be the same person as a customer: candidates with what speaks for and against it, for a person to decide.

Candidates come from indexes alone, and what too many share (a common name) brings none, so the answer takes
milliseconds whatever the number of customers. Whom somebody has kept apart is not suggested again.
"""

from __future__ import annotations

import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from customers.suggestion_evidence import Facts, Point, points_against, points_for

#: So many holders of a name, handle or address, and it says nothing.
TOO_COMMON = 50
#: Shared things that are looked into, and identities of all candidates together.
MOST_SHARED, MOST_IDENTITIES = 200, 500
#: A suggestion below this is none; so many are given.
LEAST_SCORE, MOST_GIVEN = 0.2, 5

FACTS = """
SELECT i.customer_id AS customer, i.home_id AS home, i.kind, i.issuer, i.display_name AS name, i.name_key,
       lower(i.handle) AS handle, split_part(translate(lower(i.locale), '-', '_'), '_', 1) AS language,
       ARRAY(SELECT value FROM customers_identityalias a WHERE a.identity_id = i.id AND a.type = 'phone') AS phones,
       ARRAY(SELECT type || ' ' || value FROM customers_identityhint h WHERE h.identity_id = i.id) AS hints
  FROM customers_identity i WHERE i.customer_id = ANY(%(customers)s) LIMIT %(most)s
"""
#: Other customers who share something, and how many hold it (up to where that says nothing).
SHARED = """
WITH found AS (
    SELECT 'name' AS what, key.value, f.id FROM unnest(%(names)s::text[]) AS key (value) CROSS JOIN LATERAL (
        SELECT id FROM customers_identity WHERE name_key = key.value AND name_key <> '' LIMIT %(common)s) f
    UNION ALL
    SELECT 'handle', key.value, f.id FROM unnest(%(handles)s::text[]) AS key (value) CROSS JOIN LATERAL (
        SELECT id FROM customers_identity WHERE lower(handle) = key.value AND handle <> '' LIMIT %(common)s) f
    UNION ALL
    SELECT 'told ' || key.type, key.value, f.identity_id
      FROM unnest(%(types)s::text[], %(values)s::text[]) AS key (type, value) CROSS JOIN LATERAL (
        SELECT identity_id FROM customers_identityhint WHERE type = key.type AND value = key.value LIMIT %(common)s) f
    UNION ALL
    SELECT 'holds', value, identity_id FROM customers_phoneholder WHERE value = ANY(%(numbers)s)
), counted AS (
    SELECT what, value, id, count(*) OVER (PARTITION BY what, value) AS holders FROM found
)
SELECT DISTINCT i.customer_id, f.what, f.value, f.holders
  FROM counted f JOIN customers_identity i ON i.id = f.id JOIN customers_customer c ON c.id = i.customer_id
 WHERE f.holders < %(common)s AND i.customer_id <> %(customer)s AND c.erased_at IS NULL
 LIMIT %(most)s
"""
KEPT_APART = """
SELECT low_id, high_id FROM customers_apart WHERE low_id = ANY(%(homes)s) OR high_id = ANY(%(homes)s)
"""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A customer who may be the same person. `score` is 0 to 1; it orders, and is no probability."""

    customer: uuid.UUID
    name: str
    kinds: tuple[str, ...]
    score: float
    speaks_for: tuple[Point, ...]
    speaks_against: tuple[Point, ...]


def suggest(customer: uuid.UUID) -> list[Suggestion]:
    """Return who may be the same person as this customer (its id as shown now), the likeliest first. Reads only."""
    ours = _facts([customer])
    if not ours:
        return []
    shared = _shared(customer, ours)
    apart = _kept_apart([person.home for person in ours])
    theirs: dict[uuid.UUID, list[Facts]] = defaultdict(list)
    for person in _facts(list(shared)):
        theirs[person.customer].append(person)
    weighed = (
        _weigh(ours, facts, shared[other])
        for other, facts in theirs.items()
        if apart.isdisjoint(person.home for person in facts)
    )
    likely = [suggestion for suggestion in weighed if suggestion.score >= LEAST_SCORE]
    return sorted(likely, key=lambda suggestion: (-suggestion.score, suggestion.customer))[:MOST_GIVEN]


def _facts(customers: Sequence[uuid.UUID]) -> list[Facts]:
    with connection.cursor() as cursor:
        cursor.execute(FACTS, {"customers": list(customers), "most": MOST_IDENTITIES})
        names = [column.name for column in cursor.description]
        return [Facts(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _shared(customer: uuid.UUID, ours: Iterable[Facts]) -> dict[uuid.UUID, list[tuple[str, str, int]]]:
    """Return what each other customer shares with this one: (what, value, holders)."""
    hinted = {tuple(hint.split(" ", 1)) for person in ours for hint in person.hints}
    numbers = {number for person in ours for number in person.phones}
    params: dict[str, Any] = {
        "customer": customer,
        "names": sorted({person.name_key for person in ours if person.name_key}),
        "handles": sorted({person.handle for person in ours if person.handle}),
        "types": [type_ for type_, _ in hinted] + ["phone"] * len(numbers),
        "values": [value for _, value in hinted] + sorted(numbers),
        "numbers": sorted(numbers | {value for type_, value in hinted if type_ == "phone"}),
        "common": TOO_COMMON,
        "most": MOST_SHARED,
    }
    shared: dict[uuid.UUID, list[tuple[str, str, int]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(SHARED, params)
        for other, what, value, holders in cursor.fetchall():
            shared[other].append((what, value, holders))
    return shared


def _kept_apart(homes: list[uuid.UUID]) -> set[uuid.UUID]:
    with connection.cursor() as cursor:
        cursor.execute(KEPT_APART, {"homes": homes})
        return {home for row in cursor.fetchall() for home in row} - set(homes)


def _weigh(ours: Sequence[Facts], theirs: Sequence[Facts], shared: Sequence[tuple[str, str, int]]) -> Suggestion:
    """Each thing in favour takes its share of the remaining doubt; each thing against takes its share of the rest."""
    speaks_for = tuple(sorted(points_for(ours, shared), key=lambda point: -point.weight))
    speaks_against = tuple(points_against(ours, theirs))
    doubt = math.prod(1 - point.weight for point in speaks_for)
    score = (1 - doubt) * math.prod(1 - point.weight for point in speaks_against)
    return Suggestion(
        customer=theirs[0].customer,
        name=next((person.name for person in theirs if person.name), ""),
        kinds=tuple(sorted({person.kind for person in theirs})),
        score=round(score, 2),
        speaks_for=speaks_for,
        speaks_against=speaks_against,
    )
