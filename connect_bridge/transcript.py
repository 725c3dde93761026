"""Connect's transcript of one chat, read page by page at the pace that all bridges share."""

from __future__ import annotations

from datetime import datetime

from connect_bridge.gateway import Invalid, Item, ParticipantService, Throttled, Unreachable
from connect_bridge.pace import Pace


async def read_transcript(
    participants: ParticipantService, pace: Pace, token: str, since: datetime | None = None
) -> list[Item]:
    """Return the items since then, or all, the oldest first. Waits while Connect says 429; raises GatewayError."""
    items: list[Item] = []
    page: str | None = None
    while True:
        await pace.turn()
        try:
            found = await participants.transcript(token, since, page)
        except Throttled as busy:
            pace.throttled(busy.retry_after)
            continue
        except Invalid as refusal:
            raise Unreachable(str(refusal)) from None  # no message is to blame
        items += found.transcript
        page = found.next_token
        if not page:
            return items
