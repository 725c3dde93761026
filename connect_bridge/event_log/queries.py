"""Every webhook and every send in one list, the newest first."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import LiteralString

import msgspec

from channels_app.infrastructure.rows import read_rows, read_tuples
from channels_app.models import ChannelAccount

#: How many rows a page shows.
PAGE = 50


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
class EventFilter:
    """What to list. `before` is where the page before ended. `ids` limits the list to the results of a search."""

    direction: str = ""
    fate: str = ""
    account: uuid.UUID | None = None
    since: datetime | None = None
    before: datetime | None = None
    ids: dict[str, list[uuid.UUID]] | None = None


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
#: The conditions of a failed, a waiting and a done webhook, then send. Each has its own partial index.
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
SELECT r.id FROM connect_bridge_replay, jsonb_array_elements_text(rows) AS r (id)
 WHERE rows ?| %(ids)s::text[] AND r.id = ANY(%(ids)s::text[])
"""


def list_events(criteria: EventFilter) -> list[Event]:
    """Return one page and one row more, if there is one, the newest first. At most four queries."""
    rows: list[Event] = []
    if criteria.direction != Direction.OUT:
        rows += _read(_INBOUND, _where_in(criteria), "", criteria)
    if criteria.direction != Direction.IN:
        join = _OF_ACCOUNT if criteria.account else ""
        rows += _read(_OUTBOUND, _where_out(criteria), join, criteria)
    rows.sort(key=lambda row: row.at, reverse=True)
    return _with_names(rows[: PAGE + 1])


def _where_in(criteria: EventFilter) -> list[LiteralString]:
    conditions: list[LiteralString] = ["d.received_at < %(before)s"] if criteria.before else []
    conditions += ["d.received_at >= %(since)s"] if criteria.since else []
    conditions += ["d.account_id = %(account)s"] if criteria.account else []
    conditions += [_IN_FATE[criteria.fate]] if criteria.fate else []
    return [*conditions, "d.id = ANY(%(in)s)"] if criteria.ids is not None else conditions


def _where_out(criteria: EventFilter) -> list[LiteralString]:
    conditions: list[LiteralString] = ["o.created_at < %(before)s"] if criteria.before else []
    conditions += ["o.created_at >= %(since)s"] if criteria.since else []
    conditions += ["oc.account_id = %(account)s"] if criteria.account else []
    conditions += [_OUT_FATE[criteria.fate]] if criteria.fate else []
    return [*conditions, "o.id = ANY(%(out)s)"] if criteria.ids is not None else conditions


def _read(
    query: LiteralString, where: Sequence[LiteralString], join: LiteralString, criteria: EventFilter
) -> list[Event]:
    ids = criteria.ids or {}
    params = {
        "before": criteria.before,
        "since": criteria.since,
        "account": criteria.account,
        "in": ids.get(Direction.IN, []),
        "out": ids.get(Direction.OUT, []),
        "most": PAGE + 1,
    }
    return read_rows(Event, query.format(where=" AND ".join(where) or "true", join=join), params)


def _with_names(rows: Sequence[Event]) -> list[Event]:
    """Add the names of the accounts, and whether a person has started a row again."""
    accounts = {row[0]: row[1:] for row in ChannelAccount.objects.values_list("pk", "name", "kind")}
    replayed = {row[0] for row in read_tuples(REPLAYED, {"ids": [str(row.id) for row in rows]})}
    return [
        msgspec.structs.replace(
            row,
            account_name=accounts.get(row.account, ("", ""))[0],
            kind=accounts.get(row.account, ("", ""))[1],
            replayed=str(row.id) in replayed,
        )
        for row in rows
    ]
