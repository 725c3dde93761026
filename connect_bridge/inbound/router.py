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

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.failpoints import failpoint
from channels_app.infrastructure.group_commit import CONFLICTS
from channels_app.toolkit.placeholders import readable
from channels_app.types import (
    AccountChanged,
    AccountLinked,
    ConsentChanged,
    Echoed,
    IdentityChanged,
    InboundEvent,
    MessageEdited,
    MessageReceived,
    MessageUnsent,
    Misaddressed,
    Rated,
    Reacted,
    ReceiptReceived,
    Referred,
    TypingShown,
    Unrecognised,
)
from channels_app.webhooks.codec import event_from_builtins
from channels_app.webhooks.entries import FORGET, NOTE_ACCOUNT_NEWS, NOTE_FAILURE, PARK, SETTLE
from connect_bridge.inbound.customer_signals import note_consent, note_linking, note_referral, read_customer_signals
from connect_bridge.inbound.entries import (
    PARKED_RETRY,
    Entry,
    believable,
    patience,
    person_of,
)
from connect_bridge.inbound.link_replies import tell, to_lock
from connect_bridge.inbound.receipts import Joined, apply_receipt
from connect_bridge.storage import side_events
from connect_bridge.storage.messages import insert_messages
from connect_bridge.storage.relaying import RELAY_CHANNEL, SHARD_LOCKS
from connect_bridge.storage.side_events import Aside
from customers.claims import Told
from customers.identify import Erased, NotAnId, demand_alive, identify, recognise
from customers.identity_changes import update

log = logging.getLogger(__name__)

#: Entries in one transaction.
BATCH = 100
#: Of one shard: whoever sends a thousand messages at once must not hold up the others.
SHARE = 20
#: An entry that breaks the router this often is quarantined; its raw bytes stay with the delivery.
MOST_ATTEMPTS = 5
#: How long a receipt waits for the message that it is about, and how often it is tried.
PARKED_FOR = timedelta(days=7)
#: How long what is about a message waits for somebody of whom nothing has come yet: webhooks come in any order.
STRANGERS_WAIT = timedelta(minutes=1)
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
_INSERT_MESSAGE = insert_messages(
    "conversation",
    id="%(id)s",
    conversation_id="id",
    sequence="last_sequence",
    direction="'in'",
    role="'CUSTOMER'",
    author="%(author)s",
    text="%(text)s",
    original="%(original)s",
    entry_id="%(entry)s",
    provider_message_id="%(provider_id)s",
    occurred_at="%(occurred)s",
)
#: Allocates the sequence under the conversation's row lock, makes the caller owner if nobody is, and stores.
STORE = f"""
WITH conversation AS (
    UPDATE connect_bridge_conversation
       SET last_sequence = last_sequence + 1, last_inbound_at = now(), last_message_at = now(), active = true,
           fence = fence + (owner_id IS NULL)::int, owner_id = COALESCE(owner_id, %(bridge)s)
     WHERE id = %(conversation)s RETURNING id, last_sequence, owner_id
), message AS (
    {_INSERT_MESSAGE}
)
SELECT owner_id FROM conversation
"""  # noqa: S608 - constants


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Something for the transcript of a conversation that is there already."""

    entry: Entry
    event: InboundEvent
    conversation: uuid.UUID


class Routed(msgspec.Struct, frozen=True):
    """A message was stored: this conversation, owned by this bridge, has something to relay."""

    conversation: uuid.UUID
    owner: uuid.UUID
    message: uuid.UUID


class Router:
    """Moves entries for one bridge. Several bridges route at once, each in shards that it could lock."""

    def __init__(self, connection: AsyncConnection, bridge: uuid.UUID) -> None:
        self._connection = connection
        self._bridge = bridge
        self._news: list[Told] = []

    async def route(self) -> tuple[int, Sequence[Routed]]:
        """Route one batch in one transaction; return how many entries it had and which messages were stored.

        If the batch fails, its entries are tried one by one, so that only the bad one stumbles.
        """
        try:
            return await self._batch(BATCH)
        except CONFLICTS as clash:
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
        found: list[Arrival] = []
        self._news = []
        for entry in entries:
            event = event_from_builtins(entry.event)
            failpoint("I4")
            try:
                arrival = await self._read(entry, event)
            except Erased:
                await self._connection.execute(FORGET, {"id": entry.id})
                continue
            except NotAnId:
                await self._settle(entry, "its sender's id is none, so it is nobody's", state="quarantined")
                continue
            if arrival is not None:
                found.append(arrival)
        told = await to_lock(self._connection, self._news)
        await self._connection.execute(LOCK_IN_ORDER, [[*(one.conversation for one in found), *told]])
        stored = [await self._store(one) for one in found]
        await tell(self._connection, self._news)
        return [routed for routed in stored if routed is not None]

    async def _told(self, entry: Entry, event: MessageReceived) -> Arrival:
        conversation = await self._conversation(entry, event, readable(event))
        return Arrival(entry=entry, event=event, conversation=conversation)

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
                    await self._connection.execute(NOTE_FAILURE, outcome)
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

    async def _store(self, found: Arrival) -> Routed | None:
        entry, event, message = found.entry, found.event, uuid.uuid4()
        if not isinstance(event, MessageReceived):
            return await self._aside(found)
        given = {
            "bridge": self._bridge,
            "conversation": found.conversation,
            "id": message,
            "author": event.sender.display_name[:256],
            "text": readable(event, await self._quoted(found)),
            "original": Jsonb(entry.event),
            "entry": entry.id,
            "provider_id": event.message_id[:256],
            "occurred": believable(event.occurred_at, entry.created_at),
        }
        row = await self._one_row(STORE, given)
        ignored = ", ".join(event.sender.ignored)
        await self._settle(
            entry, f"message stored; no id in its documented form: {ignored}" if ignored else "message stored"
        )
        return Routed(found.conversation, row[0], message)

    async def _aside(self, found: Arrival) -> Routed | None:
        """Store what asks for nothing; somebody is woken only if a chat is open, or about to be."""
        entry, event, ours = found.entry, found.event, isinstance(found.event, Echoed)
        aside = Aside(
            id=uuid.uuid4(),
            conversation=found.conversation,
            text=side_events.wording(event, await self._quoted(found)),
            author=side_events.author_of(event),
            entry=entry.id,
            original=entry.event,
            occurred=believable(event.occurred_at, entry.created_at),
            provider_id=event.message_id if isinstance(event, Echoed) else "",
            spoken=ours,
        )
        owner, listening = await side_events.store(self._connection, aside)
        what = "our own side's words from elsewhere" if ours else "told, starts nothing"
        if not isinstance(event, ConsentChanged):
            await self._settle(entry, f"{what}: {'in the open chat' if listening else 'on the timeline'}")
        return Routed(found.conversation, owner, aside.id) if owner and listening else None

    async def _about(self, entry: Entry, event: InboundEvent) -> Arrival | None:
        """Return what is to be told of somebody whom we know; nobody is made a customer by a gesture."""
        person = person_of(entry.kind, event.sender)
        if isinstance(event, Referred):
            self._news += await note_referral(self._connection, person, event)
        identity = await recognise(self._connection, person)
        if identity is None:
            await demand_alive(self._connection, person, event.occurred_at)
        row = await self._one_row(THE_CONVERSATION, {"account": entry.account, "identity": identity})
        if row is not None:
            told = Arrival(entry=entry, event=event, conversation=row[0])
            return told if side_events.wording(event) else None
        return None

    async def _quoted(self, found: Arrival) -> str:
        """Return what it is about or replies to, which Connect cannot show otherwise; "" if that is not known."""
        subject = side_events.subject_of(found.event)
        return await side_events.quoted(self._connection, found.entry.account, found.conversation, subject)

    async def _gesture(self, entry: Entry, event: InboundEvent) -> Arrival | None:
        arrival = await self._about(entry, event)
        if (
            arrival is None
            and not isinstance(event, Referred)
            and datetime.now(UTC) - entry.created_at < STRANGERS_WAIT
        ):
            await self._connection.execute(PARK, {"id": entry.id, "wait": PARKED_RETRY})
        elif arrival is None:
            await self._settle(entry, "from nobody who has written here: kept, starts nothing")
        return arrival

    async def _conversation(self, entry: Entry, event: InboundEvent, text: str) -> uuid.UUID:
        """Return the conversation, having drawn what the words say about the customer. Raises Erased."""
        sender = event.sender
        identity = await identify(self._connection, person_of(entry.kind, sender), event.occurred_at)
        self._news += await read_customer_signals(self._connection, identity, event, text, entry.id)
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

    async def _read(self, entry: Entry, event: InboundEvent) -> Arrival | None:
        """Do what an event asks for; return what of it is to be told."""
        match event:
            case MessageReceived():
                return await self._told(entry, event)
            case MessageEdited() | MessageUnsent() | Reacted() | Rated() | Referred():
                return await self._gesture(entry, event)
            case ReceiptReceived() | Echoed():
                return await self._receipt(entry, event)
            case ConsentChanged():
                await self._settle(entry, await self._about_sender(entry, event))
                return await self._about(entry, event)
            case _:
                await self._for_us(entry, event)
                return None

    async def _for_us(
        self,
        entry: Entry,
        event: IdentityChanged | AccountLinked | AccountChanged | TypingShown | Misaddressed | Unrecognised,
    ) -> None:
        """Settle what nobody is told of in a chat."""
        match event:
            case IdentityChanged() | AccountLinked():
                await self._settle(entry, await self._about_sender(entry, event))
            case AccountChanged():
                log.info("account %s: the provider reports %s", entry.account, event.topic)
                news = (event.detail or event.topic)[:200]
                await self._connection.execute(NOTE_ACCOUNT_NEWS, {"account": entry.account, "news": news})
                await self._settle(entry, f"account: {event.topic} {event.detail}".rstrip())
            case TypingShown():
                await self._settle(entry, "typing is not shown to agents")
            case Misaddressed():
                await self._settle(entry, "names another account", state="quarantined")
            case Unrecognised():
                await self._settle(entry, "kept, not shown to agents")
            case _:
                assert_never(event)

    async def _receipt(self, entry: Entry, event: ReceiptReceived | Echoed) -> Arrival | None:
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
            past_us = isinstance(event, Echoed) and joined is Joined.NOT_OURS
            return await self._about(entry, event) if past_us else None
        if datetime.now(UTC) - entry.created_at > PARKED_FOR:
            await self._settle(entry, "no message of ours in seven days")
        else:
            failpoint("O9")
            await self._connection.execute(PARK, {"id": entry.id, "wait": patience(entry)})
        return None

    async def _about_sender(self, entry: Entry, event: IdentityChanged | ConsentChanged | AccountLinked) -> str:
        person = person_of(entry.kind, event.sender)
        if isinstance(event, ConsentChanged):
            return await note_consent(self._connection, person, event, entry.id)
        if isinstance(event, AccountLinked):
            return await note_linking(self._connection, person, event, entry.id)
        known = await update(self._connection, person, event.former_id)
        return "identity changed" if known else "identity changed: nobody we know"

    async def _settle(self, entry: Entry, outcome: str, state: str = "done") -> None:
        await self._connection.execute(SETTLE, {"id": entry.id, "state": state, "outcome": outcome[:200]})
