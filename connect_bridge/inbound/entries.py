"""One entry of the intake as the router works with it: who wrote, when, and how it is settled. Pure, and SQL."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from channels_app.types import AliasType, Sender
from customers.identify import Person

#: The shortest time for which something waits before it is tried again.
PARKED_RETRY = timedelta(seconds=5)
#: Provider clocks further off than this are not believed.
PLAUSIBLE = timedelta(days=30)
#: Aliases that stay with a person; a username changes hands.
STABLE = (AliasType.PHONE, AliasType.BSUID)
#: Aliases that several identities may share.
HINTS = (AliasType.PARENT_BSUID,)


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
#: Once a minute at most: an account that another app answers for tells it with every word of its customers.
NEWS = """
INSERT INTO channels_app_accounthealth AS h (account_id, points, news, news_at)
SELECT %(account)s::uuid, '[]', %(news)s::text, now()
 WHERE NOT EXISTS (SELECT 1 FROM channels_app_accounthealth WHERE account_id = %(account)s::uuid
                      AND news = %(news)s::text AND news_at > now() - interval '1 minute')
ON CONFLICT (account_id) DO UPDATE SET news = EXCLUDED.news, news_at = EXCLUDED.news_at
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


def person_of(kind: str, sender: Sender) -> Person:
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


def believable(told: datetime | None, received: datetime) -> datetime:
    """Return the provider's time if it is near ours, else ours: clocks in 1970 or 9999 are not news."""
    return told if told is not None and abs(told - received) < PLAUSIBLE else received


def patience(entry: Entry) -> timedelta:
    """Return how long a receipt waits before it is tried again: longer the older it is."""
    return max(PARKED_RETRY, (datetime.now(UTC) - entry.created_at) / 4)
