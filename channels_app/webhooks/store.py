"""Store webhooks and their events: one SQL statement for any number of them, the same for both endpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import Error as DjangoError
from django.db import IntegrityError as DjangoIntegrityError
from django.db import connection as django_connection

from channels_app.infrastructure.failpoints import failpoint
from channels_app.webhooks.entries import INTAKE_CHANNEL
from channels_app.webhooks.guard import not_found
from channels_app.webhooks.intake import ParsedDelivery
from channels_app.webhooks.responses import Refused, unavailable

#: The ids of events follow the order in which they came, while the rows go in by key: two statements that meet on the
#: same keys then wait for each other in the same order, and cannot deadlock. Foreign keys are checked at the end of the
#: statement, so the events may go first and decide the state of their delivery. Repeating the statement does no harm.
STORE = f"""
WITH delivery AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(accounts)s::uuid[], %(received)s::timestamptz[], %(requests)s::text[],
                         %(headers)s::text[], %(queries)s::text[], %(bodies)s::bytea[], %(states)s::text[],
                         %(reasons)s::text[], %(counts)s::int[])
        AS d(id, account_id, received_at, request_id, headers, query, body, state, reason, entries)
), event AS MATERIALIZED (
    SELECT nextval('channels_app_inboundentry_id_seq') AS id, e.*
      FROM unnest(%(event_deliveries)s::uuid[], %(event_accounts)s::uuid[], %(keys)s::text[], %(types)s::text[],
                  %(senders)s::text[], %(shards)s::smallint[], %(events)s::text[], %(event_states)s::text[],
                  %(outcomes)s::text[])
        AS e(delivery_id, account_id, key, type, sender, shard, event, state, outcome)
), fresh AS (
    INSERT INTO channels_app_inboundentry (id, delivery_id, account_id, key, type, sender, shard, event, state, outcome,
                                           attempts, due_at, created_at, done_at)
    SELECT id, delivery_id, account_id, key, type, sender, shard, event::jsonb, state, outcome,
           0, now(), now(), CASE WHEN state = 'done' THEN now() END
      FROM event ORDER BY account_id, key, id
        ON CONFLICT (account_id, key) DO NOTHING
    RETURNING delivery_id, state
), counted AS (
    SELECT delivery_id, count(*) FILTER (WHERE state = 'pending') AS pending FROM fresh GROUP BY delivery_id
), judged AS (
    SELECT d.*, CASE WHEN d.entries > 0 AND c.delivery_id IS NULL THEN 'duplicate' ELSE d.state END AS verdict
      FROM delivery d LEFT JOIN counted c ON c.delivery_id = d.id
), kept AS (
    INSERT INTO channels_app_webhookdelivery (id, account_id, received_at, request_id, headers, query, body, state,
                                              reason)
    SELECT id, account_id, received_at, request_id, headers::jsonb, query, body, verdict,
           CASE WHEN verdict = 'duplicate' THEN '' ELSE reason END
      FROM judged
        ON CONFLICT (id) DO NOTHING
)
SELECT id, verdict, (SELECT count(pg_notify('{INTAKE_CHANNEL}', '')) FROM counted WHERE pending > 0) FROM judged
"""  # noqa: S608 - a constant
#: The same, its arrays sent in binary: spares the escaping of every quote in every event. Django's cursor cannot.
_STORE_BINARY = re.sub(r"(%\(\w+\))s", r"\1b", STORE)


def parameters(batch: Sequence[ParsedDelivery]) -> dict[str, Any]:
    """Return the arrays for STORE."""
    events = [(parsed, entry) for parsed in batch for entry in parsed.entries]
    return {
        "ids": [parsed.id for parsed in batch],
        "accounts": [parsed.account for parsed in batch],
        "received": [parsed.received_at for parsed in batch],
        "requests": [parsed.request_id for parsed in batch],
        "headers": [parsed.headers for parsed in batch],
        "queries": [parsed.query for parsed in batch],
        "bodies": [parsed.body for parsed in batch],
        "states": [str(parsed.state) for parsed in batch],
        "reasons": [parsed.reason for parsed in batch],
        "counts": [len(parsed.entries) for parsed in batch],
        "event_deliveries": [parsed.id for parsed, _ in events],
        "event_accounts": [parsed.account for parsed, _ in events],
        "keys": [entry.key for _, entry in events],
        "types": [entry.type for _, entry in events],
        "senders": [entry.sender for _, entry in events],
        "shards": [entry.shard for _, entry in events],
        "events": [entry.event for _, entry in events],
        "event_states": [entry.state for _, entry in events],
        "outcomes": [entry.outcome for _, entry in events],
    }


async def store_batch(connection: psycopg.AsyncConnection[Any], batch: Sequence[ParsedDelivery]) -> list[str]:
    """Store a batch and return each delivery's final state, in order. Durable when it returns (autocommit)."""
    failpoint("I1")
    cursor = await connection.execute(_STORE_BINARY, parameters(batch))
    verdicts = {row[0]: row[1] for row in await cursor.fetchall()}
    failpoint("I2")
    return [verdicts[parsed.id] for parsed in batch]


def store(parsed: ParsedDelivery) -> str:
    """Store one delivery through Django's connection and return its final state."""
    with django_connection.cursor() as cursor:
        cursor.execute(STORE, parameters([parsed]))
        return str(cursor.fetchone()[1])


def refusal_of(problem: psycopg.Error | DjangoError) -> Refused:
    """Return the answer when a webhook could not be stored: 503, so that it comes again.

    A broken reference means that the account was deleted a moment ago.
    """
    if isinstance(problem, (psycopg.IntegrityError, DjangoIntegrityError)):
        return not_found()
    return unavailable()
