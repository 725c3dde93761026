"""How customers were, how that changed within their chats, and for how much of what they wrote we know it."""

from __future__ import annotations

from analytics.thresholds import SLIGHT_SHIFT, STRONG_SHIFT
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric
from analytics.tiles.over_time import value_over_time
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, tile
from analytics.tiles.sentiment_notes import OWN_WORDS, coverage_notes, off_if_disabled
from analytics.tiles.tile import Column, Tile, row, share
from analytics.tiles.values import negative_share, net_sentiment, sentiment_shift


@tile(
    key="sentiment",
    title="Net sentiment",
    on={OVERVIEW: 20, "sentiment": 10, "phrases": 20, REPORT: 10},
    unit="points",
    of="chats with a scored message",
    formula=(
        "Mean of the chats' ratings x 100. A chat's rating is the mean of P(positive) - P(negative) of the customer's "
        "messages: so long chats do not dominate."
    ),
    excludes=OWN_WORDS,
    page="sentiment",
    drill=Drill("sentiment"),
    good="up",
    alert=Metric(
        key="sentiment",
        position=20,
        title="Net sentiment",
        unit="points",
        of="chats with a score",
        good="up",
        value=net_sentiment,
        n="rated",
    ),
)
def sentiment(data: DashboardData) -> Tile:
    """Show net sentiment, with a line over the range."""
    tile = value_over_time(data, net_sentiment, n="rated", name="Net sentiment", unit="points")
    tile.notes = coverage_notes(data)
    return off_if_disabled(tile)


@tile(
    key="negative",
    title="Negative chats",
    on={OVERVIEW: 30, "sentiment": 20, REPORT: 20},
    unit="share",
    of="chats with a scored message",
    formula="Chats rated at or below -25 / chats with a scored message.",
    excludes=OWN_WORDS,
    page="sentiment",
    drill=Drill("chats", {"outcome": "negative"}),
    good="down",
    alert=Metric(
        key="negative",
        position=10,
        title="Negative chats",
        unit="share",
        of="chats with a score",
        good="down",
        value=negative_share,
        n="rated",
    ),
)
def negative(data: DashboardData) -> Tile:
    """Show the share of chats that were negative."""
    return off_if_disabled(value_over_time(data, negative_share, n="rated", name="Negative chats", unit="share"))


@tile(
    key="shift",
    title="Shift in chats",
    on={OVERVIEW: 180, "sentiment": 30},
    unit="points",
    of="chats with six scored messages or more",
    formula=(
        "(Mean of the last third - mean of the first third) / 2 x 100, of chats with at least six scored messages. "
        "Thirds are Parley's own rule. From 20 on a shift is slight, from 55 on strong."
    ),
    excludes=OWN_WORDS,
    page="sentiment",
    drill=Drill("sentiment"),
    good="up",
    alert=Metric(
        key="shift",
        position=30,
        title="Shift in chats",
        unit="points",
        of="chats with six scores",
        good="up",
        value=sentiment_shift,
        n="shifted",
    ),
)
def shift(data: DashboardData) -> Tile:
    """Show how sentiment changed from the beginning of chats to their end."""
    tile = value_over_time(data, sentiment_shift, n="shifted", name="Shift", unit="points")
    if tile.value is not None:
        tile.notes = [_strength(tile.value)]
    return off_if_disabled(tile)


def _strength(shift: float) -> str:
    size = abs(shift)
    if size < SLIGHT_SHIFT:
        return "steady"
    return f"{'slight' if size < STRONG_SHIFT else 'strong'}, {'better' if shift > 0 else 'worse'} at the end"


@tile(
    key="coverage",
    title="Coverage",
    on={OVERVIEW: 200, "sentiment": 40, "languages": 20, REPORT: 30},
    form="ranking",
    unit="share",
    of="customers' messages with words",
    formula="Scored messages / customers' messages that have words of their own.",
    excludes="Pictures, reactions and other messages without words.",
    page="sentiment",
)
def coverage(data: DashboardData) -> Tile:
    """Show how much of what customers wrote has a score."""
    total, before = data.total, data.before
    columns = [Column("messages", "count")]
    names = {"negative": "▼ negative", "neutral": "● neutral", "mixed": "◆ mixed", "positive": "▲ positive"}
    rows = [row(label, columns, [total[name]], mark=name) for name, label in names.items()]
    rows.append(row("unsure: no label has half of the probability", columns, [total["unsure"]]))
    rows.append(row("not scored: language or text", columns, [total["unscored"]], mark="unscored"))
    waiting = total["scorable"] - total["scored"] - total["unscored"]
    rows.append(row("waiting for a score", columns, [waiting], mark="unscored"))
    tile = Tile(
        value=share(total["scored"], total["scorable"]),
        n=total["scorable"],
        compared=share(data.done["scored"], data.done["scorable"]),
        before=None if before is None else share(before["scored"], before["scorable"]),
        columns=columns,
        rows=rows,
        notes=coverage_notes(data),
    )
    return off_if_disabled(tile)
