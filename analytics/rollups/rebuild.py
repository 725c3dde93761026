"""Counts everything anew: deletes all sums and facts, and marks every chat as changed."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from analytics.models import Change, ChatFact, Rollup, RollupState
from analytics.rollups.time_buckets import DAY
from analytics.rollups.update import LOCK
from connect_bridge.models import Contact, Message

MARK = """
INSERT INTO analytics_change (conversation_id, contact_id, at)
SELECT conversation_id, id, now() FROM connect_bridge_contact ORDER BY requested_at
"""
MARK_OUTSIDE = """
INSERT INTO analytics_change (conversation_id, contact_id, at)
SELECT DISTINCT conversation_id, NULL::uuid, now() FROM connect_bridge_message WHERE contact_id IS NULL
"""
#: TRUNCATE would wait for readers.
EMPTY = (
    "DELETE FROM analytics_rollupbin",
    "DELETE FROM analytics_rollup",
    "DELETE FROM analytics_chatfact",
    "DELETE FROM analytics_change",
)


def forgets() -> datetime | None:
    """Return the oldest hour that a rebuild would lose, because its messages were deleted; None if it loses nothing."""
    oldest = Rollup.objects.order_by("at").values_list("at", flat=True).first()
    first = [
        Contact.objects.order_by("requested_at").values_list("requested_at", flat=True).first(),
        Message.objects.order_by("created_at").values_list("created_at", flat=True).first(),
    ]
    kept = min((at for at in first if at is not None), default=None)
    return oldest if oldest is not None and (kept is None or kept - oldest > DAY) else None


def begin() -> int:
    """Delete what was counted and mark all chats; return how many there are to count. One transaction."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for statement in EMPTY:
            cursor.execute(statement)
        cursor.execute(MARK)
        cursor.execute(MARK_OUTSIDE)
        whole = Change.objects.count()
        values = {"zone": settings.TIME_ZONE, "rebuild_of": whole}
        RollupState.objects.update_or_create(pk=1, defaults=values)
    return whole


def in_another_zone() -> bool:
    """Return whether the hours were counted in another zone than today's TIME_ZONE."""
    state = RollupState.objects.filter(pk=1).first()
    return state is not None and state.zone != settings.TIME_ZONE and ChatFact.objects.exists()
