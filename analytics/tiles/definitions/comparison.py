"""Channels, accounts, queues, languages and agents side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from analytics.queries import rollups
from analytics.queries.filters import NONE
from analytics.queries.question import Sums
from analytics.thresholds import BAND, sign_of
from analytics.tiles.dashboard_data import DashboardData, added
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, TileDefinition, tile
from analytics.tiles.sentiment_notes import OWN_WORDS
from analytics.tiles.tile import SMALL, Column, Row, Tile, row, share
from analytics.tiles.values import negative_share, net_sentiment, sentiment_shift

#: The sums that the columns are computed from.
COMPARED = ("received", "chats", "rated", "rating_sum", "rated_negative", "shifted", "shift_sum")
#: How a value is called that no source told.
NOT_TOLD = "not told"
#: What agents' bands are called, from the lowest net sentiment on; then those who are in none.
BANDS = ("below", "near the others", "above", "too few chats", "no agent")
TOO_FEW, NO_AGENT = 3, 4
#: A value of the facet: its label, the parameters of the URL that choose it, and its sums.
Group = tuple[str, dict[str, str], Sums]


def comparison(facet: str, title: str, on: Mapping[str, int]) -> TileDefinition:
    """Declare a tile that compares the values of a facet, from one common zero."""
    return tile(
        key=f"by_{facet}",
        title=title,
        on=on,
        form="diverging",
        unit="points",
        of="chats with a scored message",
        formula="Net sentiment, shift, chats, share of negative chats and messages received. Sorted by sentiment.",
        excludes=OWN_WORDS,
        page=f"{facet}s",
        drill=Drill(f"{facet}s"),
        headline=False,
    )


@comparison("channel", "By channel", {OVERVIEW: 160, "sentiment": 50, "channels": 30, REPORT: 110})
def by_channel(data: DashboardData) -> Tile:
    return _sorted_by_sentiment(data, _channels(data))


@comparison("account", "By account", {"channels": 40, "accounts": 20})
def by_account(data: DashboardData) -> Tile:
    return _sorted_by_sentiment(data, _accounts(data))


@comparison("queue", "By queue", {OVERVIEW: 170, "sentiment": 60, "queues": 10, REPORT: 120})
def by_queue(data: DashboardData) -> Tile:
    return _sorted_by_sentiment(data, _values(data, "queue"))


@comparison("language", "By language", {"sentiment": 70, "languages": 10})
def by_language(data: DashboardData) -> Tile:
    return _sorted_by_sentiment(data, _values(data, "language"))


@tile(
    key="by_agent",
    title="By agent",
    on={"agents": 10},
    form="diverging",
    unit="points",
    of="chats with a scored message",
    formula=(
        f"Net sentiment of the chats that an agent had. In bands, by name in each: {BAND * 100:.0f} points or more "
        "below all agents' chats, near them, above them."
    ),
    excludes=f"{OWN_WORDS} Agents with fewer than {SMALL} such chats are in no band. Who gets the hard chats "
    "looks worse: a band is no verdict.",
    page="agents",
    drill=Drill("agents"),
    headline=False,
    permission="analytics.see_agents",
)
def by_agent(data: DashboardData) -> Tile:
    """Show agents in bands and by name in each: a few points between two people are no ranking."""
    columns = _columns()
    rows = _rows(data, _values(data, "agent"), columns)
    of_agents = [line for line in rows if line.label != NOT_TOLD and line.values[0] is not None]
    middle = share(sum(line.values[0] * line.n for line in of_agents), sum(line.n for line in of_agents)) or 0.0
    banded = []
    for line in rows:
        if line.label == NOT_TOLD:
            band = NO_AGENT
        else:
            band = TOO_FEW if line.small or line not in of_agents else band_of(line.values[0], middle)
        name = BANDS[band]
        banded.append((band, line.label, replace(line, values=(*line.values, name), shown=(*line.shown, name))))
    banded.sort(key=lambda place: place[:2])
    columns.append(Column("band", "text"))
    return Tile(n=data.total["rated"], columns=columns, rows=[line for *_, line in banded])


def band_of(value: float, middle: float) -> int:
    """Return which of BANDS an agent's net sentiment is in."""
    off = value - middle
    return 0 if off <= -BAND else 2 if off >= BAND else 1


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sorted_by_sentiment(data: DashboardData, groups: list[Group]) -> Tile:
    columns = _columns()
    rows = sorted(_rows(data, groups, columns), key=_lowest_first)
    return Tile(n=data.total["rated"], columns=columns, rows=rows)


def _columns() -> list[Column]:
    return [
        Column("net sentiment", "points"),
        Column("shift", "points"),
        Column("chats", "count"),
        Column("negative", "share"),
        Column("received", "count"),
    ]


def _rows(data: DashboardData, groups: list[Group], columns: list[Column]) -> list[Row]:
    rows = []
    for label, parameters, sums in groups:
        net, rated = net_sentiment(sums), sums["rated"]
        values: list[Any] = [net, sentiment_shift(sums), sums["chats"], negative_share(sums), sums["received"]]
        link = data.drill("chats", **parameters)
        rows.append(row(label, columns, values, n=rated, link=link, mark=sign_of(net), small=rated < SMALL))
    return rows


def _lowest_first(line: Row) -> tuple[float, str]:
    value = line.values[0]
    return (2.0 if value is None else value, line.label)


# ── sums ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _channels(data: DashboardData) -> list[Group]:
    sums_of, known = _sums_by_account(data), data.accounts_by_id
    kinds = sorted({known[account].kind for account in sums_of if account in known})
    return [
        (
            kind,
            {"channel": kind},
            added(sums for account, sums in sums_of.items() if account in known and known[account].kind == kind),
        )
        for kind in kinds
    ]


def _accounts(data: DashboardData) -> list[Group]:
    known = data.accounts_by_id
    return [
        (known[account].name if account in known else "removed", {"account": str(account)}, sums)
        for account, sums in _sums_by_account(data).items()
    ]


def _sums_by_account(data: DashboardData) -> dict[Any, Sums]:
    question = data.question(data.filter.start, data.filter.end, by=("account",), measures=COMPARED)
    return {account: sums for (account,), sums in rollups.sums(question).items()}


def _values(data: DashboardData, facet: str) -> list[Group]:
    """Return the values of a queue, language or agent that had chats or messages."""
    question = data.question(data.filter.start, data.filter.end, by=("value",), facet=facet, measures=COMPARED)
    return [
        (value or NOT_TOLD, {facet: value or NONE}, sums)
        for (value,), sums in rollups.sums(question).items()
        if sums["chats"] or sums["received"]
    ]
