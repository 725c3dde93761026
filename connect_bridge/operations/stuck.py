"""Everything that has not come to an end after a minute: why not, since when, and what happens next.

One query for each kind of row, each by a partial index of the open rows alone: it stays fast however many are settled.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import connection

from channels_app.infrastructure.rows import read_rows
from channels_app.models import ChannelAccount
from connect_bridge.models import OPEN_IN_SQL
from connect_bridge.operations import stuck_reasons
from connect_bridge.operations.status import SILENT_AFTER, read_status
from connect_bridge.operations.stuck_reasons import Case

#: How many rows of each kind are shown, the oldest: what holds one up mostly holds up the others.
SHOWN = 50
MOST_SHOWN = 500
#: For how many days a customer's message that Connect refused is shown, unless it is relayed again.
REFUSED_DAYS = 3


class Kind(StrEnum):
    """What can be stuck; the values are those of the metric's label and of the API."""

    INTAKE = "intake"
    RECEIPT = "receipt"
    MESSAGE = "message"
    REFUSED = "refused"
    CONTACT = "contact"
    OUTBOX = "outbox"
    UNCERTAIN = "uncertain"
    UNDECIDED = "undecided"
    NOTICE = "notice"


#: For each kind: its table, the column since when a row waits, and the condition of an open row.
_OPEN: dict[Kind, tuple[str, str, str]] = {
    Kind.INTAKE: ("channels_app_inboundentry", "created_at", "state = 'pending'"),
    Kind.RECEIPT: ("channels_app_inboundentry", "created_at", "state = 'parked'"),
    Kind.MESSAGE: ("connect_bridge_message", "created_at", "direction = 'in' AND status = 'stored'"),
    Kind.REFUSED: (
        "connect_bridge_message",
        "settled_at",
        f"direction = 'in' AND status = 'failed' AND settled_at > now() - interval '{REFUSED_DAYS} days'",
    ),
    Kind.CONTACT: ("connect_bridge_contact", "requested_at", "state IN ('requested', 'started')"),
    Kind.OUTBOX: ("connect_bridge_outboxentry", "created_at", "state IN ('pending', 'claimed')"),
    Kind.UNCERTAIN: ("connect_bridge_outboxentry", "settled_at", "state = 'uncertain' AND look_at IS NOT NULL"),
    Kind.UNDECIDED: ("connect_bridge_outboxentry", "settled_at", "state = 'uncertain' AND look_at IS NULL"),
    Kind.NOTICE: (
        "connect_bridge_notice",
        "created_at",
        """told_at IS NULL AND due_at IS NOT NULL AND EXISTS (
            SELECT 1 FROM connect_bridge_contact t
             WHERE t.id = connect_bridge_notice.contact_id AND t.state = 'connected')""",
    ),
}
_CONVERSATION = "JOIN connect_bridge_conversation c ON c.id = r.conversation_id"
_ENTRY = "NULL::uuid AS conversation, r.account_id AS account, r.outcome AS detail, r.attempts, r.due_at AS next_at"
_SEND = "c.id AS conversation, c.account_id AS account, r.error_code AS code, r.error_detail AS detail"
#: What else is read about each kind's oldest rows (r): columns, and the joins that they need.
_ABOUT: dict[Kind, tuple[str, str]] = {
    Kind.INTAKE: (_ENTRY, ""),
    Kind.RECEIPT: (_ENTRY, ""),
    Kind.MESSAGE: (
        f"""{_SEND}, r.attempts, r.due_at AS next_at, t.reason AS chat_says, EXISTS (
            SELECT 1 FROM connect_bridge_message b WHERE b.conversation_id = r.conversation_id AND b.direction = 'in'
               AND b.status = 'stored' AND b.sequence < r.sequence) AS behind""",  # noqa: S608 - constants
        f"""{_CONVERSATION} LEFT JOIN connect_bridge_contact t ON t.conversation_id = c.id
            AND t.state IN {OPEN_IN_SQL}""",
    ),
    Kind.REFUSED: (f"{_SEND}, r.attempts", _CONVERSATION),
    Kind.CONTACT: (
        """c.id AS conversation, c.account_id AS account, r.reason AS detail, r.state,
           r.started_at + interval '5 minutes' AS next_at""",
        _CONVERSATION,
    ),
    Kind.OUTBOX: (
        f"""{_SEND}, r.attempts, r.state, a.enabled, p.until > now() AS paused, EXISTS (
            SELECT 1 FROM connect_bridge_outboxentry b WHERE b.conversation_id = r.conversation_id
               AND b.state IN ('pending', 'claimed') AND (b.sequence, b.part) < (r.sequence, r.part)) AS behind,
            CASE r.state WHEN 'claimed' THEN r.claimed_until ELSE GREATEST(r.due_at, p.until) END AS next_at""",  # noqa: S608 - constants
        f"""{_CONVERSATION} JOIN channels_app_channelaccount a ON a.id = c.account_id
            LEFT JOIN connect_bridge_accountpause p ON p.account_id = a.id""",
    ),
    Kind.UNCERTAIN: (f"{_SEND}, r.looks AS attempts, r.look_at AS next_at", _CONVERSATION),
    Kind.UNDECIDED: (f"{_SEND}, r.looks AS attempts", _CONVERSATION),
    Kind.NOTICE: (
        "c.id AS conversation, c.account_id AS account, r.error AS detail, r.attempts, r.due_at AS next_at",
        """JOIN connect_bridge_message m ON m.id = r.message_id
           JOIN connect_bridge_conversation c ON c.id = m.conversation_id""",
    ),
}
_OLD = f"now() - interval '{SILENT_AFTER} seconds'"


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckRow:
    """A row that waits. `next` says in words what happens by itself, `next_at` when, as far as that is known."""

    kind: Kind
    id: str
    account: uuid.UUID
    account_name: str
    conversation: uuid.UUID | None
    since: datetime
    why: str
    next: str
    next_at: datetime | None

    @property
    def model(self) -> str:
        return table_of(self.kind)


@dataclass(frozen=True, slots=True)
class Stuck:
    """How many rows of each kind wait, and the oldest of them."""

    counts: dict[Kind, int]
    rows: Sequence[StuckRow]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def table_of(kind: Kind) -> str:
    """Return the table of a kind's rows: app_model, as the admin's addresses and the permissions have it."""
    return _OPEN[kind][0]


def counts() -> dict[Kind, int]:
    """Return how many rows of each kind have waited for more than a minute: one query."""
    each = ", ".join(
        f"(SELECT count(*) FROM {table} WHERE {still_open} AND {since} < {_OLD})"  # noqa: S608 - constants
        for table, since, still_open in _OPEN.values()
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {each}")
        return dict(zip(_OPEN, cursor.fetchone(), strict=True))


def find_stuck(kinds: Collection[Kind] = tuple(Kind), limit: int = SHOWN) -> Stuck:
    """Return what is stuck, the oldest `limit` rows of each kind, and why. A fixed number of queries."""
    status = read_status()
    oldest = [(kind, row) for kind in Kind if kind in kinds for row in _oldest(kind, limit)]
    accounts = {row["account"] for _, row in oldest}
    names = dict(ChannelAccount.objects.filter(pk__in=accounts).values_list("pk", "name"))
    totals = dict.fromkeys((kind for kind in Kind if kind in kinds), 0)
    rows = []
    for kind, row in oldest:
        totals[kind] = row["total"]
        reason = stuck_reasons.REASONS[kind](Case(row, status))
        rows.append(
            StuckRow(
                kind=kind,
                id=row["id"],
                account=row["account"],
                account_name=names.get(row["account"], ""),
                conversation=row["conversation"],
                since=row["since"],
                why=reason.why,
                next=reason.next,
                next_at=row.get("next_at"),
            )
        )
    return Stuck(totals, rows)


def _oldest(kind: Kind, limit: int) -> list[dict[str, Any]]:
    """Return the oldest rows of a kind. They are chosen first and joined afterwards, so only those few cost much."""
    table, since, still_open = _OPEN[kind]
    columns, joins = _ABOUT[kind]
    query = f"""
        WITH open AS MATERIALIZED (
            SELECT id, {since} AS since, count(*) OVER () AS total FROM {table}
             WHERE {still_open} AND {since} < {_OLD} ORDER BY {since}, id LIMIT %s
        )
        SELECT r.id::text, open.since, open.total, {columns} FROM open JOIN {table} r ON r.id = open.id {joins}
         ORDER BY open.since, r.id
    """  # noqa: S608 - constants
    return read_rows(dict, query, [limit])
