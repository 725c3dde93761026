"""What every tile of sentiment says besides its number: which engine scored, how much it scored, what is left out."""

from __future__ import annotations

from django.conf import settings

from analytics import formatting
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.tile import State, Tile, share

OWN_WORDS = "Customers' own words alone; not scored are languages that the engine does not know, never neutral."
#: Below this share of scored messages the tiles say so.
GOOD_COVERAGE = 0.9


def coverage_notes(data: DashboardData) -> list[str]:
    covered = share(data.total["scored"], data.total["scorable"])
    notes = [engine_note()]
    if covered is not None and covered < GOOD_COVERAGE:
        notes.append(f"Only {formatting.percent(covered)} of the messages have a score.")
    return notes


def engine_note() -> str:
    return f"Engine: {settings.SENTIMENT_ENGINE}."


def off_if_disabled(tile: Tile) -> Tile:
    """Mark a tile as off where analysis is off and nothing was scored before."""
    if not settings.SENTIMENT_ENABLED and not tile.n:
        tile.state = State.OFF
        tile.notes = ["Sentiment analysis is off: SENTIMENT_ENABLED."]
    return tile
