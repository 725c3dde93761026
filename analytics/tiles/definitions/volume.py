"""How much customers write, and when."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import datetime

from analytics import formatting
from analytics.queries import rollups
from analytics.queries.chat_selection import WEEKDAYS
from analytics.queries.question import Sums
from analytics.rollups.time_buckets import local
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, tile
from analytics.tiles.tile import Column, Part, Row, Series, Tile, row
from analytics.tiles.values import net_sentiment

#: Series that a stacked chart can show; the others are one.
MOST_SERIES = 5
#: Rated chats under which a cell of the heat map is hatched.
CELL_LEAST = 10


@tile(
    key="volume",
    title="Messages from customers",
    on={OVERVIEW: 110, "channels": 10, "hours": 20, REPORT: 40},
    form="stacked",
    of="messages",
    formula="Messages of customers, each id of the messenger once, by channel. Sent: taken by the messenger.",
    excludes="Receipts, typing, and copies that a messenger delivered twice.",
    page="channels",
    drill=Drill("channels"),
    alert=Metric(
        key="received",
        position=50,
        title="Messages from customers",
        unit="count",
        of="messages",
        good="",
        value=lambda sums: float(sums["received"]),
        n="received",
    ),
)
def volume(data: DashboardData) -> Tile:
    """Show messages in, stacked by channel, and how many went out."""
    accounts_by_kind = _accounts_by_kind(data)
    points = []
    for at in data.buckets:
        values = [float(_received(data, at, accounts)) for accounts in accounts_by_kind.values()]
        points.append(data.point(at, values, int(sum(values))))
    total, kinds = data.total, tuple(accounts_by_kind)
    sent = {"agents": total["sent_agent"], "bots": total["sent_bot"], "automatic": total["sent_auto"]}
    return Tile(
        value=total["received"],
        n=total["received"],
        compared=data.done["received"],
        before=None if data.before is None else data.before["received"],
        series=Series(
            names=kinds,
            points=tuple(points),
            unit="count",
            marks=tuple(f"series-{number}" for number in range(1, len(kinds) + 1)),
        ),
        parts=[
            Part(label=f"sent by {speaker}", value=number, shown=formatting.count(number))
            for speaker, number in sent.items()
        ],
    )


def _received(data: DashboardData, at: datetime, accounts: set[uuid.UUID]) -> int:
    return sum(data.by_bucket[at, account]["received"] for account in accounts if (at, account) in data.by_bucket)


def _accounts_by_kind(data: DashboardData) -> dict[str, set[uuid.UUID]]:
    """Return the channels, the busiest first, with their accounts; beyond five, the others together."""
    received: dict[str, int] = defaultdict(int)
    accounts: dict[str, set[uuid.UUID]] = defaultdict(set)
    for (_, account), sums in data.by_bucket.items():
        kind = data.accounts_by_id[account].kind if account in data.accounts_by_id else "removed"
        received[kind] += sums["received"]
        accounts[kind].add(account)
    ranked = sorted(received, key=lambda kind: (-received[kind], kind))
    most = MOST_SERIES if len(ranked) <= MOST_SERIES else MOST_SERIES - 1
    kept = {kind: accounts[kind] for kind in ranked[:most]}
    if others := ranked[most:]:
        kept["others"] = set().union(*(accounts[kind] for kind in others))
    return kept


@tile(
    key="heat",
    title="Hours of the week",
    on={OVERVIEW: 150, "hours": 10},
    form="heat",
    of="messages",
    formula="Messages received, or net sentiment of the chats that began, in each hour of the week of the range.",
    excludes=f"For sentiment, cells with fewer than {CELL_LEAST} rated chats are hatched.",
    page="hours",
    drill=Drill("hours"),
)
def heat(data: DashboardData) -> Tile:
    """Show when customers write, by hour and weekday."""
    columns = [Column("weekday", "text"), Column("hour", "text"), Column("received", "count")]
    columns += [Column("net sentiment", "points"), Column("rated chats", "count")]
    cells, chats_page = _sums_by_hour_of_the_week(data), data.drill("chats")  # once: 168 addresses take their time
    rows: list[Row] = []
    for place in range(7 * 24):
        weekday, hour = WEEKDAYS[place // 24], f"{place % 24:02}"
        sums = cells[place]
        link, rated = f"{chats_page}&slot={weekday}-{hour}", sums["rated"]
        values = [weekday, hour, sums["received"], net_sentiment(sums), rated]
        rows.append(row(f"{weekday} {hour}:00", columns, values, n=rated, link=link, small=rated < CELL_LEAST))
    return Tile(value=data.total["received"], n=data.total["received"], columns=columns, rows=rows)


def _sums_by_hour_of_the_week(data: DashboardData) -> list[Sums]:
    """Return the sums of each hour of the week, from Monday at midnight on."""
    measures = ("received", "rating_sum", "rated")
    question = data.question(data.filter.start, data.filter.end, by=("at",), hourly=True, measures=measures)
    cells: list[Sums] = [dict.fromkeys(measures, 0) for _ in range(7 * 24)]
    for (at,), sums in rollups.sums(question).items():
        moment = local(at)
        cell = cells[moment.weekday() * 24 + moment.hour]
        for name in measures:
            cell[name] += sums[name]
    return cells
