"""Accounts with their channels ready to verify webhooks, read by SQL and remembered for a second."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured

from channels_app.account import SETTINGS, Account, make_channel
from channels_app.errors import AccountProblem
from channels_app.fields import decrypt
from channels_app.webhooks.responses import unavailable

log = logging.getLogger(__name__)

#: A disabled account is not returned: it is answered like, and as fast as, one that never existed.
SELECT = f"""
SELECT id, kind, address, credentials, former_credentials, former_credentials_until, {", ".join(SETTINGS)}
  FROM channels_app_channelaccount WHERE enabled AND id = ANY(%(ids)s)
"""  # noqa: S608 - names of fields
#: Seconds for which an account is taken as it was read: rotating or disabling one takes effect within that time.
KNOWN_SECONDS = 1.0
#: Seconds for which an id is taken as unknown: short, so that a new account works at once.
UNKNOWN_SECONDS = 0.2
_MOST_REMEMBERED = 10_000

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    row: Row | None
    account: Account | None
    until: float


@dataclass(slots=True)
class AccountCache:
    """What one endpoint of one process remembers. An account is built anew only if its row has changed."""

    clock: Callable[[], float] = time.monotonic
    _known: dict[uuid.UUID, _Known] = field(default_factory=dict)

    def cached(self, account: uuid.UUID) -> Account | None:
        """Return the account, None if there is none; raise KeyError if the database must be asked first."""
        known = self._known[account]
        if known.until < self.clock():
            raise KeyError(account)
        return known.account

    def remember(self, account: uuid.UUID, row: Row | None) -> Account | None:
        """Remember a row as read, None for no such account; raise Refused (503) if its credentials cannot be used."""
        former = self._known.get(account)
        if former is not None and former.row == row:
            ready = former.account
        else:
            ready = None if row is None else self._build(row)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        seconds = UNKNOWN_SECONDS if row is None else KNOWN_SECONDS
        self._known[account] = _Known(row, ready, self.clock() + seconds)
        return ready

    def _build(self, row: Row) -> Account:
        account, kind, address, credentials, former, until, *settings = row
        try:
            channel = make_channel(kind, account, decrypt(credentials))
        except (AccountProblem, ImproperlyConfigured) as problem:
            # No trace: it could hold a credential.
            log.error("account %s cannot be used: %s", account, problem)  # noqa: TRY400
            raise unavailable() from None
        return Account(account, kind, address, channel, self._former(account, kind, former, until), until, *settings)

    def _former(self, account: uuid.UUID, kind: str, credentials: bytes | None, until: datetime | None) -> Any:
        if credentials is None or until is None or until <= datetime.now(UTC):
            return None
        try:
            return make_channel(kind, account, decrypt(credentials))
        except (AccountProblem, ImproperlyConfigured) as problem:
            log.warning("account %s: former credentials cannot be used: %s", account, problem)
            return None


async def look_up(connection: psycopg.AsyncConnection[Any], ids: Sequence[uuid.UUID]) -> list[Row | None]:
    """Read the rows of many accounts at once; None for those that are unknown or disabled."""
    cursor = await connection.execute(SELECT, {"ids": list(ids)})
    rows = {row[0]: row for row in await cursor.fetchall()}
    return [rows.get(account) for account in ids]
