"""One entry of the intake as the router works with it: who wrote, when, and how it is settled."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from channels_app.infrastructure.db import AsyncConnection
from channels_app.types import AliasType, Sender
from channels_app.webhooks.entries import PARK, SETTLE
from customers.person import Person

#: The shortest time for which something waits before it is tried again.
PARKED_RETRY = timedelta(seconds=5)
#: Provider clocks further off than this are not believed.
PLAUSIBLE = timedelta(days=30)
#: Aliases that stay with a person; a username changes hands.
STABLE = (AliasType.PHONE, AliasType.BSUID)
#: Aliases that several identities may share.
HINTS = (AliasType.PARENT_BSUID,)


class Entry(msgspec.Struct, kw_only=True, frozen=True):
    id: int
    account: uuid.UUID
    kind: str
    event: dict[str, Any]
    attempts: int
    created_at: datetime

    @property
    def age(self) -> timedelta:
        return datetime.now(UTC) - self.created_at


async def settle(connection: AsyncConnection, entry: Entry, outcome: str, *, state: str = "done") -> None:
    """Write down what became of an entry, in words for the log of events. It is not read again."""
    await connection.execute(SETTLE, {"id": entry.id, "state": state, "outcome": outcome[:200]})


async def park(connection: AsyncConnection, entry: Entry, wait: timedelta) -> None:
    """Let an entry wait for what it is about; it is read again after `wait`."""
    await connection.execute(PARK, {"id": entry.id, "wait": wait})


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


def plausible_time(reported: datetime | None, received: datetime) -> datetime:
    """Return the provider's time if it is near ours, else ours: a clock in 1970 or 9999 is wrong."""
    return reported if reported is not None and abs(reported - received) < PLAUSIBLE else received


def retry_wait(entry: Entry) -> timedelta:
    """Return how long a receipt waits before it is tried again: longer the older it is."""
    return max(PARKED_RETRY, entry.age / 4)
