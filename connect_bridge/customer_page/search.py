"""Finds customers: by an id of ours or of Amazon Connect's, a number, a handle or a name; or those who wrote last."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet, Value
from django.db.models.functions import Lower

from connect_bridge.models import Conversation
from customers.models import Customer, Identity
from customers.names import name_key

#: How many customers a search or a list shows.
MOST_CUSTOMERS = 50


def search(term: str, *, by_words: bool = True) -> QuerySet[Customer]:
    """Return customers, as shown now, that a term finds: any id, a number, a handle or a name.

    Without `by_words`, only ids are searched: for users who see neither names nor numbers, which a search would reveal.
    """
    term = term.strip()
    try:
        identities = _by_id(uuid.UUID(term))
    except ValueError:
        if not by_words:
            return Customer.objects.none()
        identities = _by_term(term)
    exact = Customer.objects.filter(pk__in=identities.values("customer"))[:MOST_CUSTOMERS]
    if exact or len(term) < 3:  # noqa: PLR2004 - two letters are in every second name
        return exact
    like = Identity.objects.filter(display_name__icontains=term).values("customer")[:MOST_CUSTOMERS]
    return Customer.objects.filter(pk__in=list(like.values_list("customer", flat=True)))


def _by_id(pk: uuid.UUID) -> QuerySet[Identity]:
    """Return the identities that an id of ours or of Amazon Connect's leads to. Each way uses its own index."""
    ways = ("pk", "customer", "home", "conversations", "conversations__contacts")
    first, *others = [Identity.objects.filter(**{way: pk}).values("pk") for way in ways]
    of_connect = Identity.objects.filter(conversations__contacts__initial_contact_id=str(pk)).values("pk")
    return Identity.objects.filter(pk__in=first.union(*others, of_connect))


def _by_term(term: str) -> QuerySet[Identity]:
    """Return the identities with this number, handle or name. A query for each way: with OR, no index would be used."""
    handle = Identity.objects.alias(low=Lower("handle")).exclude(handle="")
    ways = [
        Identity.objects.filter(external_id=term),
        Identity.objects.filter(aliases__value=term),
        handle.filter(low=Lower(Value(term.removeprefix("@")))),
    ]
    if key := name_key(term):
        ways.append(Identity.objects.filter(name_key=key))
    first, *others = [way.values("pk") for way in ways]
    return Identity.objects.filter(pk__in=first.union(*others))


def latest() -> QuerySet[Customer]:
    """Return the customers of the conversations that spoke last."""
    recent = Conversation.objects.exclude(last_message_at=None).order_by("-last_message_at")[: 4 * MOST_CUSTOMERS]
    customers = list(dict.fromkeys(recent.values_list("identity__customer", flat=True)))[:MOST_CUSTOMERS]
    return Customer.objects.filter(pk__in=customers)
