"""Where a tile is declared: `@tile(...)` above the function that computes it. Nothing else has to name it.

The declaration says what the tile is called, what its number means, on which pages it stands, and who may see it.
Pages, API, CSV exports, reports and alerts all read it from here. Modules of `definitions/` are found by catalogue.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric
from analytics.tiles.tile import Tile

#: The pages of the dashboards and their titles. The overview answers its five questions above the fold.
PAGES: Mapping[str, str] = {
    "sentiment": "Sentiment",
    "service": "Service",
    "channels": "Channels",
    "accounts": "Accounts",
    "queues": "Queues",
    "agents": "Agents",
    "languages": "Languages",
    "hours": "Hours of the week",
    "phrases": "What weighs on chats",
    "failures": "Delivery",
    "deflection": "Bots",
}
#: Two more places where tiles stand: the first page, and the report that goes out by e-mail.
OVERVIEW, REPORT = "overview", "report"

Build = Callable[[DashboardData], Tile]


class Drill(msgspec.Struct, frozen=True):
    """Where a tile's title leads: a page, and what changes in the filter. "chats" lists the chats behind the number."""

    page: str
    changes: Mapping[str, str] = {}

    def address(self, data: DashboardData) -> str:
        return data.drill(self.page, **self.changes)


class TileDefinition(msgspec.Struct, kw_only=True):
    """All of a tile that does not depend on the data. As a decorator it registers the function that computes the rest.

    The function returns a Tile with the value, `n`, and what is drawn; all that is declared here is filled in
    afterwards, `drill` only if the function left it empty. It may raise: then the page shows what the tile showed last
    (see catalogue.make).
    """

    key: str
    """Names the tile in the API, the CSV export and the page's HTML."""
    title: str
    on: Mapping[str, int] = {}
    """Page (of PAGES, OVERVIEW, REPORT) → position there, in steps of ten. On none: in the API alone."""
    form: str = "number"
    """How it is drawn; see templates/analytics/forms.html."""
    unit: str = "count"
    of: str = ""
    """What `n` counts, e.g. "chats with a scored message"."""
    formula: str
    excludes: str = ""
    page: str = ""
    """The page that tells more about it. There, its title leads to the chats instead."""
    drill: Drill | None = None
    good: str = ""
    """"up" or "down" if either is better."""
    headline: bool = True
    """Whether `value` is shown as the tile's number. False for lists, which are shown by their rows alone."""
    of_now: bool = False
    """It is about this moment, not about the range: never empty, never a small sample."""
    names_customers: bool = False
    """Its rows are customers. Tiles with a column WORDS need not say so."""
    permission: str = ""
    """What somebody needs to see it, besides access to the dashboards."""
    alert: Metric | None = None
    """How an alert watches it; None if none can."""
    build: Build = msgspec.field(default=lambda _data: Tile())

    def __call__(self, build: Build) -> Build:
        """Register the tile. Raises ValueError for a key that is taken or a page that does not exist."""
        if self.key in TILES:
            raise ValueError(f"two tiles are called {self.key}")
        if unknown := set(self.on) - {OVERVIEW, REPORT, *PAGES}:
            raise ValueError(f"the tile {self.key} stands on a page that does not exist: {', '.join(sorted(unknown))}")
        self.build = build
        TILES[self.key] = self
        return build

    def make(self, data: DashboardData) -> Tile:
        """Compute the tile. Raises what its function raises."""
        tile = self.build(data)
        tile.key, tile.title, tile.form, tile.unit, tile.page = self.key, self.title, self.form, self.unit, self.page
        tile.of, tile.formula, tile.excludes = self.of, self.formula, self.excludes
        if self.drill is not None and not tile.drill:
            tile.drill = self.drill.address(data)
        if self.headline:
            tile.derive(good=self.good)
        if self.of_now:
            tile.small = False
        return tile


tile = TileDefinition
#: Every tile by its key, in the order in which they were declared.
TILES: dict[str, TileDefinition] = {}
