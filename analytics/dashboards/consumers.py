"""The websocket of open dashboards: it says that numbers changed, nothing else; the page fetches what it may see."""

from __future__ import annotations

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from analytics.dashboards.access import VIEW
from analytics.dashboards.live import GROUP

#: Codes of closed connections: not logged in, not permitted.
NOBODY, FORBIDDEN = 4401, 4403


class Dashboards(AsyncJsonWebsocketConsumer):  # type: ignore[misc] # channels is not typed
    """One open page."""

    async def connect(self) -> None:
        user = self.scope["user"]
        if not user.is_authenticated:
            await self.close(NOBODY)
            return
        if not await database_sync_to_async(user.has_perm)(VIEW):
            await self.close(FORBIDDEN)
            return
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, _code: int) -> None:
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def numbers_changed(self, _event: dict[str, Any]) -> None:
        await self.send_json({"changed": True})
