"""All tiles by name, and the pages that show them. Each is made by itself: one that fails takes no other with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import md5

import msgspec
from django.core.cache import cache
from msgspec.structs import replace

from analytics.tiles import now as tiles_now
from analytics.tiles import sentiment, service, volume
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.tile import State, Tile

log = logging.getLogger(__name__)


#: Made at import: msgspec works a type out on first use, and not safely in two threads at once.
_decoder = msgspec.json.Decoder(list[Tile])
#: Seconds for which the last good value of a tile is kept, to be shown where the next one fails.
KEPT = 3600
#: Seconds between two times that a page's tiles are remembered, and filters for which this process knows when that was.
KEPT_AGAIN, MOST_REMEMBERED = 60.0, 1000
_kept_at: dict[str, float] = {}

TILES: Mapping[str, Callable[[DashboardData], Tile]] = {
    "channels": tiles_now.channels,
    "sentiment": sentiment.sentiment,
    "negative": sentiment.negative,
    "shift": sentiment.shifted,
    "coverage": sentiment.coverage,
    "worst": tiles_now.worst,
    "active": tiles_now.active,
    "waiting": tiles_now.waiting,
    "first_response": service.first_response,
    "reply": service.reply,
    "handle": service.handle,
    "abandonment": service.abandonment,
    "unanswered": service.unanswered,
    "bot": service.bot,
    "deflection": service.deflection,
    "containment": service.containment,
    "courses": service.courses,
    "bridge": service.bridge,
    "failures": volume.failures,
    "windows": tiles_now.windows,
    "volume": volume.volume,
    "heat": volume.heat,
    "phrases": sentiment.phrases,
    "by_channel": sentiment.by_facet("channel", "By channel"),
    "by_account": sentiment.by_facet("account", "By account"),
    "by_queue": sentiment.by_facet("queue", "By queue"),
    "by_language": sentiment.by_facet("language", "By language"),
    "by_agent": sentiment.by_facet("agent", "By agent"),
}
#: Page → title and tiles. What the overview has above the fold answers its five questions.
PAGES: Mapping[str, tuple[str, Sequence[str]]] = {
    "sentiment": ("Sentiment", ("sentiment", "negative", "shift", "coverage", "by_channel", "by_queue", "by_language")),
    "service": ("Service", ("first_response", "reply", "handle", "abandonment", "unanswered", "bridge")),
    "channels": ("Channels", ("volume", "channels", "by_channel", "by_account")),
    "accounts": ("Accounts", ("channels", "by_account")),
    "queues": ("Queues", ("by_queue", "first_response", "abandonment")),
    "agents": ("Agents", ("by_agent", "handle", "reply")),
    "languages": ("Languages", ("by_language", "coverage")),
    "hours": ("Hours of the week", ("heat", "volume")),
    "phrases": ("What weighs on chats", ("phrases", "sentiment")),
    "failures": ("Delivery", ("failures", "windows", "channels", "bridge")),
    "deflection": ("Bots", ("bot", "containment", "courses", "abandonment")),
}
OVERVIEW = (
    "channels",
    "sentiment",
    "negative",
    "active",
    "waiting",
    "first_response",
    "failures",
    "bot",
    "unanswered",
    "worst",
    "volume",
    "windows",
    "reply",
    "phrases",
    "heat",
    "by_channel",
    "by_queue",
    "shift",
    "handle",
    "coverage",
)
#: Tiles of agents one by one: for who has the permission, see may_see.
OF_AGENTS = frozenset({"by_agent"})
#: Tiles that do not speak of the range but of now.
OF_NOW = frozenset({"channels", "active", "waiting", "windows"})


def make(key: str, numbers: DashboardData) -> Tile:
    """Return one tile; if it cannot be made, what it last said, marked as failed."""
    try:
        tile = TILES[key](numbers)
    except Exception as failure:  # noqa: BLE001 - one tile's failure never blanks the page
        log.error("the tile %s cannot be made: %s", key, type(failure).__name__)  # noqa: TRY400 - its text may quote rows
        tile = _kept(numbers).get(key) or _failed(key)
        tile.state = State.FAILED
        return tile
    if tile.state is State.OK and key not in OF_NOW and not tile.n:
        tile.state = State.FILTERED if numbers.filter.narrow and numbers.anything else State.EMPTY
    return tile


def keep(made: Sequence[Tile], numbers: DashboardData) -> None:
    """Remember tiles for the day when one of them cannot be made: once a minute for each filter is enough."""
    name, now = _name(numbers), time.monotonic()
    if now - _kept_at.get(name, -KEPT_AGAIN) < KEPT_AGAIN:
        return
    if len(_kept_at) > MOST_REMEMBERED:
        _kept_at.clear()
    _kept_at[name] = now
    good = [replace(tile, as_of=numbers.now) for tile in made if tile.state is State.OK]
    # One that fails goes on being remembered by what it said last, until that is too old.
    good += [tile for tile in made if tile.state is State.FAILED and tile.as_of is not None]
    cache.set(name, msgspec.json.encode(good), KEPT)


def _kept(numbers: DashboardData) -> dict[str, Tile]:
    oldest = numbers.now - timedelta(seconds=KEPT)
    last = cache.get(_name(numbers))
    return {tile.key: tile for tile in (_decoder.decode(last) if last else ()) if tile.as_of and tile.as_of > oldest}


def _name(numbers: DashboardData) -> str:
    return f"analytics.kept.{md5(numbers.filter.query().encode(), usedforsecurity=False).hexdigest()}"


def _failed(key: str) -> Tile:
    return Tile(key=key, title=key.replace("_", " ").capitalize(), formula="", state=State.FAILED)
