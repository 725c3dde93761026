"""The heat map of the hours of the week: a table whose cells have a shade for messages and one for sentiment."""

from __future__ import annotations

from typing import Any

from analytics import formatting
from analytics.thresholds import SHADE, sign_of
from analytics.tiles.tile import Row, Tile

#: Shades for the number of messages, and for sentiment on either side of nought. The style sheet has a class for each.
VOLUME_SHADES, SENTIMENT_SHADES = 6, 3


def days(tile: Tile) -> list[dict[str, Any]]:
    """Return the weekdays, each with its 24 cells. A row of the tile is a cell: see definitions/volume.heat."""
    most = max((line.values[2] for line in tile.rows), default=0) or 1
    days: list[dict[str, Any]] = []
    for line in tile.rows:
        weekday = line.values[0]
        if not days or days[-1]["name"] != weekday:
            days.append({"name": weekday, "cells": []})
        days[-1]["cells"].append(_cell(line, most))
    return days


def _cell(line: Row, most: int) -> dict[str, Any]:
    _, hour, received, sentiment, _ = line.values
    numbers = f"{formatting.count(received)} received, net sentiment {formatting.points(sentiment)}, n {line.n}"
    return {
        "hour": hour,
        "volume": -(-received * VOLUME_SHADES // most) if received else 0,
        "sentiment": _sentiment_shade(sentiment),
        "small": line.small,
        "text": f"{line.label}: {numbers}",
        "link": line.link,
    }


def _sentiment_shade(sentiment: float | None) -> str:
    if sentiment is None:
        return "-0"
    return f"{sign_of(sentiment)}-{min(SENTIMENT_SHADES, 1 + int(abs(sentiment) / SHADE))}"
