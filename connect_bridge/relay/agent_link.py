"""Links to a customer: for colleagues with a login, and for an agent's workspace, signed for one contact.

The signed link opens a page that only shows, of the customer of one chat, while that chat is open and for a day after.
Whoever has the link can read that page: it goes into the chat's attributes, where agents of the instance see it.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner

#: A chat lasts seven days at most (StartChatContact, ChatDurationInMinutes), so no link does longer.
LASTS = timedelta(days=8)
#: … and no longer than this after the end of its chat.
AFTER_THE_END = timedelta(days=1)
_signer = TimestampSigner(salt="parley.agent-page")


def agent_link(contact: uuid.UUID) -> str:
    """Return the address of the page for whoever handles this contact."""
    return f"{settings.PUBLIC_BASE_URL}/agent/{_signer.sign(contact.hex)}/"


def contact_of(token: str) -> uuid.UUID | None:
    """Return the contact that a link was signed for, None if it was not by us, or too long ago."""
    try:
        return uuid.UUID(_signer.unsign(token, max_age=LASTS))
    except (BadSignature, ValueError):
        return None


def customer_link(customer: uuid.UUID) -> str:
    """Return the address of the customer's page, for people who have a login."""
    return f"{settings.PUBLIC_BASE_URL}/customers/{customer}/"
