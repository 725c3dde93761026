"""What a new chat says of its customer: who it is and how sure we are, the last chat, other conversations, links.

It goes to Amazon Connect as contact attributes, which flows route by and agents see.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from django.utils import timezone
from psycopg.rows import class_row

from channels_app.infrastructure.db import AsyncConnection
from channels_app.toolkit.msgspec_tools import convert
from connect_bridge.models import OPEN_IN_SQL
from connect_bridge.models.lifecycle import SIDE_EVENT
from connect_bridge.relay.agent_link import agent_link, customer_link

log = logging.getLogger(__name__)

#: Connect's limits (API Reference, StartChatContact, Attributes): bytes of all names and values together; names.
MOST_BYTES = 32_768
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")
#: Other conversations that are named; the most recent.
MOST_CONVERSATIONS = 8
#: For how long a user id that was made anew for a number is worth a caution.
CAUTION_FOR = "90 days"
#: The method of a merge that a person decided. All others are proofs.
DECIDED = "person"

CONTEXT = f"""
WITH me AS (
    SELECT i.id AS identity, i.customer_id AS customer FROM connect_bridge_conversation c
      JOIN customers_identity i ON i.id = c.identity_id WHERE c.id = %(conversation)s
), theirs AS (
    SELECT i.id, i.kind, i.display_name FROM customers_identity i JOIN me ON i.customer_id = me.customer
     ORDER BY i.last_seen_at DESC NULLS LAST LIMIT 50
), conversation AS (
    SELECT c.id, a.kind, c.last_message_at FROM theirs t JOIN connect_bridge_conversation c ON c.identity_id = t.id
      JOIN channels_app_channelaccount a ON a.id = c.account_id
), last AS (
    SELECT t.id, c.kind, t.state, t.agent_name, t.requested_at, t.ended_at, t.initial_contact_id, t.contact_id,
           t.instance_id
      FROM conversation c CROSS JOIN LATERAL (
        SELECT * FROM connect_bridge_contact t
         WHERE t.conversation_id = c.id AND t.started_at IS NOT NULL AND t.state IN ('ended', 'failed')
         ORDER BY t.requested_at DESC LIMIT 1) t
     ORDER BY t.requested_at DESC LIMIT 1
)
SELECT u.id AS customer, u.preferred_channel, u.facts, u.created_at AS since,
       COALESCE(NULLIF(u.display_name, ''), (SELECT display_name FROM theirs WHERE display_name <> '' LIMIT 1), '')
           AS name,
       ARRAY(SELECT DISTINCT kind FROM theirs ORDER BY kind) AS channels,
       (SELECT count(*) FROM theirs) AS identities,
       ARRAY(SELECT DISTINCT m.method FROM customers_customer h JOIN customers_merge m ON h.id IN (m.low_id, m.high_id)
              WHERE (h.id = u.id OR h.merged_into_id = u.id) AND m.undone_at IS NULL ORDER BY 1) AS methods,
       ARRAY(SELECT kind || ' ' || id FROM conversation WHERE id <> %(conversation)s
              ORDER BY last_message_at DESC NULLS LAST LIMIT {MOST_CONVERSATIONS}) AS others,
       ARRAY(SELECT c.kind FROM conversation c JOIN connect_bridge_contact t ON t.conversation_id = c.id
              WHERE t.state IN {OPEN_IN_SQL} AND c.id <> %(conversation)s) AS open_elsewhere,
       EXISTS (SELECT 1 FROM customers_identitychange x WHERE x.identity_id = me.identity AND x.field = 'bsuid'
                  AND x.at > now() - interval '{CAUTION_FOR}') AS doubtful,
       to_jsonb(last) - 'id' AS previous,
       (SELECT m.direction FROM connect_bridge_message m
         WHERE m.contact_id = last.id AND m.content_type <> '{SIDE_EVENT}'
         ORDER BY m.sequence DESC LIMIT 1) AS last_word
  FROM me JOIN customers_customer u ON u.id = me.customer LEFT JOIN last ON true
"""  # noqa: S608 - a constant

#: What apps above add to a chat's attributes, e.g. the last sentiment: called with the connection and the customer.
more_context: list[Callable[[AsyncConnection, uuid.UUID], Awaitable[Mapping[str, str]]]] = []


class Previous(msgspec.Struct, frozen=True, kw_only=True):
    """The customer's last chat, on whatever channel."""

    kind: str
    state: str
    agent_name: str
    requested_at: datetime
    ended_at: datetime | None
    initial_contact_id: str
    contact_id: str
    instance_id: str


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the customer of a conversation."""

    customer: uuid.UUID
    preferred_channel: str
    facts: dict[str, Any]
    since: datetime
    name: str
    channels: list[str]
    identities: int
    methods: list[str]
    others: list[str]
    open_elsewhere: list[str]
    doubtful: bool
    previous: dict[str, Any] | None
    last_word: str | None

    @property
    def certainty(self) -> str:
        """Return `single`: one identity; `proven`: several, tied by proof; `decided`: a person tied some of them."""
        if self.identities < 2:  # noqa: PLR2004 - nothing to tie
            return "single"
        return "decided" if DECIDED in self.methods else "proven"

    @property
    def last_chat(self) -> Previous | None:
        return convert(self.previous, Previous) if self.previous else None


async def context_of(connection: AsyncConnection, conversation: uuid.UUID) -> Context:
    """Read what is known of the conversation's customer. One query."""
    async with connection.cursor(row_factory=class_row(Context)) as cursor:
        row = await (await cursor.execute(CONTEXT, {"conversation": conversation})).fetchone()
    assert row is not None
    return row


async def attributes_of(connection: AsyncConnection, context: Context, contact: uuid.UUID) -> dict[str, str]:
    """Return the contact attributes that describe the customer. What an app above fails to add is left out."""
    attributes = dict(_attributes(context, contact))
    for more in more_context:
        try:
            attributes |= await more(connection, context.customer)
        except Exception as failure:  # noqa: BLE001 - a chat without it is better than none
            log.error("%s failed for a chat's context: %s", more.__qualname__, type(failure).__name__)  # noqa: TRY400
    return attributes


def _attributes(context: Context, contact: uuid.UUID) -> Iterator[tuple[str, str]]:
    yield "customer_id", str(context.customer)
    yield "customer_page", agent_link(contact)
    yield "customer_url", customer_link(context.customer)
    yield "customer_since", timezone.localtime(context.since).date().isoformat()
    yield "customer_channels", ",".join(context.channels)
    yield "customer_certainty", context.certainty
    yield "customer_recognised_by", ",".join(context.methods)
    yield "customer_preferred_channel", context.preferred_channel
    yield "other_conversations", ", ".join(context.others)
    yield "open_elsewhere", ",".join(context.open_elsewhere)
    if context.doubtful:
        yield "identity_caution", "WhatsApp made a new user id for this number lately: it may have a new owner"
    if (previous := context.last_chat) is not None:
        yield "previous_channel", previous.kind
        yield "previous_contact_id", previous.initial_contact_id
        yield "previous_contact_at", previous.requested_at.isoformat(timespec="seconds")
        yield "previous_contact_outcome", _outcome(previous, context.last_word)
        yield "previous_agent", previous.agent_name
    for name, value in context.facts.items():
        yield f"fact_{name}", str(value)


def _outcome(previous: Previous, last_word: str | None) -> str:
    """Say in a word how the last chat ended: who had the last word, if anybody of us spoke at all."""
    if previous.state == "failed":
        return "failed"
    if not previous.agent_name:
        return "no_agent"
    return "unanswered" if last_word == "in" else "answered"


def fit(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return as attributes what Connect takes of these, the first first: others are cut, then left out.

    Letters that a name may not have become underscores; what is empty is left out.
    """
    fitting: dict[str, str] = {}
    left = MOST_BYTES
    for name, value in pairs:
        name = _FORBIDDEN.sub("_", name)  # noqa: PLW2901 - the same, as Connect takes it
        room = left - len(name)
        cut = value.encode()[: max(0, room)].decode(errors="ignore")
        if not cut or not name or name in fitting:
            continue
        fitting[name] = cut
        left = room - len(cut.encode())
    return fitting
