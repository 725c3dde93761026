"""How fast customers are answered, and how fast Parley itself is."""

from __future__ import annotations

from django.conf import settings

from analytics import formatting
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric
from analytics.tiles.over_time import percentile_lines, percentile_tile
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, tile
from analytics.tiles.tile import Column, Part, Tile, row, share


@tile(
    key="first_response",
    title="First response",
    on={OVERVIEW: 60, "service": 10, "queues": 20, REPORT: 50},
    unit="ms",
    of="answered chats",
    formula=(
        "First customer message of a chat → first message of a human that the messenger took; the median. "
        "Below it: the wait until an agent joined, and the agent's own time."
    ),
    excludes="Bots and automatic replies; chats that no human has answered.",
    page="service",
    drill=Drill("service"),
    good="down",
    alert=Metric(
        key="first_response",
        position=90,
        title="First response, P50",
        unit="ms",
        of="answered chats",
        good="down",
        digest="first_response",
    ),
)
def first_response(data: DashboardData) -> Tile:
    """Show how long customers wait for the first word of a human."""
    tile = percentile_tile(data, "first_response", 0.5)
    waiting, agent = data.percentile("queue_wait", 0.5), data.percentile("agent_delay", 0.5)
    tile.target = settings.FIRST_RESPONSE_TARGET * 1000
    tile.parts = [
        Part(label="in the queue", value=waiting, shown=formatting.duration(waiting), mark="series-1"),
        Part(label="agent", value=agent, shown=formatting.duration(agent), mark="series-2"),
    ]
    tile.splits = True
    tile.notes = [f"P90 {formatting.duration(data.percentile('first_response', 0.9))}"]
    if settings.OFFICE_HOURS:
        office = data.percentile("first_response_office", 0.5)
        tile.notes.append(f"in office hours {formatting.duration(office)}")
    tile.series = percentile_lines(data, "first_response", {"P50": 0.5})
    return tile


@tile(
    key="reply",
    title="Reply time",
    on={OVERVIEW: 130, "service": 20, "agents": 30, REPORT: 60},
    form="lines",
    unit="ms",
    of="turns",
    formula="Oldest customer message without an answer → an agent's next message, each turn; P50, P90 and P95.",
    excludes="Bots and automatic replies. An answer counts once the messenger has taken it.",
    page="service",
    drill=Drill("service"),
    good="down",
    alert=Metric(
        key="reply_p90",
        position=100,
        title="Reply time, P90",
        unit="ms",
        of="turns",
        good="down",
        digest="reply",
        part=0.9,
    ),
)
def reply(data: DashboardData) -> Tile:
    """Show how long customers wait for each answer."""
    tile = percentile_tile(data, "reply", 0.5)
    tile.series = percentile_lines(data, "reply", {"P50": 0.5, "P90": 0.9, "P95": 0.95})
    tile.notes = [f"P90 {formatting.duration(data.percentile('reply', 0.9))}"]
    return tile


@tile(
    key="handle",
    title="Handle time",
    on={OVERVIEW: 190, "service": 30, "agents": 20},
    unit="ms",
    of="handled chats",
    formula="From an agent's joining to the end of the chat, and after-contact work where Connect told it; median.",
    excludes="Chats without an agent. Chats overlap, so this is no occupancy.",
    page="service",
    good="down",
)
def handle(data: DashboardData) -> Tile:
    """Show how long agents are in a chat."""
    tile = percentile_tile(data, "handle", 0.5)
    mean = share(data.total["handle_ms"], data.size("handle"))
    tile.notes = [f"P90 {formatting.duration(data.percentile('handle', 0.9))}", f"mean {formatting.duration(mean)}"]
    return tile


@tile(
    key="bridge",
    title="Bridge latency, P95",
    on={"service": 60, "failures": 40},
    form="ranking",
    unit="ms",
    of="customers' messages",
    formula="In: webhook received → taken by Connect. Out: Connect's own time of the message → taken by the messenger.",
    excludes="Messages that have not arrived. Connect's clock and ours may differ.",
    page="service",
    good="down",
    alert=Metric(
        key="bridge",
        position=110,
        title="Bridge latency in, P95",
        unit="ms",
        of="messages",
        good="down",
        digest="bridge_in",
        part=0.95,
    ),
)
def bridge(data: DashboardData) -> Tile:
    """Show how long Parley itself holds messages up, in both directions."""
    tile = percentile_tile(data, "bridge_in", 0.95)
    tile.columns = [Column("in", "ms"), Column("out", "ms")]
    for name, part in (("P50", 0.5), ("P95", 0.95), ("P99", 0.99)):
        values = [data.percentile(digest, part) for digest in ("bridge_in", "bridge_out")]
        tile.rows.append(row(name, tile.columns, values))
    if data.filter.facets:
        tile.notes = ["Not by queue, agent or language."]
    return tile
