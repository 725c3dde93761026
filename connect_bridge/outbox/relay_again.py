"""Relay customers' messages to Amazon Connect again: those that failed, and those that wait, at once."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from channels_app.webhooks.entries import INTAKE_CHANNEL
from connect_bridge.connect.gateway import NotPassed
from connect_bridge.models import Message
from connect_bridge.outbox.resend import GONE

#: Messages of one transaction.
BATCH = 200
LOCK = """
SELECT 1 FROM connect_bridge_conversation WHERE id IN (
    SELECT conversation_id FROM connect_bridge_message WHERE id = ANY(%(ids)s)) ORDER BY id FOR NO KEY UPDATE
"""
#: What failed begins again, in its old place: before what waits behind it. What Connect took of it in part is not sent
#: again, unless Connect passed that on to nobody. What waits is due now, and keeps its attempts and error. What was
#: erased or has expired is left alone: nobody is to read what stands in its place, and no chat begins with it.
RESTART = """
WITH restarted AS (
    UPDATE connect_bridge_message
       SET due_at = now(), status = 'stored', settled_at = NULL,
           attempts = CASE status WHEN 'failed' THEN 0 ELSE attempts END,
           relayed = CASE error_code WHEN %(not_passed)s THEN 0 ELSE relayed END,
           error_code = CASE status WHEN 'failed' THEN '' ELSE error_code END,
           error_detail = CASE status WHEN 'failed' THEN '' ELSE error_detail END
     WHERE id = ANY(%(ids)s) AND direction = 'in' AND status IN ('failed', 'stored')
       AND NOT (original IS NULL AND text = ANY(%(gone)s)) RETURNING id, conversation_id
), activated AS (
    UPDATE connect_bridge_conversation SET active = true
     WHERE NOT active AND id IN (SELECT conversation_id FROM restarted)
)
SELECT id FROM restarted
"""


class State(StrEnum):
    """Which messages are meant."""

    FAILED = "failed"
    WAITING = "waiting"


_STATUSES = {State.FAILED: Message.Status.FAILED, State.WAITING: Message.Status.STORED}


@dataclass(slots=True)
class Plan:
    """The messages that would be relayed, in their order; how many of each account and error."""

    going: list[uuid.UUID] = field(default_factory=list)
    counts: Counter[tuple[uuid.UUID, str]] = field(default_factory=Counter)


def plan(
    states: Collection[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    account: uuid.UUID | None = None,
    ids: Collection[uuid.UUID] = (),
) -> Plan:
    """Return what would be relayed again: what failed, or was stored, in that time. Reads only."""
    chosen = Q(direction=Message.Direction.INBOUND, status__in=[_STATUSES[State(state)] for state in states])
    if since is not None:
        chosen &= Q(at__gte=since)
    if until is not None:
        chosen &= Q(at__lt=until)
    if account is not None:
        chosen &= Q(conversation__account=account)
    if ids:
        chosen &= Q(pk__in=ids)
    chosen &= ~Q(original__isnull=True, text__in=GONE)
    rows = Message.objects.annotate(at=Coalesce(F("settled_at"), F("created_at"))).filter(chosen)
    planned = Plan()
    for key, owner, error in rows.order_by("sequence").values_list("pk", "conversation__account", "error_code"):
        planned.going.append(key)
        planned.counts[owner, error] += 1
    return planned


def carry_out(plan: Plan) -> Iterator[list[uuid.UUID]]:
    """Relay the planned messages, batch by batch; yield the ids of each batch. What has changed since stays."""
    for start in range(0, len(plan.going), BATCH):
        yield relay_again(plan.going[start : start + BATCH])


def relay_again(messages: Collection[uuid.UUID]) -> list[uuid.UUID]:
    """Make these due, as far as Connect has not taken them, and return their ids; idempotent. Bridges are woken."""
    params: dict[str, Any] = {"ids": list(messages), "gone": list(GONE), "not_passed": NotPassed.code}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, params)
        cursor.execute(RESTART, params)
        restarted = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT pg_notify(%s, '')", [INTAKE_CHANNEL])
    return restarted
