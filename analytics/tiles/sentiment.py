"""Tiles of mood: how customers were, how that changed in their chats, and how much of it we could read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from msgspec.structs import replace

from analytics import formatting
from analytics.queries import rollups
from analytics.queries.rollups import Sums
from analytics.sentiment.engine import SCALE
from analytics.tiles.dashboard_data import DashboardData, added
from analytics.tiles.tile import SMALL, Column, Row, Series, State, Tile, row, share

SCORED_WORDS = "Customers' own words alone; not scored are languages that the engine does not know, never neutral."
#: Chats with a phrase below which its impact is not shown.
PHRASE_LEAST = 5
MOST_PHRASES = 8
#: What channels, accounts, queues, agents and languages are compared by.
COMPARED = ("received", "chats", "rated", "rating_sum", "rated_negative", "shifted", "shift_sum")
#: How a value is called that nobody told.
NOT_TOLD = "not told"
#: How far an agent's net sentiment is from all agents' where a band begins, and what bands are called.
BAND = 0.10
BANDS = ("below", "near the others", "above", "too few chats", "no agent")
TOO_FEW = 3
#: Slight and strong shifts, as shares of the scale.
SLIGHT, STRONG = 0.20, 0.55

Measure = Callable[[Sums], float | None]


def net(sums: Sums) -> float | None:
    """Return the mean of the chats' ratings, -1 … +1."""
    mean = share(sums["rating_sum"], sums["rated"])
    return None if mean is None else mean / SCALE


def shift(sums: Sums) -> float | None:
    mean = share(sums["shift_sum"], sums["shifted"])
    return None if mean is None else mean / SCALE


def mood_of(value: float | None) -> str:
    """Return the mark of a rating."""
    if value is None:
        return "unscored"
    return "negative" if value <= -0.05 else "positive" if value >= 0.05 else "neutral"  # noqa: PLR2004 - rounds to nothing


def sentiment(numbers: DashboardData) -> Tile:
    """Net sentiment, with a line over the range."""
    tile = _over_time(numbers, net, "rated", "Net sentiment")
    tile.formula = (
        "Mean of the chats' ratings x 100. A chat's rating is the mean of P(positive) - P(negative) of the customer's "
        "messages: so long chats do not dominate."
    )
    tile.key, tile.title, tile.page, tile.drill = "sentiment", "Net sentiment", "sentiment", numbers.drill("sentiment")
    tile.excludes, tile.of = SCORED_WORDS, "chats with a scored message"
    tile.parts = []
    tile.notes = _notes(numbers)
    return _state(tile.weigh(good="up"))


def _over_time(numbers: DashboardData, measure: Measure, n: str, name: str) -> Tile:
    points = []
    for at in numbers.buckets:
        sums = numbers.sums_by_bucket[at]
        points.append(numbers.point(at, [measure(sums)], sums[n]))
    return Tile(
        key="",
        title="",
        formula="",
        unit="points",
        value=measure(numbers.total),
        n=numbers.total[n],
        compared=measure(numbers.done),
        before=None if numbers.before is None else measure(numbers.before),
        series=Series(names=(name,), points=tuple(points), unit="points"),
    )


def negative(numbers: DashboardData) -> Tile:
    """Share of chats that were negative."""
    tile = _over_time(numbers, _negative, "rated", "Negative chats")
    tile.key, tile.title, tile.unit, tile.page = "negative", "Negative chats", "share", "sentiment"
    tile.formula = "Chats rated at or below -25 / chats with a scored message."
    tile.excludes, tile.of = SCORED_WORDS, "chats with a scored message"
    tile.drill = numbers.drill("chats", outcome="negative")
    assert tile.series is not None
    tile.series = Series(names=tile.series.names, points=tile.series.points, unit="share")
    return _state(tile.weigh(good="down"))


def _negative(sums: Sums) -> float | None:
    return share(sums["rated_negative"], sums["rated"])


def shifted(numbers: DashboardData) -> Tile:
    """How the mood changed from the beginning of chats to their end."""
    tile = _over_time(numbers, shift, "shifted", "Shift")
    tile.key, tile.title, tile.page, tile.drill = "shift", "Shift in chats", "sentiment", numbers.drill("sentiment")
    tile.formula = (
        "(Mean of the last third - mean of the first third) / 2 x 100, of chats with at least six scored messages. "
        "Thirds are Parley's own rule. From 20 on a shift is slight, from 55 on strong."
    )
    tile.excludes, tile.of = SCORED_WORDS, "chats with six scored messages or more"
    if tile.value is not None:
        size = abs(tile.value)
        strength = "steady" if size < SLIGHT else "slight" if size < STRONG else "strong"
        tile.notes = [
            strength if size < SLIGHT else f"{strength}, {'better' if tile.value > 0 else 'worse'} at the end"
        ]
    return _state(tile.weigh(good="up"))


def coverage(numbers: DashboardData) -> Tile:
    """How much of what customers wrote has a score."""
    total, before = numbers.total, numbers.before
    value = share(total["scored"], total["scorable"])
    columns = [Column("messages", "count")]
    names = {"negative": "▼ negative", "neutral": "● neutral", "mixed": "◆ mixed", "positive": "▲ positive"}
    rows = [row(label, columns, [total[name]], mark=name) for name, label in names.items()]
    rows.append(row("unsure: no label has half of the probability", columns, [total["unsure"]]))
    rows.append(row("not scored: language or text", columns, [total["unscored"]], mark="unscored"))
    waiting = total["scorable"] - total["scored"] - total["unscored"]
    rows.append(row("waiting for a score", columns, [waiting], mark="unscored"))
    tile = Tile(
        key="coverage",
        title="Coverage",
        form="ranking",
        unit="share",
        value=value,
        n=total["scorable"],
        of="customers' messages with words",
        compared=share(numbers.done["scored"], numbers.done["scorable"]),
        before=None if before is None else share(before["scored"], before["scorable"]),
        formula="Scored messages / customers' messages that have words of their own.",
        excludes="Pictures, reactions and other messages without words.",
        columns=columns,
        rows=rows,
        notes=_notes(numbers),
        page="sentiment",
    )
    return _state(tile.weigh())


def _notes(numbers: DashboardData) -> list[str]:
    total = numbers.total
    covered = share(total["scored"], total["scorable"])
    notes = [f"Engine: {settings.SENTIMENT_ENGINE}."]
    if covered is not None and covered < 0.9:  # noqa: PLR2004 - ux: amber under 90 %
        notes.append(f"Only {formatting.percent(covered)} of the messages have a score.")
    return notes


def _state(tile: Tile) -> Tile:
    if not settings.SENTIMENT_ENABLED and not tile.n:
        tile.state = State.OFF
        tile.notes = ["Sentiment analysis is off: SENTIMENT_ENABLED."]
    return tile


def phrases(numbers: DashboardData) -> Tile:
    """Rank the phrases of negative messages by what they take from net sentiment."""
    asked = numbers.question(
        numbers.filter.start, numbers.filter.end, by=("value",), facet="phrase", measures=("rated", "rating_sum")
    )
    total = numbers.total
    columns = [Column("points it costs", "impact"), Column("chats", "count"), Column("rating with it", "points")]
    found = []
    for (phrase,), sums in rollups.sums(asked).items():
        impact = phrase_impact(sums, total)
        if impact is not None:
            link = numbers.drill("chats", phrase=phrase)
            values = [-impact, sums["rated"], net(sums)]
            found.append(
                (impact, row(phrase, columns, values, n=sums["rated"], link=link, small=sums["rated"] < SMALL))
            )
    found.sort(key=lambda pair: (-pair[0], pair[1].label))
    worst = [line for impact, line in found if impact > 0]
    return Tile(
        key="phrases",
        title="What weighs on chats",
        form="ranking",
        unit="points",
        n=total["rated"],
        of="chats with a scored message",
        formula=(
            "Share of chats with the phrase x (mean rating without it - mean rating with it): the points that it takes "
            f"from net sentiment. At least {PHRASE_LEAST} chats."
        ),
        excludes="Phrases of messages that are not negative. A phrase goes with bad chats; it need not be the cause.",
        columns=columns,
        rows=worst[:MOST_PHRASES],
        notes=[f"Engine: {settings.SENTIMENT_ENGINE}."],
        page="phrases",
        drill=numbers.drill("phrases"),
    )


def phrase_impact(having: Sums, total: Sums) -> float | None:
    """Return the points, 0 … 1, that a phrase costs; None where too few chats have it, or all."""
    rated, without = having["rated"], total["rated"] - having["rated"]
    if rated < PHRASE_LEAST or without <= 0:
        return None
    mean_with = having["rating_sum"] / rated
    mean_without = (total["rating_sum"] - having["rating_sum"]) / without
    return rated / total["rated"] * (mean_without - mean_with) / SCALE


def by_facet(facet: str, title: str) -> Callable[[DashboardData], Tile]:
    """Return a tile that compares channels, accounts, queues, agents or languages, from one common zero."""

    def tile(numbers: DashboardData) -> Tile:
        columns = [
            Column("net sentiment", "points"),
            Column("shift", "points"),
            Column("chats", "count"),
            Column("negative", "share"),
            Column("received", "count"),
        ]
        rows = []
        for label, parameters, sums in groups(numbers, facet):
            values: list[Any] = [net(sums), shift(sums), sums["chats"], _negative(sums), sums["received"]]
            link = numbers.drill("chats", **parameters)
            small = sums["rated"] < SMALL
            rows.append(row(label, columns, values, n=sums["rated"], link=link, mark=mood_of(net(sums)), small=small))
        if facet == "agent":
            return _in_bands(numbers, columns, rows)
        rows.sort(key=_lowest_first)
        return Tile(
            key=f"by_{facet}",
            title=title,
            form="diverging",
            unit="points",
            n=numbers.total["rated"],
            of="chats with a scored message",
            formula="Net sentiment, shift, chats, share of negative chats and messages received. Sorted by sentiment.",
            excludes=SCORED_WORDS,
            columns=columns,
            rows=rows,
            page=f"{facet}s",
            drill=numbers.drill(f"{facet}s"),
        )

    return tile


def _in_bands(numbers: DashboardData, columns: list[Column], rows: list[Row]) -> Tile:
    """Return agents in three bands and by name in each: a few points between two people are no ranking."""
    with_agent = [line for line in rows if line.label != NOT_TOLD and line.values[0] is not None]
    middle = share(sum(line.values[0] * line.n for line in with_agent), sum(line.n for line in with_agent)) or 0.0
    with_band = [*columns, Column("band", "text")]
    banded = []
    for line in rows:
        known = line in with_agent and not line.small
        place = band_of(line.values[0], middle) if known else TOO_FEW + (line.label == NOT_TOLD)
        told = BANDS[place]
        made = replace(line, values=(*line.values, told), shown=(*line.shown, told))
        banded.append((place, line.label, made))
    return Tile(
        key="by_agent",
        title="By agent",
        form="diverging",
        unit="points",
        n=numbers.total["rated"],
        of="chats with a scored message",
        formula=(
            f"Net sentiment of the chats that an agent had. In bands, by name in each: {BAND * 100:.0f} points or more "
            "below all agents' chats, near them, above them."
        ),
        excludes=f"{SCORED_WORDS} Agents with fewer than {SMALL} such chats are in no band. Who gets the hard chats "
        "looks worse: a band is no verdict.",
        columns=with_band,
        rows=[line for *_, line in sorted(banded, key=lambda one: one[:2])],
        page="agents",
        drill=numbers.drill("agents"),
    )


def band_of(value: float, middle: float) -> int:
    """Return which of BANDS an agent's net sentiment is in."""
    off = value - middle
    return 0 if off <= -BAND else 2 if off >= BAND else 1


def _lowest_first(line: Row) -> tuple[float, str]:
    value = line.values[0]
    return (2.0 if value is None else value, line.label)


def groups(numbers: DashboardData, facet: str) -> list[tuple[str, dict[str, str], Sums]]:
    """Return label, parameters that lead there, and sums of every value of a facet."""
    from analytics.queries.filters import NONE

    start, end = numbers.filter.start, numbers.filter.end
    if facet in ("channel", "account"):
        asked = numbers.question(start, end, by=("account",), measures=COMPARED)
        by_account = {account: sums for (account,), sums in rollups.sums(asked).items()}
        known = {account.id: account for account in numbers.all_accounts}
        if facet == "account":
            return [
                (known[one].name if one in known else "removed", {"account": str(one)}, sums)
                for one, sums in by_account.items()
            ]
        kinds = sorted({known[one].kind for one in by_account if one in known})
        return [
            (kind, {"channel": kind}, added(sums for one, sums in by_account.items() if known[one].kind == kind))
            for kind in kinds
        ]
    found = rollups.sums(numbers.question(start, end, by=("value",), facet=facet, measures=COMPARED))
    return [
        (value or NOT_TOLD, {facet: value or NONE}, sums)
        for (value,), sums in found.items()
        if sums["chats"] or sums["received"]
    ]
