"""What did not reach customers, and why; what Amazon Connect does not take."""

from __future__ import annotations

from analytics import formatting
from analytics.queries import rollups
from analytics.tiles import live_queries
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, tile
from analytics.tiles.tile import Column, Row, Series, Tile, row, share
from analytics.tiles.values import share_of

MOST_CODES = 10

failed_share = share_of("failed", "settled")


@tile(
    key="failures",
    title="Delivery failures",
    on={OVERVIEW: 70, "failures": 10, REPORT: 100},
    unit="share",
    of="messages to customers that came to an end, or should have",
    formula=(
        "Messages to customers that failed / those that came to an end (taken, failed or uncertain) or have been "
        f"open for more than {live_queries.YOUNG_MINUTES} minutes."
    ),
    excludes=f"Messages that are on their way for less than {live_queries.YOUNG_MINUTES} minutes.",
    page="failures",
    drill=Drill("failures"),
    good="down",
    alert=Metric(
        key="failures",
        position=40,
        title="Delivery failures",
        unit="share",
        of="messages that came to an end",
        good="down",
        value=failed_share,
        n="settled",
    ),
)
def failures(data: DashboardData) -> Tile:
    """Show the share of messages that did not reach customers, and the reasons."""
    total = data.total
    overdue = total["unsettled"] - _young(data)
    columns = [Column("messages", "count"), Column("share", "share")]
    points = [data.point(at, [failed_share(sums)], sums["settled"]) for at, sums in data.sums_by_bucket.items()]
    return Tile(
        value=share(total["failed"], total["settled"] + overdue),
        n=total["settled"] + overdue,
        compared=failed_share(data.done),
        before=None if data.before is None else failed_share(data.before),
        series=Series(names=("Delivery failures",), points=tuple(points), unit="share"),
        columns=columns,
        rows=_by_code(data, columns),
        notes=[f"{formatting.count(total['failed'])} failed, {formatting.count(total['blocked'])} by a closed window"],
    )


def _by_code(data: DashboardData, columns: list[Column]) -> list[Row]:
    start, end = data.filter.start, data.filter.end
    question = data.question(start, end, by=("value",), facet="code", measures=("failed",))
    codes = [(sums["failed"], code) for (code,), sums in rollups.sums(question).items() if sums["failed"]]
    rows = []
    for number, code in sorted(codes, reverse=True)[:MOST_CODES]:
        values = [number, share(number, data.total["failed"])]
        rows.append(row(code, columns, values, n=number, link=data.drill("chats", code=code)))
    return rows


def _young(data: DashboardData) -> int:
    """Return how many open sends are too young to count as overdue; a range of the past has none."""
    return live_queries.young_unsettled(data) if data.filter.end > data.now else 0
