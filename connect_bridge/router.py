"""From the intake to the transcript: every pending entry becomes a message, a receipt, or a word on why not."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, assert_never

import msgspec
import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from channels_app.codec import event_from_builtins
from channels_app.committer import CLASHES
from channels_app.failpoints import failpoint
from channels_app.placeholders import describe, readable
from channels_app.types import (
    AccountChanged,
    AccountLinked,
    AliasType,
    ConsentChanged,
    Echoed,
    IdentityChanged,
    InboundEvent,
    MessageEdited,
    MessageReceived,
    MessageUnsent,
    Misaddressed,
    Reacted,
    ReceiptReceived,
    Sender,
    TypingShown,
    Unrecognised,
)
from connect_bridge.attention import attend, note_consent, note_linking
from connect_bridge.joining import tell
from connect_bridge.receipts import apply_receipt
from connect_bridge.store import RELAY_CHANNEL, SHARD_LOCKS, Connection
from customers.changes import update
from customers.claims import Told
from customers.identify import Erased, Person, identify

log = logging.getLogger(__name__)

#: Entries in one transaction.
BATCH = 100
#: Of one shard: whoever sends a thousand messages at once must not hold up the others.
SHARE = 20
#: An entry that breaks the router this often is quarantined; its raw bytes stay with the delivery.
MOST_ATTEMPTS = 5
#: How long a receipt waits for the message that it is about, and how often it is tried.
PARKED_FOR = timedelta(days=7)
PARKED_RETRY = timedelta(seconds=5)
#: Provider clocks further off than this are not believed.
PLAUSIBLE = timedelta(days=30)
#: Aliases that stay with a person; a username changes hands.
STABLE = (AliasType.PHONE, AliasType.BSUID)
#: Aliases that several identities may share.
HINTS = (AliasType.PARENT_BSUID,)

#: First the shards that nobody else is working on …
FREE = """
SELECT shard FROM (SELECT DISTINCT shard FROM channels_app_inboundentry WHERE state = 'pending') AS busy
 WHERE pg_try_advisory_xact_lock(%s, shard)
"""
#: … then, by a statement of its own, what is pending in them: one begun before the locks were ours could still see as
#: pending what their last holder has just committed.
TAKE = """
SELECT e.id, e.account_id AS account, a.kind, e.event, e.attempts, e.created_at
  FROM unnest(%(shards)s::smallint[]) AS free (shard) CROSS JOIN LATERAL (
           SELECT * FROM channels_app_inboundentry
            WHERE state = 'pending' AND shard = free.shard ORDER BY id LIMIT %(each)s
       ) e JOIN channels_app_channelaccount a ON a.id = e.account_id
 ORDER BY e.id LIMIT %(most)s
"""
CONVERSATION = """
INSERT INTO connect_bridge_conversation
       (id, account_id, identity_id, recipient, last_sequence, active, fence, created_at)
VALUES (%(id)s, %(account)s, %(identity)s, %(recipient)s, 0, false, 0, now())
ON CONFLICT (account_id, identity_id) DO NOTHING
"""
THE_CONVERSATION = """
SELECT id, recipient FROM connect_bridge_conversation WHERE account_id = %(account)s AND identity_id = %(identity)s
"""
READDRESS = "UPDATE connect_bridge_conversation SET recipient = %(recipient)s WHERE id = %(id)s"
#: Everybody who needs several conversations locks them in this order: else two would wait for each other.
LOCK_IN_ORDER = "SELECT 1 FROM connect_bridge_conversation WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
FIND_CONVERSATION = """
SELECT c.id FROM connect_bridge_conversation c JOIN customers_identity i ON i.id = c.identity_id
 WHERE c.account_id = %(account)s AND i.kind = %(kind)s AND i.issuer = %(issuer)s AND i.external_id = %(external_id)s
"""
#: What a customer replies to: something that we sent, or words of their own, in this conversation and no other.
QUOTED = """
SELECT o.text FROM connect_bridge_sentid s JOIN connect_bridge_outboxentry o ON o.id = s.entry_id
 WHERE s.account_id = %(account)s AND s.provider_message_id = %(id)s AND o.conversation_id = %(conversation)s
UNION ALL
SELECT text FROM connect_bridge_message
 WHERE conversation_id = %(conversation)s AND direction = 'in' AND provider_message_id = %(id)s
LIMIT 1
"""
#: Allocates the sequence under the conversation's row lock, makes the caller owner if nobody is, and stores.
STORE = """
WITH conversation AS (
    UPDATE connect_bridge_conversation
       SET last_sequence = last_sequence + 1, last_inbound_at = now(), last_message_at = now(), active = true,
           fence = fence + (owner_id IS NULL)::int, owner_id = COALESCE(owner_id, %(bridge)s)
     WHERE id = %(conversation)s RETURNING id, last_sequence, owner_id
), message AS (
    INSERT INTO connect_bridge_message
           (id, conversation_id, sequence, direction, role, author, content_type, text, original, status, error_code,
            error_detail, entry_id, provider_message_id, relayed, attempts, occurred_at, created_at)
    SELECT %(id)s, id, last_sequence, 'in', 'CUSTOMER', %(author)s, 'text/plain', %(text)s, %(original)s, 'stored', '',
           '', %(entry)s, %(provider_id)s, 0, 0, %(occurred)s, now() FROM conversation
)
SELECT owner_id FROM conversation
"""
DONE = """
UPDATE channels_app_inboundentry SET state = %(state)s, outcome = %(outcome)s, done_at = now() WHERE id = %(id)s
"""
PARK = """
UPDATE channels_app_inboundentry SET state = 'parked', outcome = 'waits for its message', due_at = now() + %(wait)s
 WHERE id = %(id)s
"""
#: It came back from before its sender was erased: nothing of it is kept but that it was there.
FORGOTTEN = """
WITH entry AS (
    UPDATE channels_app_inboundentry SET state = 'done', outcome = 'its sender was erased', done_at = now(),
           event = '{}', sender = 'erased' WHERE id = %(id)s RETURNING delivery_id
)
UPDATE channels_app_webhookdelivery d SET body = '', headers = '{}', query = '' FROM entry e WHERE d.id = e.delivery_id
"""
STUMBLED = """
UPDATE channels_app_inboundentry SET attempts = attempts + 1, outcome = %(outcome)s,
       state = CASE WHEN attempts + 1 >= %(most)s THEN 'quarantined' ELSE state END WHERE id = %(id)s
"""


class Entry(msgspec.Struct, kw_only=True, frozen=True):
    id: int
    account: uuid.UUID
    kind: str
    event: dict[str, Any]
    attempts: int
    created_at: datetime


class Routed(msgspec.Struct, frozen=True):
    """A message was stored: this conversation, owned by this bridge, has something to relay."""

    conversation: uuid.UUID
    owner: uuid.UUID
    message: uuid.UUID


class Router:
    """Moves entries for one bridge. Several bridges route at once, each in shards that it could lock."""

    def __init__(self, connection: Connection, bridge: uuid.UUID) -> None:
        self._connection = connection
        self._bridge = bridge
        self._told: list[Told] = []

    async def route(self) -> tuple[int, Sequence[Routed]]:
        """Route one batch in one transaction; return how many entries it had and which messages were stored.

        If the batch fails, its entries are tried one by one, so that only the bad one stumbles.
        """
        try:
            return await self._batch(BATCH)
        except CLASHES as clash:
            log.info("a batch of entries met another bridge's (%s): trying each alone", type(clash).__name__)
        except psycopg.OperationalError:
            raise
        except Exception as failure:  # noqa: BLE001 - an entry that we cannot route must not stop the others
            log.warning("a batch of entries failed (%s): trying each alone", type(failure).__name__)
        return await self._one()

    async def _batch(self, most: int) -> tuple[int, Sequence[Routed]]:
        async with self._connection.transaction():
            entries = await self._take(most)
            routed = await self._all(entries)
            await self._tell(routed)
            return len(entries), routed

    async def _all(self, entries: Sequence[Entry]) -> Sequence[Routed]:
        """Find or make every conversation first, lock them in order, then store in the order of the intake."""
        messages: list[tuple[Entry, InboundEvent, str, uuid.UUID]] = []
        self._told = []
        for entry in entries:
            event = event_from_builtins(entry.event)
            failpoint("I4")
            text = describe(event)
            if text is None:
                await self._other(entry, event)
            elif (conversation := await self._conversation(entry, event, text)) is not None:
                messages.append(
                    (entry, event, await self._in_context(entry, event, conversation) or text, conversation)
                )
        await self._connection.execute(LOCK_IN_ORDER, [[message[-1] for message in messages]])
        routed = [await self._message(*message) for message in messages]
        await tell(self._connection, self._told)
        return routed

    async def _in_context(self, entry: Entry, event: InboundEvent, conversation: uuid.UUID) -> str:
        """Return a reply with what it replies to, which Connect cannot show otherwise; "" if that is not known."""
        if not isinstance(event, MessageReceived) or not event.reply_to:
            return ""
        given = {"account": entry.account, "conversation": conversation, "id": event.reply_to[:256]}
        row = await self._one_row(QUOTED, given)
        return readable(event, row[0]) if row else ""

    async def _one(self) -> tuple[int, Sequence[Routed]]:
        """Route the first entry alone; note its failure if it fails again."""
        async with self._connection.transaction():
            entries = await self._take(1)
            for entry in entries:
                try:
                    async with self._connection.transaction():
                        routed = await self._all([entry])
                        await self._tell(routed)
                        return 1, routed
                except psycopg.OperationalError:
                    raise
                except Exception as failure:  # noqa: BLE001 - see route()
                    log.error("entry %d cannot be routed: %s", entry.id, type(failure).__name__)  # noqa: TRY400 - no text
                    outcome = {"id": entry.id, "outcome": f"failed: {type(failure).__name__}", "most": MOST_ATTEMPTS}
                    await self._connection.execute(STUMBLED, outcome)
            return len(entries), []

    async def _take(self, most: int) -> Sequence[Entry]:
        free = [row[0] for row in await (await self._connection.execute(FREE, [SHARD_LOCKS])).fetchall()]
        if not free:
            return []
        async with self._connection.cursor(row_factory=class_row(Entry)) as cursor:
            return await (await cursor.execute(TAKE, {"shards": free, "each": SHARE, "most": most})).fetchall()

    async def _tell(self, routed: Sequence[Routed]) -> None:
        """Wake the other bridges that own something new. A hint: they would find it within seconds anyway."""
        for owner in {found.owner for found in routed} - {self._bridge}:
            await self._connection.execute("SELECT pg_notify(%s, %s)", [RELAY_CHANNEL, str(owner)])

    async def _message(self, entry: Entry, event: InboundEvent, text: str, conversation: uuid.UUID) -> Routed:
        message = uuid.uuid4()
        given = {
            "bridge": self._bridge,
            "conversation": conversation,
            "id": message,
            "author": event.sender.display_name[:256],
            "text": text,
            "original": Jsonb(entry.event),
            "entry": entry.id,
            "provider_id": getattr(event, "message_id", "")[:256],
            "occurred": _believable(event.occurred_at, entry.created_at),
        }
        row = await self._one_row(STORE, given)
        await self._settle(entry, "message stored")
        return Routed(conversation, row[0], message)

    async def _conversation(self, entry: Entry, event: InboundEvent, text: str) -> uuid.UUID | None:
        """Return the conversation, having drawn what the words say about the customer; None if they were erased."""
        sender = event.sender
        try:
            identity = await identify(self._connection, _person(entry.kind, sender), event.occurred_at)
        except Erased:
            await self._connection.execute(FORGOTTEN, {"id": entry.id})
            return None
        self._told += await attend(self._connection, identity, event, text, entry.id)
        given = {
            "id": uuid.uuid4(),
            "account": entry.account,
            "identity": identity,
            "recipient": sender.external_id[:256],
        }
        row = await self._one_row(THE_CONVERSATION, given)
        if row is None:
            await self._connection.execute(CONVERSATION, given)
            row = await self._one_row(THE_CONVERSATION, given)
        assert row is not None
        if row[1] != given["recipient"]:
            await self._connection.execute(READDRESS, {**given, "id": row[0]})
        found: uuid.UUID = row[0]
        return found

    async def _one_row(self, query: LiteralString, given: dict[str, Any]) -> Any:
        return await (await self._connection.execute(query, given)).fetchone()

    async def _other(self, entry: Entry, event: InboundEvent) -> None:
        match event:
            case ReceiptReceived() | Echoed():
                await self._receipt(entry, event)
            case IdentityChanged() | ConsentChanged() | AccountLinked():
                await self._settle(entry, await self._about_sender(entry, event))
            case AccountChanged():
                log.warning("account %s: the provider reports %s", entry.account, event.topic)
                await self._settle(entry, f"account: {event.topic}")
            case TypingShown():
                await self._settle(entry, "typing is not shown to agents")
            case Misaddressed():
                await self._settle(entry, "names another account", state="quarantined")
            case Unrecognised():
                await self._settle(entry, "kept, not shown to agents")
            case MessageReceived() | MessageEdited() | MessageUnsent() | Reacted():
                raise AssertionError("these always have a text")
            case _:
                assert_never(event)

    async def _receipt(self, entry: Entry, event: ReceiptReceived | Echoed) -> None:
        given = {
            "account": entry.account,
            "kind": entry.kind,
            "issuer": event.sender.issuer,
            "external_id": event.sender.external_id,
        }
        row = await self._one_row(FIND_CONVERSATION, given)
        conversation = None if row is None else row[0]
        joined = await apply_receipt(self._connection, entry.account, conversation, event)
        if joined is not None:
            await self._settle(entry, joined.value)
        elif datetime.now(UTC) - entry.created_at > PARKED_FOR:
            await self._settle(entry, "no message of ours in seven days")
        else:
            failpoint("O9")
            await self._connection.execute(PARK, {"id": entry.id, "wait": _patience(entry)})

    async def _about_sender(self, entry: Entry, event: IdentityChanged | ConsentChanged | AccountLinked) -> str:
        if isinstance(event, ConsentChanged):
            return await note_consent(self._connection, entry.kind, event, entry.id)
        if isinstance(event, AccountLinked):
            return await note_linking(self._connection, _person(entry.kind, event.sender), event, entry.id)
        known = await update(self._connection, _person(entry.kind, event.sender), event.former_id)
        return "identity changed" if known else "identity changed: nobody we know"

    async def _settle(self, entry: Entry, outcome: str, state: str = "done") -> None:
        await self._connection.execute(DONE, {"id": entry.id, "state": state, "outcome": outcome[:200]})


def _person(kind: str, sender: Sender) -> Person:
    return Person(
        kind=kind,
        issuer=sender.issuer,
        external_id=sender.external_id,
        stable_aliases=[(alias.type.value, alias.value) for alias in sender.aliases if alias.type in STABLE],
        hints=[(alias.type.value, alias.value) for alias in sender.aliases if alias.type in HINTS],
        display_name=sender.display_name,
        handle=sender.handle,
        picture_url=sender.picture_url,
        locale=sender.locale,
    )


def _believable(told: datetime | None, received: datetime) -> datetime:
    """Return the provider's time if it is near ours, else ours: clocks in 1970 or 9999 are not news."""
    return told if told is not None and abs(told - received) < PLAUSIBLE else received


def _patience(entry: Entry) -> timedelta:
    """Return how long a receipt waits before it is tried again: longer the older it is."""
    return max(PARKED_RETRY, (datetime.now(UTC) - entry.created_at) / 4)
