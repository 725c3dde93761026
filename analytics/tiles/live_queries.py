"""What is true right now: open chats, who waits, windows that close, how each channel is. A few small queries."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import connection

from analytics.queries.chat_selection import MATCHES_FILTER
from analytics.tiles.dashboard_data import DashboardData, OpenChats
from channels_app.reply_window import window_length
from connect_bridge.models import OPEN_IN_SQL
from connect_bridge.models.lifecycle import SIDE_EVENT

#: Minutes after which an open send counts among the failures' whole.
YOUNG_MINUTES = 15
#: Hours before its end from which a window is closing soon.
CLOSING_HOURS = 4

#: Who has the chat: an agent; else the bot if it spoke last and Connect has reported no queue; else the queue.
OPEN = f"""
SELECT CASE WHEN NOT t.bot THEN 'agent'
            WHEN d.queued_at IS NULL AND l.role IS NOT NULL AND (l.role = 'CUSTOM_BOT' OR l.author = 'BOT') THEN 'bot'
            ELSE 'queue' END,
       COALESCE(f.waiting_since, CASE WHEN t.bot THEN t.requested_at END)
  FROM connect_bridge_contact t
  JOIN connect_bridge_conversation c ON c.id = t.conversation_id
  LEFT JOIN analytics_chatfact f0 ON f0.unit = t.id
  CROSS JOIN LATERAL (SELECT c.account_id, COALESCE(f0.queue, '') AS queue, COALESCE(f0.agent, t.agent_name) AS agent,
                             COALESCE(f0.language, '') AS language, f0.waiting_since) f
  LEFT JOIN analytics_contactdetail d ON d.contact_id = t.id
  LEFT JOIN LATERAL (SELECT m.role, m.author FROM connect_bridge_message m
                      WHERE m.contact_id = t.id AND m.direction = 'out' ORDER BY m.sequence DESC LIMIT 1) l ON true
 WHERE t.state IN {OPEN_IN_SQL} {MATCHES_FILTER}
"""  # noqa: S608 - constants
YOUNG = f"""
SELECT count(*) FROM connect_bridge_message m JOIN analytics_chatfact f ON f.unit = m.contact_id
 WHERE m.direction = 'out' AND m.status = 'stored' AND m.created_at > %(now)s - interval '{YOUNG_MINUTES} minutes'
   {MATCHES_FILTER}
"""  # noqa: S608 - constants
ACCOUNTS = """
SELECT a.id, h.settled, h.failed, h.received
  FROM channels_app_channelaccount a
  LEFT JOIN LATERAL (
      SELECT COALESCE(sum(r.settled), 0)::bigint AS settled, COALESCE(sum(r.failed), 0)::bigint AS failed,
             COALESCE(sum(r.received), 0)::bigint AS received
        FROM analytics_rollup r WHERE r.grain = 'h' AND r.facet = 'account' AND r.account_id = a.id
         AND r.at > %(now)s - interval '2 hours') h ON true
 ORDER BY a.kind, a.name
"""
#: Conversations in which the customer has the last word and whose window closed lately, or not yet. Reactions and edits
#: are no words; what our side wrote elsewhere is an answer.
WINDOWS = f"""
SELECT c.id, c.account_id, i.display_name, i.handle, c.last_inbound_at, m.direction, m.sequence
  FROM connect_bridge_conversation c JOIN customers_identity i ON i.id = c.identity_id
  JOIN LATERAL (SELECT direction, role, sequence FROM connect_bridge_message m
                 WHERE m.conversation_id = c.id
                   AND ((m.direction = 'in' AND m.content_type <> '{SIDE_EVENT}')
                        OR m.role IN ('AGENT', 'SUPERVISOR', 'CUSTOM_BOT') OR m.author = 'BOT')
                 ORDER BY sequence DESC LIMIT 1) m ON m.direction = 'in' AND m.role = 'CUSTOMER'
 WHERE c.last_inbound_at > %(since)s AND (%(accounts)s::uuid[] IS NULL OR c.account_id = ANY(%(accounts)s::uuid[]))
 ORDER BY c.last_inbound_at LIMIT 500
"""  # noqa: S608 - a constant


#: What customers wrote and Amazon Connect has not taken, unless the account itself holds it back.
UNTAKEN = f"""
SELECT count(*), min(m.created_at)
  FROM connect_bridge_message m JOIN connect_bridge_conversation c ON c.id = m.conversation_id
 CROSS JOIN LATERAL (SELECT c.account_id, ''::text AS queue, ''::text AS agent, ''::text AS language) f
 WHERE m.direction = 'in' AND m.status = 'stored' AND m.error_code NOT IN ('paused', 'closed') {MATCHES_FILTER}
"""  # noqa: S608 - constants


class AccountNow(msgspec.Struct, frozen=True, kw_only=True):
    """What the last two hours brought an account."""

    id: uuid.UUID
    settled: int
    failed: int
    received: int


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A customer who has the last word, and when the messenger's window for free text closes."""

    conversation: uuid.UUID
    account: uuid.UUID
    name: str
    closes_at: datetime


def open_chats(data: DashboardData) -> OpenChats:
    """Return who has the open chats; one query for all tiles of a page."""
    if data.open_chats is None:
        data.open_chats = _open_chats(data)
    return data.open_chats


def _open_chats(data: DashboardData) -> OpenChats:
    counted = {"bot": 0, "queue": 0, "agent": 0}
    oldest: datetime | None = None
    for holder, since in _rows(OPEN, data.filter_params):
        counted[holder] += 1
        if since is not None and (oldest is None or since < oldest):
            oldest = since
    return OpenChats(oldest=oldest, **counted)


def young_unsettled(data: DashboardData) -> int:
    """Return how many sends are open and may be: they are no older than a quarter of an hour."""
    return int(_rows(YOUNG, data.filter_params)[0][0])


def untaken(data: DashboardData) -> tuple[int, datetime | None]:
    """Return how many customers' messages Amazon Connect has not taken, and when the oldest of them came."""
    count, oldest = _rows(UNTAKEN, data.filter_params)[0]
    return int(count), oldest


def accounts(data: DashboardData) -> list[AccountNow]:
    names = AccountNow.__struct_fields__
    return [AccountNow(**dict(zip(names, row, strict=True))) for row in _rows(ACCOUNTS, {"now": data.now})]


def windows(data: DashboardData) -> list[Window]:
    """Return who has the last word and a window that closes soon or closed within a day; the most urgent first."""
    known = {account.id: account.kind for account in data.all_accounts}
    lengths = {kind: length for kind in set(known.values()) if (length := window_length(kind))}
    if not lengths:
        return []
    since = data.now - max(lengths.values()) - timedelta(hours=24)
    windows = []
    for conversation, account, name, handle, spoke_at, _, _ in _rows(WINDOWS, {**data.filter_params, "since": since}):
        length = lengths.get(known.get(account, ""))
        if length and spoke_at + length < data.now + timedelta(hours=CLOSING_HOURS):
            windows.append(
                Window(conversation=conversation, account=account, name=name or handle, closes_at=spoke_at + length)
            )
    return sorted(windows, key=lambda window: (window.closes_at < data.now, window.closes_at))


def _rows(query: str, params: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, dict(params))
        return list(cursor.fetchall())
