"""The tables of the customers app, by topic."""

from __future__ import annotations

from customers.models.consent import Consent, PrivacyRequest, Tombstone
from customers.models.identity import Customer, Identity, IdentityAlias, IdentityChange, IdentityHint, PhoneHolder
from customers.models.merge import Apart, LinkCode, Merge

__all__ = [
    "Apart",
    "Consent",
    "Customer",
    "Identity",
    "IdentityAlias",
    "IdentityChange",
    "IdentityHint",
    "LinkCode",
    "Merge",
    "PhoneHolder",
    "PrivacyRequest",
    "Tombstone",
]
