"""Connect's transcript of one chat, read page by page at the rate that all bridges share.

The pages go back from the newest item, because a scan forwards needs a place to start from
(amazon-connect-chatjs, issue 19). So whoever knows up to when it has been read pays for what is new alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from connect_bridge.connect.gateway import Invalid, Item, ParticipantService, Throttled, Transcript, Unreachable
from connect_bridge.connect.item_reader import said_at
from connect_bridge.connect.rate_limit import RateLimiter

#: Pages in a row that bring nothing new, before we believe that the tokens lead nowhere.
MOST_BARREN = 5


async def read_transcript(
    participants: ParticipantService, limiter: RateLimiter, token: str, since: datetime | None = None
) -> list[Item]:
    """Return the items since then, or all of this chat, the oldest first, each once.

    `since` is a time of Connect's clock. What a chat that this one continues said comes only as far as it shares a
    page with this one. Waits while Connect says 429; raises GatewayError.
    """
    items: dict[str, Item] = {}
    tokens = {""}
    page, barren = "", 0
    while True:
        answer = await _page(participants, limiter, token, page)
        fresh = {_name(item): item for item in _turned(answer.items) if _name(item) not in items}
        items = fresh | items
        barren = 0 if fresh else barren + 1
        page = answer.next_token
        if page in tokens or barren >= MOST_BARREN or _passed(answer.items, since):
            dated = sorted(_dated(items.values()), key=lambda pair: pair[0])
            return [item for at, item in dated if since is None or at >= since]
        tokens.add(page)


def _name(item: Item) -> str:
    return item.id or f"{item.absolute_time} {item.content_type} {item.participant_id}"


async def _page(participants: ParticipantService, limiter: RateLimiter, token: str, page: str) -> Transcript:
    while True:
        await limiter.acquire()
        try:
            return await participants.transcript(token, page)
        except Throttled as busy:
            limiter.throttled(busy.retry_after)
        except Invalid as refusal:
            raise Unreachable(str(refusal)) from None  # no message is to blame


def _passed(items: Sequence[Item], since: datetime | None) -> bool:
    """Return whether pages before this one have nothing for us: all of it older, or said in an earlier chat."""
    if any(item.related_contact_id for item in items):
        return True
    times = [at for item in items if (at := said_at(item)) is not None]
    return since is not None and bool(times) and min(times) < since


def _turned(items: Sequence[Item]) -> Sequence[Item]:
    """Return a page's items the oldest first: asked for as newest first, but their order is not promised."""
    times = [at for item in items if (at := said_at(item)) is not None]
    return items if times and times[0] < times[-1] else items[::-1]


def _dated(items: Iterable[Item]) -> Iterator[tuple[datetime, Item]]:
    """Give each item its time; one without a time that can be read has that of the one before it."""
    at = datetime.min.replace(tzinfo=UTC)
    for item in items:
        at = said_at(item) or at
        yield at, item
