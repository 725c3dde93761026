"""Every webhook and every send in one list, the newest first, found by any id that somebody may quote."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import LiteralString

import msgspec
from django.db import connection

from channels_app.infrastructure.rows import read_rows
from channels_app.models import ChannelAccount

#: Rows on a page.
PAGE = 50
#: Rows of each kind that a search follows: who looks for more than that looks for something else.
MOST_FOUND = 200


class Direction(StrEnum):
    IN = "in"
    OUT = "out"


class Fate(StrEnum):
    """Where something is, in words that fit both directions."""

    FAILED = "failed"
    WAITING = "waiting"
    DONE = "done"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook, or one send. `seconds` is from our receipt to Connect's, or from the agent's to the messenger's."""

    id: uuid.UUID
    direction: str
    at: datetime
    account: uuid.UUID
    type: str
    customer: str
    state: str
    reason: str
    code: str
    attempts: int
    seconds: float | None
    correlation: str
    events: int = 1
    account_name: str = ""
    kind: str = ""
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be listed. `before` is where the former page ended. `found` limits it to what a search found."""

    direction: str = ""
    fate: str = ""
    account: uuid.UUID | None = None
    since: datetime | None = None
    before: datetime | None = None
    found: dict[str, list[uuid.UUID]] | None = None


_INBOUND: LiteralString = """
SELECT d.id, 'in' AS direction, d.received_at AS at, d.account_id AS account, COALESCE(e.type, '') AS type,
       COALESCE(NULLIF(i.display_name, ''), NULLIF(i.handle, ''), e.sender, '') AS customer,
       CASE WHEN d.state <> 'accepted' THEN d.state
            WHEN e.state = 'pending' THEN 'waiting' WHEN e.state <> 'done' THEN e.state
            WHEN m.id IS NULL THEN 'kept' ELSE m.status END AS state,
       COALESCE(NULLIF(d.reason, ''), NULLIF(m.error_detail, ''), e.outcome, '') AS reason,
       COALESCE(m.error_code, '') AS code, COALESCE(m.attempts, e.attempts, 0) AS attempts,
       EXTRACT(EPOCH FROM m.relayed_at - d.received_at)::float8 AS seconds, d.request_id AS correlation,
       COALESCE(e.count, 0) AS events
  FROM (SELECT * FROM channels_app_webhookdelivery d WHERE {where} ORDER BY d.received_at DESC LIMIT %(most)s) d
  LEFT JOIN LATERAL (SELECT x.*, count(*) OVER () AS count FROM channels_app_inboundentry x WHERE x.delivery_id = d.id
                      ORDER BY x.state = 'done', x.id LIMIT 1) e ON true
  LEFT JOIN connect_bridge_message m ON m.entry_id = e.id
  LEFT JOIN connect_bridge_conversation c ON c.id = m.conversation_id
  LEFT JOIN customers_identity i ON i.id = c.identity_id
"""
_OUTBOUND: LiteralString = """
SELECT o.id, 'out' AS direction, o.created_at AS at, c.account_id AS account, lower(m.role) AS type,
       COALESCE(NULLIF(i.display_name, ''), NULLIF(i.handle, ''), c.recipient) AS customer,
       CASE WHEN o.state = 'accepted' AND m.status <> 'stored' THEN m.status
            WHEN o.state IN ('pending', 'claimed') THEN 'waiting' WHEN o.state = 'dead' THEN 'failed'
            ELSE o.state END AS state,
       o.error_detail AS reason,
       concat_ws(' ', NULLIF(o.error_code, ''), NULLIF(o.provider_code, '')) AS code, o.attempts,
       EXTRACT(EPOCH FROM o.settled_at - o.created_at)::float8 AS seconds, o.id::text AS correlation
  FROM (SELECT o.* FROM connect_bridge_outboxentry o {join} WHERE {where} ORDER BY o.created_at DESC LIMIT %(most)s) o
  JOIN connect_bridge_message m ON m.id = o.message_id
  JOIN connect_bridge_conversation c ON c.id = o.conversation_id
  JOIN customers_identity i ON i.id = c.identity_id
"""
_OF_ACCOUNT: LiteralString = "JOIN connect_bridge_conversation oc ON oc.id = o.conversation_id"
#: What a failed, a waiting webhook or send is. Each has a partial index of its own.
_IN_FATE: dict[str, LiteralString] = {
    Fate.FAILED: "(d.state = 'quarantined' OR d.id IN (SELECT delivery_id FROM channels_app_inboundentry"
    " WHERE state = 'quarantined') OR d.id IN (SELECT e.delivery_id FROM connect_bridge_message m"
    " JOIN channels_app_inboundentry e ON e.id = m.entry_id WHERE m.direction = 'in' AND m.status = 'failed'))",
    Fate.WAITING: "(d.id IN (SELECT delivery_id FROM channels_app_inboundentry WHERE state IN ('pending', 'parked')) OR"
    " d.id IN (SELECT e.delivery_id FROM connect_bridge_message m JOIN channels_app_inboundentry e ON e.id = m.entry_id"
    " WHERE m.direction = 'in' AND m.status = 'stored'))",
    Fate.DONE: "d.state <> 'quarantined'",
}
_OUT_FATE: dict[str, LiteralString] = {
    Fate.FAILED: "o.state IN ('dead', 'uncertain')",
    Fate.WAITING: "o.state IN ('pending', 'claimed')",
    Fate.DONE: "o.state = 'accepted'",
}
REPLAYED = """
SELECT r.one FROM connect_bridge_replay, jsonb_array_elements_text(rows) AS r (one)
 WHERE rows ?| %(ids)s::text[] AND r.one = ANY(%(ids)s::text[])
"""


def page(wanted: Wanted) -> list[Event]:
    """Return one page, the newest first. At most four queries, whatever is wanted."""
    rows: list[Event] = []
    if wanted.direction != Direction.OUT:
        rows += _rows(_INBOUND, _where_in(wanted), "", wanted)
    if wanted.direction != Direction.IN:
        join = _OF_ACCOUNT if wanted.account else ""
        rows += _rows(_OUTBOUND, _where_out(wanted), join, wanted)
    rows.sort(key=lambda row: row.at, reverse=True)
    return _named(rows[: PAGE + 1])


def _where_in(wanted: Wanted) -> list[LiteralString]:
    found: list[LiteralString] = ["d.received_at < %(before)s"] if wanted.before else []
    found += ["d.received_at >= %(since)s"] if wanted.since else []
    found += ["d.account_id = %(account)s"] if wanted.account else []
    found += [_IN_FATE[wanted.fate]] if wanted.fate else []
    return [*found, "d.id = ANY(%(in)s)"] if wanted.found is not None else found


def _where_out(wanted: Wanted) -> list[LiteralString]:
    found: list[LiteralString] = ["o.created_at < %(before)s"] if wanted.before else []
    found += ["o.created_at >= %(since)s"] if wanted.since else []
    found += ["oc.account_id = %(account)s"] if wanted.account else []
    found += [_OUT_FATE[wanted.fate]] if wanted.fate else []
    return [*found, "o.id = ANY(%(out)s)"] if wanted.found is not None else found


def _rows(query: LiteralString, where: Sequence[LiteralString], join: LiteralString, wanted: Wanted) -> list[Event]:
    found = wanted.found or {}
    given = {
        "before": wanted.before,
        "since": wanted.since,
        "account": wanted.account,
        "in": found.get(Direction.IN, []),
        "out": found.get(Direction.OUT, []),
        "most": PAGE + 1,
    }
    return read_rows(Event, query.format(where=" AND ".join(where) or "true", join=join), given)


def _named(rows: Sequence[Event]) -> list[Event]:
    """Add what the accounts are called, and whether a person has set a row going again."""
    accounts = {row[0]: row[1:] for row in ChannelAccount.objects.values_list("pk", "name", "kind")}
    with connection.cursor() as cursor:
        cursor.execute(REPLAYED, {"ids": [str(row.id) for row in rows]})
        replayed = {row[0] for row in cursor.fetchall()}
    return [
        msgspec.structs.replace(
            row,
            account_name=accounts.get(row.account, ("", ""))[0],
            kind=accounts.get(row.account, ("", ""))[1],
            replayed=str(row.id) in replayed,
        )
        for row in rows
    ]


#: Where an id may be, each by an index where there is one. `q` is the text, `u` the same as a UUID or NULL.
_SEARCH: LiteralString = """
WITH accounts AS (SELECT array_agg(id) AS ids FROM channels_app_channelaccount),
entries AS (
    SELECT e.id, e.delivery_id FROM channels_app_inboundentry e, accounts a
     WHERE e.account_id = ANY(a.ids) AND e.key = ANY(ARRAY[%(q)s, 'm:' || %(q)s]) LIMIT %(most)s),
people AS (
    SELECT id FROM customers_identity WHERE external_id = %(p)s OR handle = %(p)s OR id = %(u)s OR customer_id = %(u)s
     UNION SELECT identity_id FROM customers_identityalias WHERE value = %(p)s LIMIT %(most)s),
talks AS (
    SELECT id FROM connect_bridge_conversation WHERE id = %(u)s OR identity_id IN (SELECT id FROM people)
     UNION SELECT conversation_id FROM connect_bridge_contact
            WHERE initial_contact_id = %(q)s OR contact_id = %(q)s OR id = %(u)s LIMIT %(most)s),
messages AS (
    (SELECT id, entry_id FROM connect_bridge_message WHERE id = %(u)s)
     UNION (SELECT id, entry_id FROM connect_bridge_message WHERE connect_item_id = %(q)s LIMIT %(most)s)
     UNION (SELECT id, entry_id FROM connect_bridge_message WHERE entry_id IN (SELECT id FROM entries))
     UNION (SELECT m.id, m.entry_id FROM talks t CROSS JOIN LATERAL (SELECT * FROM connect_bridge_message
             WHERE conversation_id = t.id ORDER BY sequence DESC LIMIT %(most)s) m))
SELECT 'in', delivery_id FROM entries
 UNION SELECT 'in', id FROM channels_app_webhookdelivery WHERE id = %(u)s
 UNION (SELECT 'in', id FROM channels_app_webhookdelivery WHERE request_id = %(q)s LIMIT %(most)s)
 UNION SELECT 'in', e.delivery_id FROM channels_app_inboundentry e WHERE e.id IN (SELECT entry_id FROM messages)
 UNION SELECT 'out', id FROM connect_bridge_outboxentry WHERE id = %(u)s OR message_id IN (SELECT id FROM messages)
 UNION SELECT 'out', s.entry_id FROM connect_bridge_sentid s, accounts a
        WHERE s.account_id = ANY(a.ids) AND s.provider_message_id = %(q)s
"""


def find(text: str, *, of_people: bool = True) -> dict[str, list[uuid.UUID]]:
    """Return the webhooks and sends to which an id, a number or a handle leads. One query.

    Not `of_people`: neither a number nor a handle, for who sees none.
    """
    term = text.strip().replace("\0", "")[:300]
    try:
        as_uuid = uuid.UUID(term)
    except ValueError:
        as_uuid = None
    found: dict[str, list[uuid.UUID]] = {Direction.IN: [], Direction.OUT: []}
    with connection.cursor() as cursor:
        given = {"q": term, "p": term if of_people else None, "u": as_uuid, "most": MOST_FOUND}
        cursor.execute(_SEARCH, given)
        for direction, key in cursor.fetchall():
            if key is not None:
                found[direction].append(key)
    return found


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Failures with one cause: how many, of how many customers, from when to when."""

    direction: str
    account: uuid.UUID
    code: str
    provider_code: str
    words: str
    count: int
    customers: int
    first: datetime
    last: datetime
    ids: list[uuid.UUID]
    account_name: str = ""
    kind: str = ""


#: Sends that failed, and webhooks that were set aside, by their cause. Numbers in a reason count as one cause.
_CAUSES: LiteralString = """
SELECT 'out' AS direction, c.account_id AS account, o.error_code AS code, o.provider_code,
       max(o.error_detail) AS words, count(*) AS count, count(DISTINCT c.identity_id) AS customers,
       min(o.settled_at) AS first, max(o.settled_at) AS last,
       (array_agg(o.id ORDER BY o.settled_at DESC))[1:%(most)s] AS ids
  FROM connect_bridge_outboxentry o JOIN connect_bridge_conversation c ON c.id = o.conversation_id
 WHERE o.state IN ('dead', 'uncertain') AND o.created_at >= %(since)s AND o.settled_at IS NOT NULL
   AND o.error_code <> 'earlier_part'
 GROUP BY 1, 2, 3, 4
UNION ALL
SELECT 'in', d.account_id, 'set_aside', '', max(d.reason), count(DISTINCT d.id), count(DISTINCT e.sender),
       min(d.received_at), max(d.received_at), (array_agg(DISTINCT d.id))[1:%(most)s]
  FROM channels_app_webhookdelivery d LEFT JOIN channels_app_inboundentry e ON e.delivery_id = d.id
 WHERE d.state = 'quarantined' AND d.received_at >= %(since)s
 GROUP BY d.account_id, regexp_replace(d.reason, '[0-9]+', '#', 'g')
 ORDER BY count DESC LIMIT 100
"""


def causes(since: datetime) -> list[Cause]:
    """Return why things failed since then, the most frequent cause first. Two queries."""
    found = read_rows(dict, _CAUSES, {"since": since, "most": MOST_FOUND})
    accounts = {row[0]: row[1:] for row in ChannelAccount.objects.values_list("pk", "name", "kind")}
    return [Cause(**row, account_name=accounts[row["account"]][0], kind=accounts[row["account"]][1]) for row in found]
