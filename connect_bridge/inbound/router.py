"""From the intake to the transcript: every pending entry becomes a message, a receipt, or a note on why not."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

import psycopg
from psycopg.rows import class_row

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.failpoints import failpoint
from channels_app.infrastructure.group_commit import CONFLICTS
from channels_app.webhooks.codec import event_from_builtins
from channels_app.webhooks.entries import FORGET, NOTE_FAILURE
from connect_bridge.inbound import queries, transcript
from connect_bridge.inbound.entries import Entry, settle
from connect_bridge.inbound.handlers import EventHandler
from connect_bridge.inbound.link_replies import conversations_of, send_notices
from connect_bridge.inbound.transcript import Arrival, Routed
from connect_bridge.storage.capture import LOCK_IN_ORDER
from connect_bridge.storage.relaying import RELAY_CHANNEL, SHARD_LOCKS
from customers.identify import Erased, NotAnId

log = logging.getLogger(__name__)

#: Entries in one transaction.
BATCH = 100
#: Of one shard: whoever sends a thousand messages at once must not hold up the others.
SHARE = 20
#: An entry that breaks the router this often is quarantined; its raw bytes stay with the delivery.
MOST_ATTEMPTS = 5


class Router:
    """Routes entries for one bridge. Several bridges route at once, each in shards that it could lock.

    A batch is one transaction:

    1. Take what is pending, in the order in which it came, from shards that no other bridge is working on.
    2. Do what each event asks for (EventHandler). Conversations that are new are made here.
    3. Lock all conversations that get something, in the order of their ids: else two bridges would wait for each other.
    4. Store messages in the order of the intake, then what customers are told of their link codes.
    5. Wake the bridges that own these conversations.
    """

    def __init__(self, connection: AsyncConnection, bridge: uuid.UUID) -> None:
        self._connection = connection
        self._bridge = bridge

    async def route(self) -> tuple[int, Sequence[Routed]]:
        """Route one batch in one transaction; return how many entries it had and which messages were stored.

        If the batch fails, its first entry is tried alone, so that only the bad one counts a failure.
        """
        try:
            return await self._route_batch()
        except CONFLICTS as conflict:
            log.info("a batch of entries met another bridge's (%s): trying each alone", type(conflict).__name__)
        except psycopg.OperationalError:
            raise
        except Exception as failure:  # noqa: BLE001 - an entry that we cannot route must not stop the others
            log.warning("a batch of entries failed (%s): trying each alone", type(failure).__name__)
        return await self._route_first()

    async def _route_batch(self) -> tuple[int, Sequence[Routed]]:
        async with self._connection.transaction():
            entries = await self._take(BATCH)
            return len(entries), await self._route_all(entries)

    async def _route_first(self) -> tuple[int, Sequence[Routed]]:
        """Route the first entry alone; note its failure if it fails again."""
        async with self._connection.transaction():
            entries = await self._take(1)
            for entry in entries:
                try:
                    async with self._connection.transaction():
                        return 1, await self._route_all([entry])
                except psycopg.OperationalError:
                    raise
                except Exception as failure:  # noqa: BLE001 - see route()
                    log.error("entry %d cannot be routed: %s", entry.id, type(failure).__name__)  # noqa: TRY400 - no text
                    params = {"id": entry.id, "outcome": f"failed: {type(failure).__name__}", "most": MOST_ATTEMPTS}
                    await self._connection.execute(NOTE_FAILURE, params)
            return len(entries), []

    async def _take(self, most: int) -> Sequence[Entry]:
        shards = [
            row[0] for row in await (await self._connection.execute(queries.FREE_SHARDS, [SHARD_LOCKS])).fetchall()
        ]
        if not shards:
            return []
        async with self._connection.cursor(row_factory=class_row(Entry)) as cursor:
            params = {"shards": shards, "each": SHARE, "most": most}
            return await (await cursor.execute(queries.TAKE, params)).fetchall()

    async def _route_all(self, entries: Sequence[Entry]) -> Sequence[Routed]:
        handler = EventHandler(self._connection)
        handled = [await self._handle(handler, entry) for entry in entries]
        arrivals = [arrival for arrival in handled if arrival is not None]
        conversations = [arrival.conversation for arrival in arrivals]
        conversations += await conversations_of(self._connection, handler.notices)
        await self._connection.execute(LOCK_IN_ORDER, [conversations])
        stored = [await transcript.store(self._connection, self._bridge, arrival) for arrival in arrivals]
        await send_notices(self._connection, handler.notices)
        routed = [message for message in stored if message is not None]
        await self._wake_owners(routed)
        return routed

    async def _handle(self, handler: EventHandler, entry: Entry) -> Arrival | None:
        event = event_from_builtins(entry.event)
        failpoint("I4")
        try:
            return await handler.handle(entry, event)
        except Erased:
            await self._connection.execute(FORGET, {"id": entry.id})
        except NotAnId:
            await settle(self._connection, entry, "its sender's id is none, so it is nobody's", state="quarantined")
        return None

    async def _wake_owners(self, routed: Sequence[Routed]) -> None:
        """Wake the other bridges that own something new. A hint: they would find it within seconds anyway."""
        for owner in {message.owner for message in routed} - {self._bridge}:
            await self._connection.execute("SELECT pg_notify(%s, %s)", [RELAY_CHANNEL, str(owner)])
