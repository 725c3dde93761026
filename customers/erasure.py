"""Erase a person from the tables of customers. Rows stay, empty; a tombstone recognises what comes back of them."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import UTC, datetime

from django.db import connection

from customers.merging import HOMES, ONE_AT_A_TIME
from customers.models import Identity, Tombstone
from customers.tombstones import digest_of

HOMES_OF = f"{HOMES} SELECT home FROM person"  # noqa: S608 - a constant
LOCK = "SELECT 1 FROM customers_identity WHERE id = ANY(%(identities)s) ORDER BY id FOR UPDATE"
#: In the order in which they are run.
STATEMENTS: dict[str, str] = {
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


def homes_of(customer: uuid.UUID) -> list[uuid.UUID]:
    """Return all customers that are one person with this one. Until the transaction ends, no merge comes or goes."""
    with connection.cursor() as cursor:
        cursor.execute(ONE_AT_A_TIME)
        cursor.execute(HOMES_OF, {"home": customer})
        return [home for (home,) in cursor.fetchall()]


def lock(identities: Collection[Identity]) -> None:
    """Keep everybody else from the identities until the transaction ends. Conversations are locked after them."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, {"identities": [identity.pk for identity in identities]})


def names_of(identity: Identity) -> set[str]:
    """Return the ids by which the messenger knows, or knew, somebody."""
    former = {change.old for change in identity.changes.all() if change.field in ("external_id", "phone", "bsuid")}
    return {identity.external_id, *former, *(alias.value for alias in identity.aliases.all())} - {""}


def bury(identities: Collection[Identity], names: Collection[str]) -> None:
    """Remember digests of the names, each as every one of the identities may have been called."""
    now = datetime.now(UTC)
    for kind, issuer in {(identity.kind, identity.issuer) for identity in identities}:
        for name in names:
            Tombstone.objects.update_or_create(digest=digest_of(kind, issuer, name), defaults={"erased_at": now})


def erase(homes: Collection[uuid.UUID], identities: Collection[Identity]) -> dict[str, int]:
    """Empty all rows of one person; return how many of each table. Needs a transaction and lock()."""
    params = {"homes": list(homes), "identities": [identity.pk for identity in identities]}
    counts = {}
    with connection.cursor() as cursor:
        for name, statement in STATEMENTS.items():
            cursor.execute(statement, params)
            counts[name] = cursor.rowcount
    return counts
