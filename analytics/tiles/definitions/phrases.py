"""What negative messages speak about, and what each phrase costs."""

from __future__ import annotations

from analytics.queries import rollups
from analytics.queries.question import Sums
from analytics.thresholds import SCALE
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, tile
from analytics.tiles.sentiment_notes import engine_note
from analytics.tiles.tile import SMALL, Column, Row, Tile, row
from analytics.tiles.values import net_sentiment

#: Chats with a phrase below which its impact is not shown.
PHRASE_LEAST = 5
MOST_PHRASES = 8


@tile(
    key="phrases",
    title="What weighs on chats",
    on={OVERVIEW: 140, "phrases": 10, REPORT: 130},
    form="ranking",
    unit="points",
    of="chats with a scored message",
    formula=(
        "Share of chats with the phrase x (mean rating without it - mean rating with it): the points that it takes "
        f"from net sentiment. At least {PHRASE_LEAST} chats."
    ),
    excludes="Phrases of messages that are not negative. A phrase goes with bad chats; it need not be the cause.",
    page="phrases",
    drill=Drill("phrases"),
    headline=False,
)
def phrases(data: DashboardData) -> Tile:
    """Rank the phrases of negative messages by what they take from net sentiment."""
    columns = [Column("points it costs", "impact"), Column("chats", "count"), Column("rating with it", "points")]
    ranked = sorted(_impacts(data, columns), key=lambda pair: (-pair[0], pair[1].label))
    worst = [line for impact, line in ranked if impact > 0]
    return Tile(n=data.total["rated"], columns=columns, rows=worst[:MOST_PHRASES], notes=[engine_note()])


def _impacts(data: DashboardData, columns: list[Column]) -> list[tuple[float, Row]]:
    start, end = data.filter.start, data.filter.end
    question = data.question(start, end, by=("value",), facet="phrase", measures=("rated", "rating_sum"))
    impacts = []
    for (phrase,), sums in rollups.sums(question).items():
        impact = phrase_impact(sums, data.total)
        if impact is not None:
            values = [-impact, sums["rated"], net_sentiment(sums)]
            link, small = data.drill("chats", phrase=phrase), sums["rated"] < SMALL
            impacts.append((impact, row(phrase, columns, values, n=sums["rated"], link=link, small=small)))
    return impacts


def phrase_impact(having: Sums, total: Sums) -> float | None:
    """Return the points, 0 … 1, that a phrase costs; None where too few chats have it, or all."""
    rated, without = having["rated"], total["rated"] - having["rated"]
    if rated < PHRASE_LEAST or without <= 0:
        return None
    mean_with = having["rating_sum"] / rated
    mean_without = (total["rating_sum"] - having["rating_sum"]) / without
    return rated / total["rated"] * (mean_without - mean_with) / SCALE
