"""Tie customers together as one person, and take that back: months later, with everything in between kept.

A merge is an edge between two homes (models.Customer). The merges in force make a forest: merging two that are one
person already changes nothing. Under whose id a person is shown, `Identity.customer` and `Customer.merged_into`, is
worked out from the forest whenever an edge comes or goes: the oldest home of the tree. So undoing a merge at any time,
in any order, leaves what would be there had it never been made, and there is no wrong direction to merge in.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from customers.models import Merge
from customers.sql_steps import Steps

Method = Merge.Method

#: Edges come and go one at a time, or two could close a circle. They are rare, and done in a few milliseconds.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(5_047_001)"
ROOTS = """
SELECT id, COALESCE(merged_into_id, id), erased_at IS NOT NULL FROM customers_customer WHERE id IN (%(one)s, %(other)s)
"""
_BETWEEN = """
WITH one AS (SELECT id FROM customers_customer WHERE id = %(one)s OR merged_into_id = %(one)s),
     other AS (SELECT id FROM customers_customer WHERE id = %(other)s OR merged_into_id = %(other)s)
"""
_ACROSS = """((low_id IN (TABLE one) AND high_id IN (TABLE other))
           OR (low_id IN (TABLE other) AND high_id IN (TABLE one)))"""
KEPT_APART = f"{_BETWEEN} SELECT 1 FROM customers_apart WHERE {_ACROSS} LIMIT 1"  # noqa: S608 - a constant
FORGET_APART = f"{_BETWEEN} DELETE FROM customers_apart WHERE {_ACROSS}"  # noqa: S608 - a constant
TIE = """
INSERT INTO customers_merge (id, low_id, high_id, method, evidence, reason, made_at, made_by, undone_by, undo_reason)
VALUES (%(id)s, LEAST(%(one)s::uuid, %(other)s::uuid), GREATEST(%(one)s::uuid, %(other)s::uuid), %(method)s,
        %(evidence)s, %(reason)s, %(at)s, %(by)s, '', '')
"""
UNTIE = """
UPDATE customers_merge SET undone_at = %(at)s, undone_by = %(by)s, undo_reason = %(reason)s
 WHERE id = %(id)s AND undone_at IS NULL RETURNING low_id, high_id
"""
#: All homes of one person, found from any of them.
HOMES = """
WITH RECURSIVE person (home) AS (
    SELECT %(home)s::uuid
    UNION
    SELECT n.home FROM person p CROSS JOIN LATERAL (
        SELECT high_id AS home FROM customers_merge WHERE low_id = p.home AND undone_at IS NULL
        UNION ALL SELECT low_id FROM customers_merge WHERE high_id = p.home AND undone_at IS NULL) n
)
"""
SETTLE = f"""{HOMES}, root AS (
    SELECT c.id FROM customers_customer c JOIN person p ON p.home = c.id ORDER BY c.created_at, c.id LIMIT 1
), pointed AS (
    UPDATE customers_customer c SET merged_into_id = NULLIF(r.id, c.id) FROM person p, root r
     WHERE c.id = p.home AND c.merged_into_id IS DISTINCT FROM NULLIF(r.id, c.id)
), moved AS (
    UPDATE customers_identity i SET customer_id = r.id FROM person p, root r
     WHERE i.home_id = p.home AND i.customer_id <> r.id
)
SELECT id FROM root
"""  # noqa: S608 - a constant
KEEP_APART = """
INSERT INTO customers_apart (low_id, high_id, at, by, reason)
VALUES (LEAST(%(one)s::uuid, %(other)s::uuid), GREATEST(%(one)s::uuid, %(other)s::uuid), %(at)s, %(by)s, %(reason)s)
ON CONFLICT (low_id, high_id) DO UPDATE SET at = EXCLUDED.at, by = EXCLUDED.by, reason = EXCLUDED.reason
"""


class CannotMerge(Exception):
    """The two are not to be merged. `str()` is for people; `code` is for programs."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a merge: the customer's id now, and the merge, None if the two were one already."""

    customer: uuid.UUID
    merge: uuid.UUID | None


def merge(
    one: uuid.UUID, other: uuid.UUID, method: Method, *, evidence: dict[str, Any], by: str = "", reason: str = ""
) -> Steps[Merged]:
    """Make the customers, or the persons whom these homes belong to, one. Needs a transaction. Raises CannotMerge.

    Two whom somebody keeps apart are merged by a person alone, which ends their being kept apart.
    """
    params: dict[str, Any] = {"one": one, "other": other, "by": by[:150], "reason": reason[:300]}
    yield ONE_AT_A_TIME, {}
    roots = {row[0]: row[1:] for row in (yield ROOTS, params)}
    if len(roots) < len({one, other}):
        raise CannotMerge("not_found", "One of the two customers does not exist.")
    if any(erased for _, erased in roots.values()):
        raise CannotMerge("erased", "One of the two customers was erased.")
    if roots[one][0] == roots[other][0]:
        return Merged(roots[one][0], None)
    between = {"one": roots[one][0], "other": roots[other][0]}
    if method == Method.PERSON:
        yield FORGET_APART, between
    elif (yield KEPT_APART, between):
        raise CannotMerge("kept_apart", "Somebody decided that these are two people; only a person can merge them.")
    tie = {**params, "id": uuid.uuid4(), "method": method, "evidence": Jsonb(evidence), "at": datetime.now(UTC)}
    yield TIE, tie
    [(root,)] = yield SETTLE, {"home": one}
    return Merged(root, tie["id"])


def unmerge(made: uuid.UUID, *, by: str, reason: str = "", keep_apart: bool = True) -> Steps[tuple[uuid.UUID, ...]]:
    """Undo one merge; return the two customers' ids, the older side first. Needs a transaction. Raises CannotMerge.

    With `keep_apart`, Parley itself never merges or suggests the two again.
    """
    params = {"id": made, "by": by[:150], "reason": reason[:300], "at": datetime.now(UTC)}
    yield ONE_AT_A_TIME, {}
    ties = yield UNTIE, params
    if not ties:
        raise CannotMerge("not_in_force", "There is no such merge, or it was undone already.")
    [(low, high)] = ties
    [(first,)] = yield SETTLE, {"home": low}
    [(second,)] = yield SETTLE, {"home": high}
    if keep_apart:
        yield KEEP_APART, {**params, "one": low, "other": high}
    return first, second


def keep_apart(one: uuid.UUID, other: uuid.UUID, *, by: str, reason: str = "") -> Steps[None]:
    """Store that two customers are two people: a suggestion is dismissed for good. Raises CannotMerge."""
    params = {"one": one, "other": other, "by": by[:150], "reason": reason[:300], "at": datetime.now(UTC)}
    roots = {row[0]: row[1] for row in (yield ROOTS, params)}
    if len(roots) < len({one, other}):
        raise CannotMerge("not_found", "One of the two customers does not exist.")
    if roots[one] == roots[other]:
        raise CannotMerge("is_one", "The two are one customer now: undo their merge instead.")
    yield KEEP_APART, params
