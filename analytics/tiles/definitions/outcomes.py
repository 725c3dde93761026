"""What became of chats: who gave up, who got no answer, and what bots did by themselves."""

from __future__ import annotations

from analytics import formatting
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.metric import Metric
from analytics.tiles.over_time import value_over_time
from analytics.tiles.registry import OVERVIEW, REPORT, Drill, tile
from analytics.tiles.tile import Column, Part, Tile, row, share
from analytics.tiles.values import share_of

DEFLECTED = "Chats in which a bot spoke and nobody waited for an agent / chats in which a bot spoke."
OPEN_BOT_CHATS = "Chats that are still open count as bot chats only."
CONTAINED = "Deflected chats whose customer did not come back within 24 hours / chats in which a bot spoke."

abandoned, unanswered_share = share_of("abandoned", "queued"), share_of("unanswered", "closed")
deflected, contained = share_of("deflected", "bot_chats"), share_of("contained", "bot_chats")


@tile(
    key="abandonment",
    title="Abandoned",
    on={"service": 40, "queues": 30, "deflection": 40, REPORT: 70},
    unit="share",
    of="chats that waited for an agent",
    formula="Chats that waited for an agent and ended without one / chats that waited for an agent.",
    excludes="Open chats. Where Connect's contact events do not come, a chat waited unless the bot has the last word.",
    page="service",
    drill=Drill("chats", {"outcome": "abandoned"}),
    good="down",
    alert=Metric(
        key="abandonment",
        position=60,
        title="Abandoned",
        unit="share",
        of="chats that waited",
        good="down",
        value=abandoned,
        n="queued",
    ),
)
def abandonment(data: DashboardData) -> Tile:
    """Show the share of waiting customers who gave up."""
    return value_over_time(data, abandoned, n="queued", name="Abandoned", unit="share")


@tile(
    key="unanswered",
    title="Unanswered",
    on={OVERVIEW: 90, "service": 50, REPORT: 80},
    unit="share",
    of="chats that ended",
    formula="Chats that ended with the customer's word / chats that ended. Who writes rarely hangs up.",
    excludes="Automatic replies are no answer.",
    page="service",
    drill=Drill("chats", {"outcome": "unanswered"}),
    good="down",
    alert=Metric(
        key="unanswered",
        position=70,
        title="Unanswered",
        unit="share",
        of="chats that ended",
        good="down",
        value=unanswered_share,
        n="closed",
    ),
)
def unanswered(data: DashboardData) -> Tile:
    """Show the share of chats that ended without an answer to the customer's last word."""
    return value_over_time(data, unanswered_share, n="closed", name="Unanswered", unit="share")


@tile(
    key="bot",
    title="Bot deflection",
    on={OVERVIEW: 80, "deflection": 10, REPORT: 90},
    unit="share",
    of="chats with a bot",
    formula=f"{DEFLECTED} Contained: {CONTAINED}",
    excludes=OPEN_BOT_CHATS,
    page="deflection",
    drill=Drill("deflection"),
    good="up",
)
def bot(data: DashboardData) -> Tile:
    """Show deflection beside containment: the gap between them is failure that nobody sees."""
    tile = value_over_time(data, deflected, n="bot_chats", name="Bot deflection", unit="share")
    helped = contained(data.total)
    came_back = None if tile.value is None else tile.value - (helped or 0)
    tile.parts = [
        Part(label="contained", value=helped, shown=formatting.percent(helped), mark="series-1"),
        Part(label="came back", value=came_back, shown=formatting.percent(came_back), mark="series-2"),
    ]
    return tile


@tile(
    key="deflection",
    title="Bot deflection",
    unit="share",
    of="chats with a bot",
    formula=DEFLECTED,
    excludes=OPEN_BOT_CHATS,
    page="deflection",
    drill=Drill("chats", {"outcome": "deflected"}),
    good="up",
    alert=Metric(
        key="deflection",
        position=80,
        title="Bot deflection",
        unit="share",
        of="chats with a bot",
        good="up",
        value=deflected,
        n="bot_chats",
    ),
)
def deflection(data: DashboardData) -> Tile:
    """Return deflection alone, for the API."""
    return value_over_time(data, deflected, n="bot_chats", name="Bot deflection", unit="share")


@tile(
    key="containment",
    title="Contained",
    on={"deflection": 20},
    unit="share",
    of="chats with a bot",
    formula=CONTAINED,
    excludes=("Connect does not tell whether the bot fulfilled the wish. Chats of the last 24 hours may still change."),
    page="deflection",
    drill=Drill("chats", {"outcome": "contained"}),
    good="up",
)
def containment(data: DashboardData) -> Tile:
    """Show the share of bot chats whose customer did not come back."""
    return value_over_time(data, contained, n="bot_chats", name="Contained", unit="share")


@tile(
    key="courses",
    title="What became of chats",
    on={"deflection": 30},
    form="ranking",
    of="chats that began",
    formula="Chats by what became of them; shares of those that ended.",
    page="deflection",
)
def courses(data: DashboardData) -> Tile:
    """Count what became of chats."""
    total = data.total
    columns = [Column("chats", "count"), Column("share", "share")]
    outcomes = {
        "handled": "with an agent",
        "abandoned": "gave up waiting",
        "deflected": "the bot alone",
        "contained": "… and did not come back",
        "unanswered": "ended with the customer's word",
    }
    rows = []
    for outcome, label in outcomes.items():
        values = [total[outcome], share(total[outcome], total["closed"])]
        rows.append(row(label, columns, values, link=data.drill("chats", outcome=outcome)))
    return Tile(value=total["chats"], n=total["chats"], columns=columns, rows=rows)
