"""Remember who was turned away at an account's door, and which handshakes succeeded: what the set-up page shows.

A hint for people, not a record: at most one write in some seconds for each account and process, whatever knocks.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from channels_app.errors import BadHandshake, BadSignature, HandshakeRefused

#: Seconds for which one knock stands for all that follow.
EVERY = 3.0
_MOST_REMEMBERED = 10_000
#: Rejections that tell of a wrong setting, on our side or the provider's. Others tell of strangers.
TELLING = frozenset({BadSignature.code, BadHandshake.code, HandshakeRefused.code})

REJECTED = """
INSERT INTO channels_app_accounthealth (account_id, points, rejected_at, rejected_code)
SELECT a.id, '[]', now(), %(code)s FROM channels_app_channelaccount a WHERE a.id = %(account)s
    ON CONFLICT (account_id) DO UPDATE SET rejected_at = now(), rejected_code = EXCLUDED.rejected_code
"""
SHOOK_HANDS = """
INSERT INTO channels_app_accounthealth (account_id, points, handshake_at)
SELECT a.id, '[]', now() FROM channels_app_channelaccount a WHERE a.id = %(account)s
    ON CONFLICT (account_id) DO UPDATE SET handshake_at = now()
"""


async def write_rejections(
    connection: psycopg.AsyncConnection[Any], knocks: Sequence[tuple[uuid.UUID, str]]
) -> list[None]:
    """Write down who was turned away, for the fast lane's group committer."""
    for account, code in dict(knocks).items():
        await connection.execute(REJECTED, {"account": account, "code": code})
    return [None] * len(knocks)


@dataclass(slots=True)
class RejectionLog:
    """Which knocks of one process are worth a write."""

    clock: Callable[[], float] = time.monotonic
    _last: dict[tuple[uuid.UUID, str], float] = field(default_factory=dict)

    def is_news(self, account: uuid.UUID, what: str) -> bool:
        """Say whether this was not written down just now, and take it as written."""
        now, key = self.clock(), (account, what)
        if now - self._last.get(key, -EVERY) < EVERY:
            return False
        if len(self._last) >= _MOST_REMEMBERED:
            self._last.clear()
        self._last[key] = now
        return True
