"""Erase a person: what says who they are, and all that was said, is deleted on every channel, and does not come back.

Rows stay, empty, so that counts, keys and histories hold. A webhook that is delivered again is known by its key; what
was written before the erasure, and comes from elsewhere, by a tombstone: a keyed digest of each id. What Amazon Connect
and the messengers keep is not ours to erase.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from channels_app.privacy import erasure as channels_erasure
from channels_app.privacy.erasure import Traces
from connect_bridge.models import ERASED, OPEN_STATES, Contact, Conversation, Message, OutboxEntry
from connect_bridge.privacy.hooks import erase_above
from customers import erasure as customers_erasure
from customers.models import Customer, Identity, PrivacyRequest

#: Locked after the identities, as the router does.
LOCK = "SELECT 1 FROM connect_bridge_conversation WHERE id = ANY(%(conversations)s) ORDER BY id FOR UPDATE"
#: In the order in which they are run.
STATEMENTS: dict[str, str] = {
    "messages": """
        UPDATE connect_bridge_message
           SET text = %(erased)s, original = NULL, provider_message_id = '', error_detail = '',
               author = CASE WHEN direction = 'in' THEN '' ELSE author END,
               status = CASE WHEN status = 'stored' THEN 'failed' ELSE status END,
               error_code = CASE WHEN status = 'stored' THEN 'erased' ELSE error_code END
         WHERE conversation_id = ANY(%(conversations)s)""",
    "sends": """
        UPDATE connect_bridge_outboxentry SET text = %(erased)s, provider_message_ids = '[]', error_detail = '',
               state = CASE WHEN state IN ('pending', 'claimed', 'uncertain') THEN 'dead' ELSE state END,
               error_code = CASE WHEN state IN ('pending', 'claimed', 'uncertain') THEN 'erased' ELSE error_code END,
               settled_at = COALESCE(settled_at, now()), look_at = NULL
         WHERE conversation_id = ANY(%(conversations)s)""",
    "sent ids": """
        DELETE FROM connect_bridge_sentid WHERE entry_id IN (
            SELECT id FROM connect_bridge_outboxentry WHERE conversation_id = ANY(%(conversations)s))""",
    "conversations": """
        UPDATE connect_bridge_conversation SET recipient = %(erased)s, active = false
         WHERE id = ANY(%(conversations)s)""",
}


class CannotErase(Exception):
    """The person cannot be erased now. `str()` says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Person:
    """All rows of one person, and the names by which webhooks, paths and tables know them."""

    homes: list[uuid.UUID]
    identities: list[Identity]
    conversations: list[Conversation]

    @property
    def names(self) -> list[str]:
        recipients = {conversation.recipient for conversation in self.conversations} - {""}
        return sorted(recipients.union(*map(customers_erasure.names_of, self.identities)))

    def params(self) -> dict[str, Any]:
        return {"erased": ERASED, "conversations": [conversation.pk for conversation in self.conversations]}

    def traces(self) -> Traces:
        """Return by what the stored webhooks and the log of calls know the person."""
        messages = Message.objects.filter(conversation__in=self.conversations, entry_id__isnull=False)
        return Traces(
            erased=ERASED,
            accounts={conversation.account_id for conversation in self.conversations},
            names=self.names,
            entries=list(messages.values_list("entry_id", flat=True)),
            sends=list(OutboxEntry.objects.filter(conversation__in=self.conversations).values_list("pk", flat=True)),
        )


@transaction.atomic
def erase(customer: uuid.UUID, *, by: str, reason: str = "") -> PrivacyRequest:
    """Erase the person whom this customer belongs to, merges considered. Raises CannotErase.

    One transaction: either all of it is erased or nothing. The copy in DynamoDB follows by itself. The steps:

    1. Find the person: all customers that merges make one, their identities and conversations.
    2. Lock the identities, then the conversations, in the order in which the router locks them.
    3. Refuse while somebody talks with them, or a message to them is being sent.
    4. Let the apps above delete what they keep of the messages.
    5. Remember digests of the names, so that what is delivered again is recognised.
    6. Empty the rows, each app its own.
    """
    person = _read(customer)
    customers_erasure.lock(person.identities)
    with connection.cursor() as cursor:
        cursor.execute(LOCK, person.params())
    _demand_quiet(person)
    counts = _empty_above(person)
    customers_erasure.bury(person.identities, person.names)
    traces = person.traces()
    with connection.cursor() as cursor:
        for name, statement in STATEMENTS.items():
            cursor.execute(statement, person.params())
            counts[name] = cursor.rowcount
    counts |= channels_erasure.erase(traces)
    counts |= customers_erasure.erase(person.homes, person.identities)
    return PrivacyRequest.objects.create(
        verb=PrivacyRequest.Verb.ERASE,
        customer_id=customer,
        at=datetime.now(UTC),
        by=by[:150],
        reason=reason[:300],
        counts=counts,
    )


def _read(customer: uuid.UUID) -> _Person:
    homes = customers_erasure.homes_of(customer)
    row = Customer.objects.filter(pk=customer).first()
    if row is None:
        raise CannotErase("There is no such customer.")
    if row.erased_at is not None:
        raise CannotErase("This customer was erased before.")
    identities = list(Identity.objects.filter(home__in=homes).prefetch_related("aliases", "changes"))
    return _Person(homes, identities, list(Conversation.objects.filter(identity__in=identities)))


def _demand_quiet(person: _Person) -> None:
    """Refuse while somebody talks with the customer: a bridge and Amazon Connect hold their words just now."""
    open_chats = Contact.objects.filter(conversation__in=person.conversations, state__in=OPEN_STATES)
    ids = list(open_chats.values_list("initial_contact_id", flat=True))
    if ids:
        named = ", ".join(contact or "one that is about to start" for contact in ids)
        raise CannotErase(f"A chat is open: {named}. End it in Amazon Connect, and try again a minute later.")
    if OutboxEntry.objects.filter(conversation__in=person.conversations, state=OutboxEntry.State.CLAIMED).exists():
        raise CannotErase("A message to the customer is being sent at this moment: try again in a minute.")


def _empty_above(person: _Person) -> dict[str, int]:
    messages = list(Message.objects.filter(conversation__in=person.conversations).values_list("pk", flat=True))
    return erase_above(messages)
