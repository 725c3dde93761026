"""Erase a person: what says who they are or what was said goes, on every channel, and does not come back.

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

from connect_bridge.models import ERASED, OPEN_STATES, Contact, Conversation, Message, OutboxEntry
from connect_bridge.privacy.hooks import forget_above
from customers.merging import HOMES, ONE_AT_A_TIME
from customers.models import Customer, Identity, PrivacyRequest, Tombstone
from customers.tombstones import digest_of

#: A shorter id is in too many webhooks that are not about this person.
SHORTEST_ID = 5

THEIR_HOMES = f"{HOMES} SELECT home FROM person"  # noqa: S608 - a constant
#: In the order in which the router locks: identities, then conversations.
LOCKS = (
    "SELECT 1 FROM customers_identity WHERE id = ANY(%(identities)s) ORDER BY id FOR UPDATE",
    "SELECT 1 FROM connect_bridge_conversation WHERE id = ANY(%(conversations)s) ORDER BY id FOR UPDATE",
)
#: In the order in which they are run. Each takes what `_Person` holds. now() is when the erasure began: whoever writes
#: meanwhile is somebody new.
EMPTY: dict[str, str] = {
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
    "calls": """
        UPDATE channels_app_channellog SET path = %(erased)s
         WHERE outbox_entry IN (
               SELECT id FROM connect_bridge_outboxentry WHERE conversation_id = ANY(%(conversations)s))
            OR (account_id = ANY(%(accounts)s) AND path LIKE ANY(%(in_paths)s))""",
    "webhooks": """
        UPDATE channels_app_webhookdelivery d SET body = '', headers = '{}', query = ''
         WHERE d.account_id = ANY(%(accounts)s) AND d.received_at < now() AND (
               EXISTS (SELECT 1 FROM channels_app_inboundentry e WHERE e.delivery_id = d.id AND (
                       e.sender = ANY(%(names)s) OR EXISTS (
                       SELECT 1 FROM connect_bridge_message m
                        WHERE m.entry_id = e.id AND m.conversation_id = ANY(%(conversations)s))))
            OR EXISTS (
               SELECT 1 FROM unnest(%(in_bodies)s::bytea[]) AS b (name) WHERE position(b.name IN d.body) > 0))""",
    "events": """
        UPDATE channels_app_inboundentry e SET event = '{}', sender = %(erased)s, outcome = 'erased',
               state = CASE WHEN state IN ('pending', 'parked') THEN 'done' ELSE state END
         WHERE e.account_id = ANY(%(accounts)s) AND e.created_at < now() AND (e.sender = ANY(%(names)s) OR EXISTS (
               SELECT 1 FROM connect_bridge_message m
                WHERE m.entry_id = e.id AND m.conversation_id = ANY(%(conversations)s)))""",
    "conversations": """
        UPDATE connect_bridge_conversation SET recipient = %(erased)s, active = false
         WHERE id = ANY(%(conversations)s)""",
    "aliases": "DELETE FROM customers_identityalias WHERE identity_id = ANY(%(identities)s)",
    "phones": "DELETE FROM customers_phoneholder WHERE identity_id = ANY(%(identities)s)",
    "hints": "DELETE FROM customers_identityhint WHERE identity_id = ANY(%(identities)s)",
    "changes": "DELETE FROM customers_identitychange WHERE identity_id = ANY(%(identities)s)",
    "consents": "UPDATE customers_consent SET evidence = '{}', topic = '' WHERE identity_id = ANY(%(identities)s)",
    "merges": """
        UPDATE customers_merge SET evidence = '{}', reason = '', undo_reason = ''
         WHERE low_id = ANY(%(homes)s) OR high_id = ANY(%(homes)s)""",
    "decisions": """
        UPDATE customers_apart SET reason = '' WHERE low_id = ANY(%(homes)s) OR high_id = ANY(%(homes)s)""",
    "identities": """
        UPDATE customers_identity SET external_id = 'erased ' || id, display_name = '', name_key = '', handle = '',
               picture_url = '', locale = '' WHERE id = ANY(%(identities)s)""",
    "customers": """
        UPDATE customers_customer SET display_name = '', locale = '', facts = '{}', preferred_channel = '',
               erased_at = now() WHERE id = ANY(%(homes)s)""",
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
    def names(self) -> set[str]:
        known = {one.external_id for one in self.identities} | {chat.recipient for chat in self.conversations}
        for one in self.identities:
            known |= {alias.value for alias in one.aliases.all()}
            known |= {change.old for change in one.changes.all() if change.field in ("external_id", "phone", "bsuid")}
        return known - {""}

    def given(self) -> dict[str, Any]:
        names = sorted(self.names)
        telling = [name for name in names if len(name) >= SHORTEST_ID]
        return {
            "erased": ERASED,
            "homes": self.homes,
            "identities": [one.pk for one in self.identities],
            "conversations": [chat.pk for chat in self.conversations],
            "accounts": list({chat.account_id for chat in self.conversations}),
            "names": names,
            # A plus sign is written otherwise in a form; the digits after it are not.
            "in_bodies": [name.removeprefix("+").encode() for name in telling],
            "in_paths": [f"%{_literally(name.removeprefix('+'))}%" for name in telling],
        }


@transaction.atomic
def erase(customer: uuid.UUID, *, by: str, reason: str = "") -> PrivacyRequest:
    """Erase the person whom this customer belongs to, merges considered. Raises CannotErase.

    One transaction: either all of it is gone or nothing. The copy in DynamoDB follows by itself.
    """
    with connection.cursor() as cursor:
        cursor.execute(ONE_AT_A_TIME)
        person = _read(cursor, customer)
        given = person.given()
        for lock in LOCKS:
            cursor.execute(lock, given)
        _demand_quiet(person)
        counts = _empty_above(person)
        _bury(person)
        for what, statement in EMPTY.items():
            cursor.execute(statement, given)
            counts[what] = cursor.rowcount
    return PrivacyRequest.objects.create(
        verb=PrivacyRequest.Verb.ERASE,
        customer_id=customer,
        at=datetime.now(UTC),
        by=by[:150],
        reason=reason[:300],
        counts=counts,
    )


def _read(cursor: Any, customer: uuid.UUID) -> _Person:
    row = Customer.objects.filter(pk=customer).first()
    if row is None:
        raise CannotErase("There is no such customer.")
    if row.erased_at is not None:
        raise CannotErase("This customer was erased before.")
    cursor.execute(THEIR_HOMES, {"home": customer})
    homes = [home for (home,) in cursor.fetchall()]
    identities = list(Identity.objects.filter(home__in=homes).prefetch_related("aliases", "changes"))
    return _Person(homes, identities, list(Conversation.objects.filter(identity__in=identities)))


def _demand_quiet(person: _Person) -> None:
    """Refuse while somebody talks with the customer: a bridge and Amazon Connect hold their words just now."""
    busy = Contact.objects.filter(conversation__in=person.conversations, state__in=OPEN_STATES)
    ids = list(busy.values_list("initial_contact_id", flat=True))
    if ids:
        named = ", ".join(one or "one that is about to start" for one in ids)
        raise CannotErase(f"A chat is open: {named}. End it in Amazon Connect, and try again a minute later.")
    if OutboxEntry.objects.filter(conversation__in=person.conversations, state=OutboxEntry.State.CLAIMED).exists():
        raise CannotErase("A message to the customer is being sent at this moment: try again in a minute.")


def _empty_above(person: _Person) -> dict[str, int]:
    messages = list(Message.objects.filter(conversation__in=person.conversations).values_list("pk", flat=True))
    return forget_above(messages)


def _bury(person: _Person) -> None:
    """Remember digests of the names, each as every identity of theirs may have been called."""
    now = datetime.now(UTC)
    for kind, issuer in {(one.kind, one.issuer) for one in person.identities}:
        for name in person.names:
            Tombstone.objects.update_or_create(digest=digest_of(kind, issuer, name), defaults={"erased_at": now})


def _literally(name: str) -> str:
    """Return the name for LIKE, in which % and _ mean something."""
    return name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
