"""Tiles of volume: how much, from where, when, and what did not arrive."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import datetime

from analytics import formatting
from analytics.queries import rollups
from analytics.queries.chat_selection import WEEKDAYS
from analytics.queries.rollups import Question, Sums
from analytics.rollups.time_buckets import local
from analytics.sentiment.engine import SCALE
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.tile import Column, Part, Row, Series, Tile, row, share

#: Series that a stacked area can show; the others are one.
MOST_SERIES = 5
#: Ratings or messages under which a cell of the heat map is hatched.
CELL_LEAST = 10
MOST_CODES = 10


def volume(numbers: DashboardData) -> Tile:
    """Messages in and out, stacked by channel."""
    kinds = _kinds(numbers)
    points = []
    for at in numbers.buckets:
        values = [float(_received(numbers, at, accounts)) for accounts in kinds.values()]
        points.append(numbers.point(at, values, int(sum(values))))
    total = numbers.total
    sent = {name: total[f"sent_{name}"] for name in ("agent", "bot", "auto")}
    return Tile(
        key="volume",
        title="Messages from customers",
        form="stacked",
        value=total["received"],
        n=total["received"],
        of="messages",
        compared=numbers.done["received"],
        before=None if numbers.before is None else numbers.before["received"],
        formula="Messages of customers, each id of the messenger once, by channel. Sent: taken by the messenger.",
        excludes="Receipts, typing, and copies that a messenger delivered twice.",
        series=Series(
            names=tuple(kinds),
            points=tuple(points),
            unit="count",
            marks=tuple(f"series-{number}" for number in range(1, len(kinds) + 1)),
        ),
        parts=[
            Part(label=f"sent by {who}", value=number, shown=formatting.count(number))
            for who, number in (("agents", sent["agent"]), ("bots", sent["bot"]), ("automatic", sent["auto"]))
        ],
        page="channels",
        drill=numbers.drill("channels"),
    ).weigh()


def _received(numbers: DashboardData, at: datetime, accounts: set[uuid.UUID]) -> int:
    found = (numbers.by_bucket.get((at, account)) for account in accounts)
    return sum(sums["received"] for sums in found if sums is not None)


def _kinds(numbers: DashboardData) -> dict[str, set[uuid.UUID]]:
    """Return the channels, the busiest first, with their accounts; beyond five, the others together."""
    sums: dict[str, int] = defaultdict(int)
    accounts: dict[str, set[uuid.UUID]] = defaultdict(set)
    known = {account.id: account.kind for account in numbers.all_accounts}
    for (_, account), counted in numbers.by_bucket.items():
        kind = known.get(account, "removed")
        sums[kind] += counted["received"]
        accounts[kind].add(account)
    ranked = sorted(sums, key=lambda kind: (-sums[kind], kind))
    kept = {kind: accounts[kind] for kind in ranked[: MOST_SERIES if len(ranked) <= MOST_SERIES else MOST_SERIES - 1]}
    others = [kind for kind in ranked if kind not in kept]
    if others:
        kept["others"] = set().union(*(accounts[kind] for kind in others))
    return kept


def failures(numbers: DashboardData) -> Tile:
    """Count what did not reach customers, and why."""
    total, before, done = numbers.total, numbers.before, numbers.done
    old_open = total["unsettled"] - _young(numbers)
    columns = [Column("messages", "count"), Column("share", "share")]
    points = [
        numbers.point(at, [share(sums["failed"], sums["settled"])], sums["settled"])
        for at, sums in numbers.sums_by_bucket.items()
    ]
    return Tile(
        key="failures",
        title="Delivery failures",
        unit="share",
        value=share(total["failed"], total["settled"] + old_open),
        n=total["settled"] + old_open,
        of="messages to customers that came to an end, or should have",
        compared=share(done["failed"], done["settled"]),
        before=None if before is None else share(before["failed"], before["settled"]),
        formula=(
            "Messages to customers that failed / those that came to an end (taken, failed or uncertain) or have been "
            "open for more than 15 minutes."
        ),
        excludes="Messages that are on their way for less than 15 minutes.",
        series=Series(names=("Delivery failures",), points=tuple(points), unit="share"),
        columns=columns,
        rows=_by_code(numbers, columns),
        notes=[f"{formatting.count(total['failed'])} failed, {formatting.count(total['blocked'])} by a closed window"],
        page="failures",
        drill=numbers.drill("failures"),
    ).weigh(good="down")


def _by_code(numbers: DashboardData, columns: list[Column]) -> list[Row]:
    asked = numbers.question(
        numbers.filter.start, numbers.filter.end, by=("value",), facet="code", measures=("failed",)
    )
    codes = sorted(
        ((sums["failed"], code) for (code,), sums in rollups.sums(asked).items() if sums["failed"]), reverse=True
    )
    rows = []
    for number, code in codes[:MOST_CODES]:
        values = [number, share(number, numbers.total["failed"])]
        rows.append(row(code, columns, values, n=number, link=numbers.drill("chats", code=code)))
    return rows


def _young(numbers: DashboardData) -> int:
    from analytics.tiles import live_queries

    return live_queries.young_unsettled(numbers) if numbers.filter.end > numbers.now else 0


def heat(numbers: DashboardData) -> Tile:
    """When customers write, by hour and weekday."""
    hours = Question(
        start=numbers.filter.start,
        end=numbers.filter.end,
        accounts=numbers.question(numbers.filter.start, numbers.filter.end).accounts,
        facets=numbers.filter.facets,
        by=("at",),
        hourly=True,
        measures=("received", "rating_sum", "rated"),
    )
    cells: dict[tuple[int, int], list[Sums]] = defaultdict(list)
    for (at,), sums in rollups.sums(hours).items():
        here = local(at)
        cells[here.weekday(), here.hour].append(sums)
    columns = [Column("weekday", "text"), Column("hour", "text"), Column("received", "count")]
    columns += [Column("net sentiment", "points"), Column("rated chats", "count")]
    there = numbers.drill("chats")  # once: 168 addresses take their time
    rows: list[Row] = []
    for weekday in range(7):
        for hour in range(24):
            cell = cells.get((weekday, hour), [])
            received, rating_sum, rated = (sum(sums[name] for sums in cell) for name in hours.measures)
            mean = share(rating_sum, rated)
            name = WEEKDAYS[weekday]
            values = [name, f"{hour:02}", received, None if mean is None else mean / SCALE, rated]
            link = f"{there}&slot={name}-{hour:02}"
            rows.append(row(f"{name} {hour:02}:00", columns, values, n=rated, link=link, small=rated < CELL_LEAST))
    return Tile(
        key="heat",
        title="Hours of the week",
        form="heat",
        value=numbers.total["received"],
        n=numbers.total["received"],
        of="messages",
        formula="Messages received, or net sentiment of the chats that began, in each hour of the week of the range.",
        excludes=f"For sentiment, cells with fewer than {CELL_LEAST} rated chats are hatched.",
        columns=columns,
        rows=rows,
        page="hours",
        drill=numbers.drill("hours"),
    ).weigh()
