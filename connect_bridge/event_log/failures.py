"""Why sends failed and webhooks were set aside, grouped by cause."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import LiteralString

import msgspec

from channels_app.infrastructure.rows import read_rows
from channels_app.models import ChannelAccount

#: How many ids of one cause are listed, the latest.
MOST_IDS = 200


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


#: Sends that failed, and webhooks that were set aside, by cause. Reasons that differ only in numbers are one cause.
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


def causes_since(since: datetime) -> list[Cause]:
    """Return why things failed since then, the most frequent cause first. Two queries."""
    rows = read_rows(dict, _CAUSES, {"since": since, "most": MOST_IDS})
    accounts = {row[0]: row[1:] for row in ChannelAccount.objects.values_list("pk", "name", "kind")}
    return [Cause(**row, account_name=accounts[row["account"]][0], kind=accounts[row["account"]][1]) for row in rows]
