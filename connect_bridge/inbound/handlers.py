"""What one event asks for, short of the transcript.

Who its sender is, which conversation it belongs to, and what it says of the customer, of our messages or of our
account. Runs in the router's transaction.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import Any, LiteralString, assert_never

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.failpoints import failpoint
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
from channels_app.webhooks.entries import NOTE_ACCOUNT_NEWS
from connect_bridge.inbound import queries
from connect_bridge.inbound.customer_signals import note_consent, note_linking, note_referral, read_customer_signals
from connect_bridge.inbound.entries import PARKED_RETRY, Entry, park, person_of, retry_wait, settle
from connect_bridge.inbound.receipts import Joined, apply_receipt
from connect_bridge.inbound.transcript import Arrival
from connect_bridge.storage import side_events
from customers.claims import Notification
from customers.identify import demand_alive, identify, recognise
from customers.identity_changes import update

log = logging.getLogger(__name__)

#: How long a receipt waits for the message that it is about.
PARKED_FOR = timedelta(days=7)
#: How long what is about a message waits for somebody of whom nothing has come yet: webhooks come in any order.
STRANGERS_WAIT = timedelta(minutes=1)


class EventHandler:
    """Handles the events of one batch. `notices`: whom to notify of a link code, once the messages are stored."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.notices: list[Notification] = []

    async def handle(self, entry: Entry, event: InboundEvent) -> Arrival | None:
        """Do what an event asks for; return what of it belongs into a transcript, else settle or park its entry.

        Raises customers.identify's Erased and NotAnId.
        """
        match event:
            case MessageReceived():
                return await self._message(entry, event)
            case MessageEdited() | MessageUnsent() | Reacted() | Rated() | Referred():
                return await self._side_event(entry, event)
            case ReceiptReceived() | Echoed():
                return await self._receipt(entry, event)
            case ConsentChanged():
                await self._settle(entry, await self._about_sender(entry, event))
                return await self._for_known_sender(entry, event)
            case _:
                await self._settle_unshown(entry, event)
                return None

    async def _message(self, entry: Entry, event: MessageReceived) -> Arrival:
        """Find or make the sender and their conversation, having read what the words say about the customer."""
        sender, text = event.sender, readable(event)
        identity = await identify(self._connection, person_of(entry.kind, sender), event.occurred_at)
        self.notices += await read_customer_signals(self._connection, identity, event, text, entry.id)
        conversation = await self._conversation(entry.account, identity, sender.external_id[:256])
        return Arrival(entry=entry, event=event, conversation=conversation)

    async def _conversation(self, account: uuid.UUID, identity: uuid.UUID, recipient: str) -> uuid.UUID:
        params = {"id": uuid.uuid4(), "account": account, "identity": identity, "recipient": recipient}
        row = await self._row(queries.FIND_CONVERSATION, params)
        if row is None:
            await self._connection.execute(queries.CREATE_CONVERSATION, params)
            row = await self._row(queries.FIND_CONVERSATION, params)
        assert row is not None
        conversation: uuid.UUID = row[0]
        if row[1] != recipient:
            await self._connection.execute(queries.SET_RECIPIENT, {**params, "id": conversation})
        return conversation

    async def _side_event(self, entry: Entry, event: InboundEvent) -> Arrival | None:
        arrival = await self._for_known_sender(entry, event)
        if arrival is None and not isinstance(event, Referred) and entry.age < STRANGERS_WAIT:
            await park(self._connection, entry, PARKED_RETRY)
        elif arrival is None:
            await self._settle(entry, "from nobody who has written here: kept, starts nothing")
        return arrival

    async def _for_known_sender(self, entry: Entry, event: InboundEvent) -> Arrival | None:
        """Return what is to be shown of somebody whom we know; nobody is made a customer by a gesture."""
        person = person_of(entry.kind, event.sender)
        if isinstance(event, Referred):
            self.notices += await note_referral(self._connection, person, event)
        identity = await recognise(self._connection, person)
        if identity is None:
            await demand_alive(self._connection, person, event.occurred_at)
        row = await self._row(queries.FIND_CONVERSATION, {"account": entry.account, "identity": identity})
        if row is None or not side_events.wording(event):
            return None
        return Arrival(entry=entry, event=event, conversation=row[0])

    async def _receipt(self, entry: Entry, event: ReceiptReceived | Echoed) -> Arrival | None:
        """Join it to our message; an echo of what was sent past us belongs into the transcript."""
        params = {
            "account": entry.account,
            "kind": entry.kind,
            "issuer": event.sender.issuer,
            "external_id": event.sender.external_id,
        }
        row = await self._row(queries.FIND_CONVERSATION_BY_SENDER, params)
        conversation = None if row is None else row[0]
        joined = await apply_receipt(self._connection, entry.account, conversation, event)
        if joined is not None:
            await self._settle(entry, joined.value)
            sent_past_us = isinstance(event, Echoed) and joined is Joined.NOT_OURS
            return await self._for_known_sender(entry, event) if sent_past_us else None
        if entry.age > PARKED_FOR:
            await self._settle(entry, "no message of ours in seven days")
        else:
            failpoint("O9")
            await park(self._connection, entry, retry_wait(entry))
        return None

    async def _settle_unshown(
        self,
        entry: Entry,
        event: IdentityChanged | AccountLinked | AccountChanged | TypingShown | Misaddressed | Unrecognised,
    ) -> None:
        """Settle what no chat shows."""
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

    async def _about_sender(self, entry: Entry, event: IdentityChanged | ConsentChanged | AccountLinked) -> str:
        person = person_of(entry.kind, event.sender)
        if isinstance(event, ConsentChanged):
            return await note_consent(self._connection, person, event, entry.id)
        if isinstance(event, AccountLinked):
            return await note_linking(self._connection, person, event, entry.id)
        known = await update(self._connection, person, event.former_id)
        return "identity changed" if known else "identity changed: nobody we know"

    async def _settle(self, entry: Entry, outcome: str, state: str = "done") -> None:
        await settle(self._connection, entry, outcome, state=state)

    async def _row(self, query: LiteralString, params: dict[str, Any]) -> Any:
        return await (await self._connection.execute(query, params)).fetchone()
