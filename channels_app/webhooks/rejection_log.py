"""Record rejected webhooks and answered handshakes of each account: what the set-up page shows.

A hint for people, not a record: at most one write in some seconds for each account and process, whatever comes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from channels_app.errors import BadHandshake, BadSignature, HandshakeRefused

#: Seconds for which one record of an event stands for all that follow.
QUIET_SECONDS = 3.0
_MOST_REMEMBERED = 10_000
#: Rejections that hint at a wrong setting, on our side or the provider's. Others only say that a stranger called.
WORTH_RECORDING = frozenset({BadSignature.code, BadHandshake.code, HandshakeRefused.code})

REJECTED = """
INSERT INTO channels_app_accounthealth (account_id, points, rejected_at, rejected_code)
SELECT a.id, '[]', now(), %(code)s FROM channels_app_channelaccount a WHERE a.id = %(account)s
    ON CONFLICT (account_id) DO UPDATE SET rejected_at = now(), rejected_code = EXCLUDED.rejected_code
"""
HANDSHAKE = """
INSERT INTO channels_app_accounthealth (account_id, points, handshake_at)
SELECT a.id, '[]', now() FROM channels_app_channelaccount a WHERE a.id = %(account)s
    ON CONFLICT (account_id) DO UPDATE SET handshake_at = now()
"""


async def write_rejections(
    connection: psycopg.AsyncConnection[Any], rejections: Sequence[tuple[uuid.UUID, str]]
) -> list[None]:
    """Write rejections down. The batch function of the ASGI endpoint's group committer."""
    for account, code in dict(rejections).items():
        await connection.execute(REJECTED, {"account": account, "code": code})
    return [None] * len(rejections)


@dataclass(slots=True)
class RejectionLog:
    """Decides which rejections and handshakes of one process are worth a write."""

    clock: Callable[[], float] = time.monotonic
    _last: dict[tuple[uuid.UUID, str], float] = field(default_factory=dict)

    def is_new(self, account: uuid.UUID, event: str) -> bool:
        """Return whether this was not recorded within the last seconds, and count it as recorded."""
        now, key = self.clock(), (account, event)
        if now - self._last.get(key, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        if len(self._last) >= _MOST_REMEMBERED:
            self._last.clear()
        self._last[key] = now
        return True
