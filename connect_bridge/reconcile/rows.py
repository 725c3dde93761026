"""What the database alone can tell: pages of conversations, and what is wrong inside them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from channels_app.infrastructure.rows import read_rows, read_tuples
from connect_bridge.listening.listener import ENDED_UNHEARD
from connect_bridge.operations import stuck
from connect_bridge.operations.stuck import StuckRow
from connect_bridge.reconcile.findings import Explanation, Finding, Gap, Kind, Remark
from people.encryption import decrypt_text

#: Conversation → account, of one page.
Page = Mapping[uuid.UUID, uuid.UUID]


class OpenChat(msgspec.Struct, frozen=True, kw_only=True):
    """A chat that a bridge is connected to, as far as reading its transcript needs to know it."""

    contact: uuid.UUID
    conversation: uuid.UUID
    instance: str
    initial_contact: str
    token: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "token", decrypt_text(self.token))

    def __repr__(self) -> str:
        return f"<OpenChat {self.contact}>"


PAGE = """
SELECT c.id, c.account_id FROM connect_bridge_conversation c
 WHERE c.id > %(after)s AND (%(account)s::uuid IS NULL OR c.account_id = %(account)s)
   AND (%(conversation)s::uuid IS NULL OR c.id = %(conversation)s)
   AND (c.active OR c.last_message_at >= %(since)s OR EXISTS (
        SELECT 1 FROM connect_bridge_contact t WHERE t.conversation_id = c.id AND t.ended_at >= %(since)s))
 ORDER BY c.id LIMIT %(most)s
"""
#: Numbers that are missing between two messages, and at the end: those are given out under the conversation's lock,
#: in the transaction that stores the message, so none is lost by a crash.
HOLES = """
SELECT conversation_id, former + 1, sequence - 1, created_at FROM (
    SELECT conversation_id, sequence, created_at,
           lag(sequence) OVER (PARTITION BY conversation_id ORDER BY sequence) AS former
      FROM connect_bridge_message WHERE conversation_id = ANY(%(page)s)) m
 WHERE sequence > former + 1 AND created_at >= %(since)s
UNION ALL
SELECT c.id, l.sequence + 1, c.last_sequence, c.last_message_at FROM connect_bridge_conversation c
  JOIN LATERAL (SELECT max(sequence) AS sequence FROM connect_bridge_message m WHERE m.conversation_id = c.id) l ON true
 WHERE c.id = ANY(%(page)s) AND l.sequence < c.last_sequence
 ORDER BY 1, 2
"""
NO_SEND = """
SELECT m.id, m.conversation_id, m.created_at FROM connect_bridge_message m
 WHERE m.conversation_id = ANY(%(page)s) AND m.direction = 'out' AND m.created_at >= %(since)s
   AND NOT EXISTS (SELECT 1 FROM connect_bridge_outboxentry o WHERE o.message_id = m.id)
 ORDER BY m.created_at
"""
NO_ID = """
SELECT id, conversation_id, settled_at FROM connect_bridge_outboxentry
 WHERE conversation_id = ANY(%(page)s) AND state = 'accepted' AND provider_message_ids = '[]'
   AND created_at >= %(since)s
 ORDER BY created_at
"""
#: Chats that ended; `unheard`: no bridge was listening when it ended.
ENDED = """
SELECT conversation_id, initial_contact_id, ended_at, reason = %(unheard)s FROM connect_bridge_contact
 WHERE conversation_id = ANY(%(page)s) AND state = 'ended' AND ended_at >= %(since)s
   AND (reason = %(unheard)s OR swept_at IS NULL OR swept_at < last_traffic_at)
 ORDER BY ended_at
"""
OPEN = """
SELECT id AS contact, conversation_id AS conversation, instance_id AS instance,
       initial_contact_id AS initial_contact, connection_token AS token
  FROM connect_bridge_contact WHERE conversation_id = ANY(%(page)s) AND state = 'connected' ORDER BY id
"""
#: A receipt that waits for its message is mostly about what was sent past Parley, and loses nothing.
STUCK_KINDS = tuple(kind for kind in stuck.Kind if kind is not stuck.Kind.RECEIPT)
UNCOMPARED = (
    "chats ended in order after lines that were heard and never compared: Connect's transcript ends with a chat"
)


def pages(of: Mapping[str, Any], most: int) -> Iterator[Page]:
    """Yield the conversations in question, a page at a time, in the order of their ids."""
    after = uuid.UUID(int=0)
    while page := dict(read_tuples(PAGE, {**of, "after": after, "most": most})):
        yield page
        if len(page) < most:
            return
        after = max(page)


def check(page: Page, since: datetime) -> Iterator[Finding]:
    """Yield what is wrong with a page's rows: four queries."""
    params = {"page": list(page), "since": since, "unheard": ENDED_UNHEARD}
    for conversation, first, last, at in read_tuples(HOLES, params):
        numbers = f"number {first}" if first == last else f"numbers {first} to {last}"
        yield _gap(Kind.HOLE, page, conversation, conversation, at, detail=numbers)
    for kind, query in ((Kind.NO_SEND, NO_SEND), (Kind.NO_ID, NO_ID)):
        for row, conversation, at in read_tuples(query, params):
            yield _gap(kind, page, row, conversation, at)
    uncompared = 0
    for conversation, contact, at, unheard in read_tuples(ENDED, params):
        if unheard:
            yield _gap(Kind.ENDED_UNHEARD, page, contact, conversation, at)
        uncompared += not unheard
    if uncompared:
        yield Remark(UNCOMPARED, uncompared)


def open_chats(page: Page) -> list[OpenChat]:
    """Return the page's chats that are open: one query."""
    return read_rows(OpenChat, OPEN, {"page": list(page)})


def stuck_rows(account: uuid.UUID | None, conversation: uuid.UUID | None) -> Iterator[Finding]:
    """Yield what has not come to an end after a minute, the oldest of each kind."""
    stuck_now = stuck.find_stuck(STUCK_KINDS, stuck.MOST_SHOWN)
    for row in stuck_now.rows:
        if account in (None, row.account) and conversation in (None, row.conversation):
            yield _stuck(row)
    if stuck_now.total > len(stuck_now.rows):
        yield Remark("more rows are stuck: manage.py stuck", stuck_now.total - len(stuck_now.rows))


def _gap(kind: Kind, page: Page, row: object, conversation: uuid.UUID, at: datetime | None, detail: str = "") -> Gap:
    account = page[conversation]
    return Gap(kind=kind, id=str(row), account=account, conversation=conversation, at=at, detail=detail)


def _stuck(row: StuckRow) -> Gap:
    words = Explanation(str(row.kind), "it has not come to an end", row.why.rstrip("."), row.next.rstrip("."))
    at, conversation = row.since, row.conversation
    return Gap(kind=Kind.STUCK, id=row.id, account=row.account, conversation=conversation, at=at, words=words)
