"""Adds a delta to the rollups and their digests, and deletes what nothing is left of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from django.db import connection

from analytics.measures import MEASURES
from analytics.rollups.delta import Delta

ADD = f"""
INSERT INTO analytics_rollup AS r (grain, facet, at, account_id, value, {", ".join(MEASURES)})
SELECT grain, facet, at, account_id, value, {", ".join(f"COALESCE({name}, 0)" for name in MEASURES)}
  FROM json_populate_recordset(NULL::analytics_rollup, %s::json)
ON CONFLICT (grain, facet, at, account_id, value) DO UPDATE
   SET {", ".join(f"{name} = r.{name} + EXCLUDED.{name}" for name in MEASURES)}
RETURNING id, grain, facet, at, account_id, value
"""  # noqa: S608 - constants
ADD_BINS = """
INSERT INTO analytics_rollupbin AS b (rollup_id, digest, bin, count)
SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::smallint[], %s::bigint[])
ON CONFLICT (rollup_id, digest, bin) DO UPDATE SET count = b.count + EXCLUDED.count
"""
CLEAN_BINS = "DELETE FROM analytics_rollupbin WHERE rollup_id = ANY(%s) AND count = 0"
CLEAN = f"""
DELETE FROM analytics_rollup r WHERE id = ANY(%s) AND ({" AND ".join(f"{name} = 0" for name in MEASURES)})
   AND NOT EXISTS (SELECT 1 FROM analytics_rollupbin b WHERE b.rollup_id = r.id)
"""  # noqa: S608 - constants


def add(delta: Delta) -> None:
    """Add the delta; rows in one order, so that writers of the same ones would not wait for each other."""
    sums, bins = delta.sums(), delta.bins()
    keys = sorted({*sums, *bins})
    if not keys:
        return
    names = ("grain", "facet", "at", "account_id", "value")
    added = [dict(zip(names, key, strict=True)) | sums.get(key, {}) for key in keys]
    with connection.cursor() as cursor:
        cursor.execute(ADD, [msgspec.json.encode(added).decode()])
        ids = {tuple(row[1:]): row[0] for row in cursor.fetchall()}
        rows = [(ids[key], *counts) for key, several in bins.items() for counts in several]
        if rows:
            cursor.execute(ADD_BINS, [_array(column) for column in zip(*rows, strict=True)])
        shrunk = [ids[key] for key in keys if _shrinks(sums.get(key, {}), bins.get(key, []))]
        if shrunk:
            cursor.execute(CLEAN_BINS, [shrunk])
            cursor.execute(CLEAN, [shrunk])


def _array(column: Sequence[int]) -> str:
    """Return an array as PostgreSQL reads it: the driver would quote each number by itself."""
    return "{" + ",".join(map(str, column)) + "}"


def _shrinks(sums: Mapping[str, int], bins: Sequence[tuple[int, int, int]]) -> bool:
    return any(count < 0 for count in sums.values()) or any(count < 0 for *_, count in bins)
