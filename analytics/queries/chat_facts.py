"""Sums and digests for what no rollup has, e.g. one agent in one queue: from the facts of the chats themselves."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from analytics.measures import CHAT_MEASURES, DIGESTS
from analytics.queries.question import Question, binned
from analytics.rollups.time_buckets import day_of


class Counts(msgspec.Struct):
    """The part of a chat's facts that sums need; the rest is not decoded."""

    account: uuid.UUID
    queue: str = ""
    agent: str = ""
    language: str = ""
    phrases: list[str] = []
    hours: dict[datetime, dict[str, int]] = {}
    codes: dict[datetime, dict[str, int]] = {}


class Durations(msgspec.Struct):
    """The part of a chat's facts that digests need."""

    account: uuid.UUID
    queue: str = ""
    agent: str = ""
    language: str = ""
    bins: dict[datetime, dict[int, dict[int, int]]] = {}


_counts = msgspec.msgpack.Decoder(Counts)
_durations = msgspec.msgpack.Decoder(Durations)
FACTS = """
SELECT counted FROM analytics_chatfact
 WHERE started_at < %(end)s AND last_at >= %(start)s
   AND (%(accounts)s::uuid[] IS NULL OR account_id = ANY(%(accounts)s::uuid[]))
   AND (%(queue)s::text IS NULL OR queue = %(queue)s) AND (%(agent)s::text IS NULL OR agent = %(agent)s)
   AND (%(language)s::text IS NULL OR language = %(language)s)
"""


def sums(question: Question) -> dict[tuple[Any, ...], dict[str, int]]:
    """Answer as rollups.sums does, from the facts of single chats."""
    nothing = dict.fromkeys(question.measures, 0)
    groups: dict[tuple[Any, ...], dict[str, int]] = {} if question.by else {(): dict(nothing)}
    for facts in map(_counts.decode, _facts(question)):
        for hour, value, counts in _counted(facts, question.facet):
            if question.start <= hour < question.end:
                totals = groups.setdefault(_group(question, hour, facts, value), dict(nothing))
                for name in counts.keys() & nothing.keys():
                    totals[name] += counts[name]
    return groups


def bins(question: Question, digests: Sequence[str]) -> dict[tuple[Any, ...], Any]:
    """Answer as rollups.bins does, from the facts of single chats."""
    places = {DIGESTS.index(name) for name in digests}

    def rows() -> Iterator[tuple[tuple[Any, ...], int, int, int]]:
        for facts in map(_durations.decode, _facts(question)):
            value = getattr(facts, question.facet) if question.facet else ""
            for hour, digests_of_hour in facts.bins.items():
                group = _group(question, hour, facts, value)
                for digest in places & digests_of_hour.keys() if question.start <= hour < question.end else ():
                    yield from ((group, digest, place, count) for place, count in digests_of_hour[digest].items())

    return binned(rows())


def _counted(facts: Counts, facet: str) -> Iterator[tuple[datetime, str, dict[str, int]]]:
    """Yield hour, value of the facet, and what is counted there."""
    if facet == "code":
        for hour, codes in facts.codes.items():
            yield from ((hour, code, {"failed": count}) for code, count in codes.items())
        return
    for hour, counts in facts.hours.items():
        if facet == "phrase":
            whole = {name: counts[name] for name in CHAT_MEASURES if name in counts} if "rated" in counts else {}
            yield from ((hour, phrase, whole) for phrase in facts.phrases if whole)
        else:
            yield hour, getattr(facts, facet) if facet else "", counts


def _group(question: Question, hour: datetime, facts: Counts | Durations, value: str) -> tuple[Any, ...]:
    of = {"at": hour if question.hourly else day_of(hour), "account": facts.account, "value": value}
    return tuple(of[name] for name in question.by)


def _facts(question: Question) -> Iterator[bytes]:
    params = {
        "start": question.start,
        "end": question.end,
        "accounts": None if question.accounts is None else list(question.accounts),
        **{name: question.facets.get(name) for name in ("queue", "agent", "language")},
    }
    with connection.cursor() as cursor:
        cursor.execute(FACTS, params)
        for (counted,) in cursor.fetchall():
            yield counted
