"""Reads the rollups: sums and digests of any range, grouped as a chart wants them, in one statement each.

Whole days are read as days, what is left as hours. A filter by one facet reads that facet's sums; a filter by two,
which no rollup has, reads the facts of the chats themselves (chat_facts.py). Both ways give the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from analytics.measures import DIGESTS, OF_PEOPLE
from analytics.queries import chat_facts
from analytics.queries.question import Bins, Question, Sums, binned
from analytics.rollups.delta import DIGEST_GRAINS
from analytics.rollups.time_buckets import DAY, day_of, local, midnight

_COLUMNS = {"at": "r.at", "account": "r.account_id", "value": "r.value"}


def sums(question: Question) -> dict[tuple[Any, ...], Sums]:
    """Return the measures by group; without groups, one of the empty tuple."""
    if question.rollup is None:
        return chat_facts.sums(question)
    groups = [_COLUMNS[name] for name in question.by]
    totals = ", ".join(f"COALESCE(sum({name}), 0)::bigint" for name in question.measures)
    where, params = _where(question, question.rollup)
    query = f"SELECT {''.join(f'{name}, ' for name in groups)}{totals} FROM analytics_rollup r WHERE {where}"  # noqa: S608 - our own names
    if groups:
        query += f" GROUP BY {', '.join(groups)}"
    width = len(groups)
    result: dict[tuple[Any, ...], Sums] = {}
    for row in _rows(query, params):
        group = _in_days(question, row[:width])
        added = zip(question.measures, row[width:], strict=True)
        known = result.get(group)
        result[group] = {name: number + (known[name] if known else 0) for name, number in added}
    return result


def bins(question: Question, digests: Sequence[str]) -> dict[tuple[Any, ...], Bins]:
    """Return digests by group."""
    read = question.rollup
    if read is None or not _has_digests(question, read, digests):
        return chat_facts.bins(question, digests)
    groups = [_COLUMNS[name] for name in question.by]
    where, params = _where(question, read)
    # OFFSET 0: bins are looked up by rollup. Left alone, the planner reads all there are.
    query = f"""
SELECT {"".join(f"{name}, " for name in groups)} b.digest, b.bin, sum(b.count)::bigint
  FROM analytics_rollup r CROSS JOIN LATERAL (
       SELECT digest, bin, count FROM analytics_rollupbin
        WHERE rollup_id = r.id AND digest = ANY(%(digests)s) OFFSET 0) b
 WHERE {where} GROUP BY {"".join(f"{name}, " for name in groups)} b.digest, b.bin
"""  # noqa: S608 - our own names
    rows = _rows(query, {**params, "digests": [DIGESTS.index(name) for name in digests]})
    return binned((_in_days(question, row[: len(groups)]), *row[len(groups) :]) for row in rows)


def _has_digests(question: Question, facet: str, digests: Sequence[str]) -> bool:
    grains = DIGEST_GRAINS.get(facet, ())
    people = facet == "account" or all(DIGESTS.index(name) in OF_PEOPLE for name in digests)
    return people and "d" in grains and ("h" in grains or (question.whole_days and not question.hourly))


def _where(question: Question, facet: str) -> tuple[str, dict[str, Any]]:
    start, end = question.start, question.end
    first, last = (end, end) if question.hourly else _whole_days(start, end)
    params: dict[str, Any] = {"facet": facet, "start": start, "end": end, "first": first, "last": last}
    days = "r.grain = 'd' AND r.at >= %(first)s AND r.at < %(last)s"
    hours = "r.grain = 'h' AND (r.at >= %(start)s AND r.at < %(first)s OR r.at >= %(last)s AND r.at < %(end)s)"
    where = f"r.facet = %(facet)s AND ({days} OR {hours})"
    if question.accounts is not None:
        where += " AND r.account_id = ANY(%(accounts)s)"
        params["accounts"] = list(question.accounts)
    if facet in question.facets:
        where += " AND r.value = %(value)s"
        params["value"] = question.facets[facet]
    return where, params


def _in_days(question: Question, group: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the group by day: where a range begins or ends within a day, its hours are read and belong to that day."""
    if question.hourly or question.whole_days or "at" not in question.by:
        return group
    return tuple(day_of(value) if name == "at" else value for name, value in zip(question.by, group, strict=True))


def _whole_days(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the whole days of a range as [first, last); of a range without any, both are its end."""
    first = day_of(start)
    if first < start:
        first = midnight(local(start).date() + DAY)
    last = day_of(end)
    return (first, last) if first < last else (end, end)


def _rows(query: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, dict(params))
        return list(cursor.fetchall())
