"""What all conversations of one bridge process share."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg_pool import AsyncConnectionPool

from channels_app.infrastructure.db import AsyncConnection
from channels_app.infrastructure.group_commit import GroupCommitter
from connect_bridge.connect.circuit_breaker import CircuitBreakers
from connect_bridge.connect.gateway import ControlPlane, ParticipantService
from connect_bridge.connect.rate_limit import RateLimiters
from connect_bridge.connect.websocket import HeartbeatWheel
from connect_bridge.storage.account_settings import AccountSettingsCache
from connect_bridge.storage.capture import Batch
from connect_bridge.storage.ownership import BRIDGE_TTL
from connect_bridge.storage.relaying import RelayedPart

#: Seconds after our last heartbeat for which we take our conversations for ours: less than the lease, so that nothing
#: that we begin meets what the next owner begins.
OURS_FOR = BRIDGE_TTL - 2.0
#: Chat websockets opened at once. When thousands were lost, Connect's first refusals must slow the others down.
OPENED_AT_ONCE = 16


@dataclass(slots=True, kw_only=True)
class BridgeRuntime:
    """What the relays and listeners of one bridge share.

    `on_stored` is called with a conversation and its new messages of Connect's side, `on_ended` with a conversation and
    the contact that is over: both after the commit. Neither blocks.
    """

    bridge: uuid.UUID
    pool: AsyncConnectionPool[AsyncConnection]
    control: ControlPlane
    participants: ParticipantService
    captures: GroupCommitter[Batch, Sequence[uuid.UUID]]
    relays: GroupCommitter[RelayedPart, None]
    on_stored: Callable[[uuid.UUID, Sequence[uuid.UUID]], None]
    on_ended: Callable[[uuid.UUID, uuid.UUID], None]
    limiters: RateLimiters = field(default_factory=RateLimiters)
    circuit_breakers: CircuitBreakers = field(default_factory=CircuitBreakers)
    account_settings: AccountSettingsCache = field(default_factory=AccountSettingsCache)
    opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPENED_AT_ONCE))
    wheel: HeartbeatWheel = field(default_factory=HeartbeatWheel)
    beat_at: float = field(default_factory=time.monotonic)

    @property
    def owns(self) -> bool:
        """Whether our heartbeat is fresh: without it another bridge may have taken our conversations over."""
        return time.monotonic() - self.beat_at < OURS_FOR

    async def execute(self, query: str, params: Any) -> int:
        """Run one statement in a transaction of its own and return how many rows it touched."""
        async with self.pool.connection() as connection:
            return (await connection.execute(query.encode(), params)).rowcount
