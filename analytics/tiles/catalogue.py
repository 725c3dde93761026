"""Finds the tiles, knows which stand on a page, and makes each by itself: one that fails takes no other with it."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import time
from collections.abc import Sequence
from datetime import timedelta
from hashlib import md5

import msgspec
from django.core.cache import cache
from msgspec.structs import replace

from analytics.tiles import definitions
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.registry import TILES
from analytics.tiles.tile import State, Tile

log = logging.getLogger(__name__)

#: Made at import: msgspec works a type out on first use, and not safely in two threads at once.
_decoder = msgspec.json.Decoder(list[Tile])
#: Seconds for which the last good value of a tile is kept, to be shown where the next one fails.
KEPT = 3600
#: Seconds between two times that a page's tiles are remembered, and filters for which this process knows when that was.
KEPT_AGAIN, MOST_REMEMBERED = 60.0, 1000
_kept_at: dict[str, float] = {}


def collect() -> None:
    """Import every module of `definitions/`, in the order of their names, so that its tiles register themselves."""
    for module in sorted(pkgutil.iter_modules(definitions.__path__), key=lambda module: module.name):
        importlib.import_module(f"{definitions.__name__}.{module.name}")


def keys_on(page: str) -> list[str]:
    """Return the tiles of a page, in the order of their declared positions."""
    on_page = [tile for tile in TILES.values() if page in tile.on]
    return [tile.key for tile in sorted(on_page, key=lambda tile: tile.on[page])]


def make(key: str, data: DashboardData) -> Tile:
    """Return one tile; if it cannot be made, what it last showed, marked as failed. Never raises."""
    definition = TILES[key]
    try:
        tile = definition.make(data)
    except Exception as failure:  # noqa: BLE001 - one tile's failure never blanks the page
        log.error("the tile %s cannot be made: %s", key, type(failure).__name__)  # noqa: TRY400 - its text may quote rows
        tile = _kept(data).get(key) or Tile(key=key, title=definition.title, formula=definition.formula)
        tile.state = State.FAILED
        return tile
    if tile.state is State.OK and not definition.of_now and not tile.n:
        tile.state = State.FILTERED if data.filter.narrow and data.anything else State.EMPTY
    return tile


def keep(tiles: Sequence[Tile], data: DashboardData) -> None:
    """Remember tiles for the day when one of them cannot be made: once a minute for each filter is enough."""
    name, now = _name(data), time.monotonic()
    if now - _kept_at.get(name, -KEPT_AGAIN) < KEPT_AGAIN:
        return
    if len(_kept_at) > MOST_REMEMBERED:
        _kept_at.clear()
    _kept_at[name] = now
    good = [replace(tile, as_of=data.now) for tile in tiles if tile.state is State.OK]
    # One that fails goes on being remembered by what it showed last, until that is too old.
    good += [tile for tile in tiles if tile.state is State.FAILED and tile.as_of is not None]
    cache.set(name, msgspec.json.encode(good), KEPT)


def _kept(data: DashboardData) -> dict[str, Tile]:
    oldest = data.now - timedelta(seconds=KEPT)
    last = cache.get(_name(data))
    return {tile.key: tile for tile in (_decoder.decode(last) if last else ()) if tile.as_of and tile.as_of > oldest}


def _name(data: DashboardData) -> str:
    return f"analytics.kept.{md5(data.filter.query().encode(), usedforsecurity=False).hexdigest()}"


collect()
