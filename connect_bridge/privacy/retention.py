"""Empty what was kept long enough: raw webhooks, texts, calls, each for as many days as its setting says.

Rows stay, empty, and keep counts and keys; only records of calls to providers go whole. A mark says how far each class
has been emptied, so that a pass begins where the last one ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from channels_app.privacy.retention import DELETE_CALLS, EMPTY_DELIVERIES, EMPTY_EVENTS
from connect_bridge.models import EXPIRED
from connect_bridge.privacy.hooks import erase_above

log = logging.getLogger(__name__)

#: Rows of one transaction.
STEP = 1_000
#: The class of data of which apps above keep something, too.
WORDS = "words"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

MARK = "SELECT until FROM connect_bridge_retentionmark WHERE data_class = %(name)s FOR UPDATE SKIP LOCKED"
MAKE_MARK = """
INSERT INTO connect_bridge_retentionmark (data_class, until) VALUES (%(name)s, %(epoch)s) ON CONFLICT DO NOTHING
"""
MOVE_MARK = "UPDATE connect_bridge_retentionmark SET until = %(until)s WHERE data_class = %(name)s"


@dataclass(frozen=True, slots=True)
class DataClass:
    """One class of data. `batch` finds the next rows and their times; `empty` is run on their ids."""

    setting: str
    batch: str
    empty: tuple[str, ...]


def _batch(table: str, moment: str) -> str:
    """Return the query for the next rows; further rows with the time of the last one are included."""
    return (
        f"SELECT id, {moment} FROM {table} WHERE {moment} > %(since)s AND {moment} < %(before)s"  # noqa: S608 - constants
        f" ORDER BY {moment} FETCH FIRST %(step)s ROWS WITH TIES"
    )


EMPTY_ORIGINALS = """
UPDATE connect_bridge_message m SET original = NULL FROM channels_app_inboundentry e
 WHERE e.id = m.entry_id AND e.delivery_id = ANY(%(ids)s)
"""
EMPTY_MESSAGES = """
UPDATE connect_bridge_message SET text = %(expired)s, original = NULL, error_detail = '',
       author = CASE WHEN direction = 'in' THEN '' ELSE author END
 WHERE id = ANY(%(ids)s)
"""
EMPTY_SENDS = """
UPDATE connect_bridge_outboxentry SET text = %(expired)s, error_detail = ''
 WHERE message_id = ANY(%(ids)s) AND state IN ('accepted', 'dead')
"""
CLASSES: Mapping[str, DataClass] = {
    "raw": DataClass(
        "RETAIN_RAW_DAYS",
        _batch("channels_app_webhookdelivery", "received_at"),
        (EMPTY_DELIVERIES, EMPTY_ORIGINALS, EMPTY_EVENTS),
    ),
    WORDS: DataClass(
        "RETAIN_WORDS_DAYS", _batch("connect_bridge_message", "created_at"), (EMPTY_MESSAGES, EMPTY_SENDS)
    ),
    "calls": DataClass("RETAIN_CALLS_DAYS", _batch("channels_app_channellog", "at"), (DELETE_CALLS,)),
}


def retain(seconds: float, now: datetime | None = None) -> dict[str, int]:
    """Empty what is due, for so long at most; return how many rows of each class. Any number may run at once."""
    ends, done = time.monotonic() + seconds, {}
    for name, kind in CLASSES.items():
        days: int = getattr(settings, kind.setting)
        before = (now or datetime.now(UTC)) - timedelta(days=days)
        number, total = STEP if days > 0 else 0, 0
        while number >= STEP and time.monotonic() < ends:
            number = _step(name, kind, before)
            total += number
        done[name] = total
        if total:
            log.info("retention: %d rows of the class %s were emptied", total, name)
    return done


@transaction.atomic
def _step(name: str, kind: DataClass, before: datetime) -> int:
    """Empty the next rows and move the mark; return how many. 0 also if another process is doing so."""
    params: dict[str, Any] = {"name": name, "epoch": EPOCH, "before": before, "step": STEP, "expired": EXPIRED}
    with connection.cursor() as cursor:
        cursor.execute(MAKE_MARK, params)
        cursor.execute(MARK, params)
        mark = cursor.fetchone()
        if mark is None:
            return 0
        cursor.execute(kind.batch, {**params, "since": mark[0]})
        rows = cursor.fetchall()
        if not rows:
            return 0
        ids = [row[0] for row in rows]
        for statement in kind.empty:
            cursor.execute(statement, {**params, "ids": ids})
        if name == WORDS:
            erase_above(ids)
        cursor.execute(MOVE_MARK, {**params, "until": rows[-1][1]})
        return len(rows)
