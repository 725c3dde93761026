"""Reads what the tables say about accounts: a fixed number of queries, however many accounts there are."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, FloatField
from django.db.models.functions import Extract, Floor, Greatest, Now
from django.utils import timezone

from channels_app.infrastructure.rows import read_rows
from channels_app.models import AccountHealth, ChannelAccount, InboundCheck, WebhookDelivery
from connect_bridge.models import OutboxEntry
from connect_bridge.operations.stuck_reasons import NEEDS_A_PERSON

#: Hours of `Evidence.by_hour`.
HOURS = 24

#: The latest webhook of each account, what it was, and the longest silence between its last hundred.
WEBHOOKS = """
SELECT a.id, d.received_at AS webhook_at, COALESCE(d.state, '') AS webhook_state,
       COALESCE(d.reason, '') AS webhook_reason, g.longest AS longest_silence
  FROM unnest(%(ids)s::uuid[]) AS a (id)
  LEFT JOIN LATERAL (SELECT received_at, state, reason FROM channels_app_webhookdelivery
                      WHERE account_id = a.id ORDER BY received_at DESC LIMIT 1) d ON true
  LEFT JOIN LATERAL (SELECT max(gap) AS longest FROM (
        SELECT received_at - lag(received_at) OVER (ORDER BY received_at) AS gap FROM (
            SELECT received_at FROM channels_app_webhookdelivery
             WHERE account_id = a.id ORDER BY received_at DESC LIMIT 100) latest) gaps) g ON true
"""
#: What became of the latest messages of each account: ten of each of its twenty latest conversations. `failed_message`
#: is the send that failed last.
MESSAGES = """
SELECT a.id,
       max(m.relayed_at) FILTER (WHERE m.direction = 'in') AS bridged_at,
       max(m.settled_at) FILTER (WHERE m.direction = 'out' AND m.status = ANY(%(sent)s)) AS sent_at,
       max(m.settled_at) FILTER (WHERE m.direction = 'out' AND m.status = 'failed') AS failed_at,
       count(*) FILTER (WHERE m.direction = 'out' AND m.status = 'failed') AS failures,
       (array_agg(m.id ORDER BY m.settled_at DESC NULLS LAST)
            FILTER (WHERE m.direction = 'out' AND m.status = 'failed'))[1] AS failed_message
  FROM unnest(%(ids)s::uuid[]) AS a (id)
 CROSS JOIN LATERAL (SELECT id FROM connect_bridge_conversation
                      WHERE account_id = a.id AND last_message_at IS NOT NULL
                      ORDER BY last_message_at DESC LIMIT 20) c
 CROSS JOIN LATERAL (SELECT * FROM connect_bridge_message WHERE conversation_id = c.id
                      ORDER BY sequence DESC LIMIT 10) m
 GROUP BY a.id
"""
#: Since when customers of each account wait for Connect to take what they wrote, and why.
#: - Only the first open message of a conversation counts: the later ones have not been tried.
#: - What only a person can mend comes before what passes by itself.
#: - What the account itself holds back (paused, closed) is no trouble.
#: Reads the partial index of the open rows, and nothing else.
WAITING = """
SELECT c.account_id AS id, min(m.created_at) AS waiting_since,
       (array_agg(m.error_code ORDER BY m.error_code = ANY(%(person)s) DESC, m.created_at))[1] AS waiting_code,
       (array_agg(m.error_detail ORDER BY m.error_code = ANY(%(person)s) DESC, m.created_at))[1] AS waiting_words
  FROM (SELECT DISTINCT ON (conversation_id) * FROM connect_bridge_message
         WHERE direction = 'in' AND status = 'stored' ORDER BY conversation_id, sequence) m
  JOIN connect_bridge_conversation c ON c.id = m.conversation_id
 WHERE c.account_id = ANY(%(ids)s) AND m.error_code NOT IN ('paused', 'closed')
 GROUP BY c.account_id
"""


@dataclass(frozen=True, slots=True)
class SendFailure:
    """Why a send failed: our code, the provider's code, and the provider's words."""

    code: str = ""
    provider_code: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the tables say about one account."""

    account: ChannelAccount
    health: AccountHealth | None = None
    check: InboundCheck | None = None
    webhook_at: datetime | None = None
    webhook_state: str = ""
    webhook_reason: str = ""
    longest_silence: timedelta | None = None
    bridged_at: datetime | None = None
    waiting_since: datetime | None = None
    waiting_code: str = ""
    waiting_words: str = ""
    sent_at: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    failure: SendFailure = SendFailure()
    by_hour: tuple[int, ...] = ()

    @property
    def last_inbound_at(self) -> datetime | None:
        """Return when a customer last wrote. Webhooks are deleted after some days; their messages stay."""
        return self.webhook_at or self.bridged_at

    @property
    def was_called(self) -> bool:
        """Say whether somebody called our address, even if nothing was accepted."""
        return bool(self.health and (self.health.handshake_at or self.health.rejected_at))

    @property
    def is_refused(self) -> bool:
        """Say whether the provider refused us when we last asked it for messages."""
        return bool(self.check and self.check.refused)

    @property
    def check_error(self) -> str:
        """Return the class of the provider's last error when it was asked for messages, "" if it answered."""
        return self.check.trouble.partition(":")[0] if self.check else ""


def read_evidence(accounts: Sequence[ChannelAccount]) -> list[Evidence]:
    """Return what is known of each account, in their order."""
    ids = [account.pk for account in accounts]
    health = {row.account_id: row for row in AccountHealth.objects.filter(account__in=ids)}
    checks = {row.account_id: row for row in InboundCheck.objects.filter(account__in=ids)}
    webhooks, messages, waiting = (_by_account(query, ids) for query in (WEBHOOKS, MESSAGES, WAITING))
    failed = {account: row.pop("failed_message") for account, row in messages.items()}
    failures = _failures([message for message in failed.values() if message])
    by_hour = _by_hour(ids)
    return [
        Evidence(
            account=account,
            health=health.get(account.pk),
            check=checks.get(account.pk),
            failure=failures.get(failed.get(account.pk), SendFailure()),
            by_hour=by_hour[account.pk],
            **webhooks.get(account.pk, {}),
            **messages.get(account.pk, {}),
            **waiting.get(account.pk, {}),
        )
        for account in accounts
    ]


def _by_account(query: str, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, Any]]:
    params = {"ids": list(ids), "sent": ["accepted", "delivered", "read"], "person": sorted(NEEDS_A_PERSON)}
    return {row.pop("id"): row for row in read_rows(dict, query, params)}


def _failures(messages: Sequence[uuid.UUID]) -> Mapping[uuid.UUID | None, SendFailure]:
    """Return why each message failed: what the provider refused, not the parts that were left out because of it."""
    dead = OutboxEntry.objects.filter(message__in=messages, state=OutboxEntry.State.DEAD)
    rows = dead.exclude(error_code="earlier_part").values_list(
        "message_id", "error_code", "provider_code", "error_detail"
    )
    return {message: SendFailure(*failure) for message, *failure in rows}


def _by_hour(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[int, ...]]:
    """Return how many webhooks each account got in each of the last 24 hours, the oldest first."""
    counts = {account: [0] * HOURS for account in ids}
    since = timezone.now() - timedelta(hours=HOURS)
    age = Extract(Now() - F("received_at"), "epoch", output_field=FloatField())
    recent = WebhookDelivery.objects.filter(account__in=ids, received_at__gt=since)
    rows = recent.annotate(hours_ago=Greatest(Floor(age / 3600.0), 0.0)).values_list("account", "hours_ago")
    for account, hours_ago, count in rows.annotate(count=Count("id")).order_by():
        if hours_ago < HOURS:
            counts[account][HOURS - 1 - int(hours_ago)] = count
    return {account: tuple(hours) for account, hours in counts.items()}
