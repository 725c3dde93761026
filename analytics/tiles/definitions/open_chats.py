"""What is open now: who has the chats, who waits, who needs somebody, which reply window closes."""

from __future__ import annotations

from datetime import timedelta

from django.urls import reverse

from analytics import formatting
from analytics.models import QueueNow
from analytics.tiles import chat_queries, live_queries
from analytics.tiles.chat_rows import chat_columns, chat_row
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric, Value
from analytics.tiles.registry import OVERVIEW, Drill, tile
from analytics.tiles.tile import Column, Part, Tile, row

MOST_CHATS = 9
MOST_WINDOWS = 6
#: What Connect said of its queues is shown for so long.
QUEUES_KNOWN_FOR = timedelta(minutes=2)


@tile(
    key="active",
    title="Open chats now",
    on={OVERVIEW: 40},
    form="now",
    of="open chats",
    formula=(
        "Chats that are open at Amazon Connect now: with an agent; with a bot, if it spoke last and Connect told "
        "of no queue; else waiting."
    ),
    excludes="Nothing. The range does not matter here.",
    page="chats",
    drill=Drill("chats", {"outcome": "open"}),
    of_now=True,
)
def active(data: DashboardData) -> Tile:
    """Count the open chats by who has them."""
    chats = live_queries.open_chats(data)
    whole = chats.bot + chats.queue + chats.agent
    parts = [("bot", chats.bot, "series-5"), ("waiting", chats.queue, "series-2")]
    parts.append(("with an agent", chats.agent, "series-1"))
    return Tile(
        value=whole,
        n=whole,
        parts=[Part(label=label, value=number, shown=str(number), mark=mark) for label, number, mark in parts],
        splits=True,
    )


def longest_wait(data: DashboardData) -> Value:
    """Return the longest wait in milliseconds and how many wait: what an alert watches. Nought while nobody waits."""
    chats = live_queries.open_chats(data)
    if chats.oldest is None:
        return (0.0 if chats.queue + chats.agent + chats.bot else None), chats.queue
    return (data.now - chats.oldest) / timedelta(milliseconds=1), max(1, chats.queue)


@tile(
    key="waiting",
    title="Longest wait now",
    on={OVERVIEW: 50},
    unit="ms",
    of="chats that wait for an agent",
    formula="The oldest word of a customer in an open chat to which nobody has an answer on its way.",
    excludes="Chats that have ended. The range does not matter here.",
    page="chats",
    drill=Drill("chats", {"outcome": "open"}),
    of_now=True,
    alert=Metric(
        key="waiting",
        position=120,
        title="Longest wait now",
        unit="ms",
        of="waiting chats",
        good="down",
        now=longest_wait,
    ),
)
def waiting(data: DashboardData) -> Tile:
    """Say how long the customer who has waited longest has waited."""
    chats = live_queries.open_chats(data)
    return Tile(
        value=None if chats.oldest is None else (data.now - chats.oldest) / timedelta(milliseconds=1),
        n=chats.queue,
        notes=[f"{chats.queue} waiting for an agent", *_queues(data)],
    )


def _queues(data: DashboardData) -> list[str]:
    """Return what Connect itself says of its queues, if it was asked lately."""
    queues = QueueNow.objects.filter(at__gte=data.now - QUEUES_KNOWN_FOR)
    waiting = [queue.waiting for queue in queues if queue.waiting is not None]
    oldest = [queue.oldest_seconds for queue in queues if queue.oldest_seconds]
    slots = [queue.slots_available for queue in queues if queue.slots_available is not None]
    if not waiting:
        return []
    longest = f", the oldest for {formatting.duration(max(oldest) * 1000)}" if oldest else ""
    return [f"Connect: {sum(waiting)} in its queues{longest}, {sum(slots)} slots free"]


@tile(
    key="worst",
    title="Most negative",
    on={OVERVIEW: 100},
    form="chats",
    of="chats with a scored message",
    formula="Chats with the lowest ratings: first those that are open and below nought, then those of the range.",
    excludes="Chats without a score.",
    page="chats",
    drill=Drill("chats"),
    headline=False,
)
def worst(data: DashboardData) -> Tile:
    """List the most negative chats, the open ones first."""
    columns = chat_columns()
    rows = [chat_row(data, chat, columns) for chat in chat_queries.worst(data, MOST_CHATS)]
    return Tile(n=data.total["rated"], columns=columns, rows=rows)


@tile(
    key="windows",
    title="Windows closing",
    on={OVERVIEW: 120, "failures": 20},
    form="list",
    of="customers who have the last word",
    formula=(
        f"Closing soon: the messenger takes free text for less than {live_queries.CLOSING_HOURS} hours, and the "
        "customer has the last word. Expired: it closed in the last 24 hours. Blocked: what it refused."
    ),
    excludes="Messengers without a window, such as X.",
    page="failures",
    of_now=True,
    names_customers=True,
)
def windows(data: DashboardData) -> Tile:
    """List the customers who have the last word while the messenger's reply window closes."""
    windows = live_queries.windows(data)
    soon = [window for window in windows if window.closes_at >= data.now]
    columns = [Column("closes in", "text")]
    rows = []
    for window in soon[:MOST_WINDOWS]:
        left = (window.closes_at - data.now) / timedelta(milliseconds=1)
        link = reverse("admin:connect_bridge_conversation_change", args=[window.conversation])
        rows.append(row(window.name or "Somebody", columns, [formatting.duration(left)], link=link))
    notes = [f"{len(windows) - len(soon)} expired unanswered", f"{data.total['blocked']} sends blocked"]
    if data.filter.facets:
        notes.append("windows of all queues, agents and languages")
    return Tile(value=len(soon), n=len(windows), columns=columns, rows=rows, notes=notes)
