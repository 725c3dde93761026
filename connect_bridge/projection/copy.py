"""Keep a copy of all messages in DynamoDB, where settings name a table: exactly the database's, within seconds.

A trigger notes every message that is stored, changed or deleted (migration 0008), in the same transaction: what commits
is noted, what does not is not. One process at a time copies the noted messages and deletes a note only if nothing
changed meanwhile, so it may be killed anywhere, and DynamoDB may be away for any time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from django.conf import settings
from psycopg.rows import class_row

from channels_app.infrastructure.db import connect_parameters
from channels_app.infrastructure.failpoints import failpoint
from connect_bridge.projection.dynamodb import Row, Table, Unavailable, item_of, key_of

log = logging.getLogger(__name__)

#: Messages of one round: twenty calls.
ROUND = 500
#: Key of the advisory lock; nothing else in this database uses it.
PROJECTING = 5_047_002
#: As which pg_stat_activity shows us.
NAME = "parley-projection"

COLUMNS = """m.id, c.identity_id AS identity, c.account_id AS account, a.kind AS channel, m.contact_id AS contact,
       m.direction, m.role, m.author, m.content_type, m.text, m.status, m.error_code, m.error_detail, m.occurred_at,
       m.created_at"""
JOINS = """LEFT JOIN connect_bridge_conversation c ON c.id = m.conversation_id
  LEFT JOIN channels_app_channelaccount a ON a.id = c.account_id"""
NOTED = f"""
SELECT p.message_id AS message, p.conversation, p.sequence, p.version, {COLUMNS}
  FROM connect_bridge_projectionnote p LEFT JOIN connect_bridge_message m ON m.id = p.message_id {JOINS}
 ORDER BY p.version LIMIT %(most)s
"""  # noqa: S608 - a constant
#: What is being changed at this moment will be noted anew: no lock is waited for.
DONE = """
DELETE FROM connect_bridge_projectionnote WHERE message_id IN (
    SELECT p.message_id FROM connect_bridge_projectionnote p
      JOIN unnest(%(messages)s::uuid[], %(versions)s::bigint[]) AS d (id, version)
        ON d.id = p.message_id AND d.version = p.version
       FOR UPDATE OF p SKIP LOCKED)
"""
NOTE_ALL = """
INSERT INTO connect_bridge_projectionnote (message_id, conversation, sequence, version, at)
SELECT id, conversation_id, sequence, nextval('connect_bridge_projection_version'), now() FROM connect_bridge_message
 ORDER BY id ON CONFLICT (message_id) DO UPDATE SET version = EXCLUDED.version
"""
COPIED_TO = "SELECT table_name, complete FROM connect_bridge_projection"
COPY_TO = """
INSERT INTO connect_bridge_projection (id, table_name, complete, since) VALUES (1, %(table)s, %(complete)s, now())
    ON CONFLICT (id) DO UPDATE SET table_name = EXCLUDED.table_name, complete = EXCLUDED.complete, since = now()
"""
WAITING = "SELECT count(*), min(at) FROM connect_bridge_projectionnote"

Connection = psycopg.Connection[Any]


class Busy(Exception):
    """Another process is copying."""


@contextmanager
def alone() -> Iterator[Connection]:
    """Give a connection while no other process projects. Raises Busy."""
    params = {**connect_parameters(), "autocommit": True, "application_name": NAME}
    with psycopg.connect(**params) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [PROJECTING]).fetchone()
        if row is None or not row[0]:
            raise Busy
        try:
            yield connection
        finally:  # now: the server may take its time to see that a connection was closed
            with suppress(psycopg.Error):
                connection.execute("SELECT pg_advisory_unlock(%s)", [PROJECTING])


@contextmanager
def switched_on() -> Iterator[Connection]:
    """Give the connection on which to project, with changes being noted. Raises Busy."""
    with alone() as connection:
        switch(connection)
        yield connection


def switch(connection: Connection) -> bool:
    """Note changes from now on, and all that there is, if settings name a table; stop noting if not.

    Returns whether there is a table. Whoever is in the middle of storing a message is waited for, once.
    """
    row = connection.execute(COPIED_TO).fetchone()
    copied_to, complete = row or ("", True)
    table: str = settings.DYNAMODB_TABLE
    if copied_to != table:
        with connection.transaction():
            # A statement that began before this would not see that it has to note what it stores.
            connection.execute("LOCK TABLE connect_bridge_message IN SHARE ROW EXCLUSIVE MODE")
            connection.execute(COPY_TO, {"table": table, "complete": not table})
            connection.execute("TRUNCATE connect_bridge_projectionnote")
        log.info("messages are %s", f"copied to DynamoDB: {table}" if table else "no longer copied to DynamoDB")
    if table and (copied_to != table or not complete):
        connection.execute(NOTE_ALL)
        connection.execute(COPY_TO, {"table": table, "complete": True})
    return bool(table)


def catch_up(connection: Connection, table: Table, seconds: float = float("inf")) -> int:
    """Copy what was noted, for `seconds` at most; return how many messages. Raises Unavailable, psycopg.Error."""
    ends, copied = time.monotonic() + seconds, 0
    while time.monotonic() < ends and (rows := _noted(connection)):
        table.write([item_of(row) for row in rows if row.id], [_key(row) for row in rows if not row.id])
        failpoint("D1")
        params = {"messages": [row.message for row in rows], "versions": [row.version for row in rows]}
        connection.execute(DONE, params)
        copied += len(rows)
    return copied


def project(seconds: float) -> int:
    """Copy for a while; return how many messages were copied, 0 if another process is copying."""
    try:
        with alone() as connection:
            return catch_up(connection, Table(), seconds) if switch(connection) else 0
    except Busy:
        return 0
    except Unavailable as trouble:
        log.warning("%s", trouble)
        return 0


def _noted(connection: Connection) -> Sequence[Row]:
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(NOTED.encode(), {"most": ROUND}).fetchall()


def _key(row: Row) -> dict[str, dict[str, str]]:
    return key_of(row.conversation, row.sequence)
