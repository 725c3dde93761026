"""Tiles of service: how fast customers are answered, by whom, and how many are not."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from analytics import formatting
from analytics.measures import percentile
from analytics.queries import rollups
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.tile import Column, Part, Row, Series, Tile, row, share

ACCEPTED = "An answer counts once the messenger has taken it."


def first_response(numbers: DashboardData) -> Tile:
    """How long customers wait for the first word of a human."""
    size = numbers.size("first_response")
    percentiles = {name: numbers.percentile("first_response", part) for name, part in (("P50", 0.5), ("P90", 0.9))}
    waiting, agent = numbers.percentile("queue_wait", 0.5), numbers.percentile("agent_delay", 0.5)
    tile = _percentile_tile(numbers, "first_response", 0.5)
    tile.key, tile.title, tile.page = "first_response", "First response", "service"
    tile.formula = (
        "First customer message of a chat → first message of a human that the messenger took; the median. "
        "Below it: the wait until an agent joined, and the agent's own time."
    )
    tile.excludes = "Bots and automatic replies; chats that no human has answered."
    tile.of, tile.drill = "answered chats", numbers.drill("service")
    tile.target = settings.FIRST_RESPONSE_TARGET * 1000
    tile.parts = [
        Part(label="in the queue", value=waiting, shown=formatting.duration(waiting), mark="series-1"),
        Part(label="agent", value=agent, shown=formatting.duration(agent), mark="series-2"),
    ]
    tile.notes = [f"P90 {formatting.duration(percentiles['P90'])}"]
    if settings.OFFICE_HOURS:
        office = numbers.percentile("first_response_office", 0.5)
        tile.notes.append(f"in office hours {formatting.duration(office)}")
    tile.n = size
    tile.series = _lines(numbers, "first_response", {"P50": 0.5})
    return tile.weigh(good="down")


def reply(numbers: DashboardData) -> Tile:
    """How long each turn of a customer waits."""
    tile = _percentile_tile(numbers, "reply", 0.5)
    tile.key, tile.title, tile.page, tile.drill = "reply", "Reply time", "service", numbers.drill("service")
    tile.form = "lines"
    tile.formula = "Oldest customer message without an answer → an agent's next message, each turn; P50, P90 and P95."
    tile.excludes = f"Bots and automatic replies. {ACCEPTED}"
    tile.of = "turns"
    tile.series = _lines(numbers, "reply", {"P50": 0.5, "P90": 0.9, "P95": 0.95})
    tile.notes = [f"P90 {formatting.duration(numbers.percentile('reply', 0.9))}"]
    return tile.weigh(good="down")


def handle(numbers: DashboardData) -> Tile:
    """How long agents are in a chat."""
    tile = _percentile_tile(numbers, "handle", 0.5)
    tile.key, tile.title, tile.page = "handle", "Handle time", "service"
    tile.formula = (
        "From an agent's joining to the end of the chat, and after-contact work where Connect told it; median."
    )
    tile.excludes = "Chats without an agent. Chats overlap, so this is no occupancy."
    tile.of = "handled chats"
    mean = share(numbers.total["handle_ms"], numbers.size("handle"))
    tile.notes = [f"P90 {formatting.duration(numbers.percentile('handle', 0.9))}", f"mean {formatting.duration(mean)}"]
    return tile.weigh(good="down")


def bridge(numbers: DashboardData) -> Tile:
    """How long Parley itself holds messages up."""
    tile = _percentile_tile(numbers, "bridge_in", 0.95)
    tile.key, tile.title, tile.page, tile.form = "bridge", "Bridge latency, P95", "service", "ranking"
    tile.formula = (
        "In: webhook received → taken by Connect. Out: Connect's own time of the message → taken by the messenger."
    )
    tile.excludes = "Messages that have not arrived. Connect's clock and ours may differ."
    tile.of = "customers' messages"
    tile.columns = [Column("in", "ms"), Column("out", "ms")]
    tile.rows = [
        row(name, tile.columns, [numbers.percentile(digest, part) for digest in ("bridge_in", "bridge_out")])
        for name, part in (("P50", 0.5), ("P95", 0.95), ("P99", 0.99))
    ]
    if numbers.filter.facets:
        tile.notes = ["Not by queue, agent or language."]
    return tile.weigh(good="down")


def _percentile_tile(numbers: DashboardData, digest: str, part: float) -> Tile:
    before = percentile(numbers.digests_before.get(digest, {}), part)
    return Tile(
        key="",
        title="",
        formula="",
        unit="ms",
        value=numbers.percentile(digest, part),
        n=numbers.size(digest),
        compared=percentile(numbers.digests_done.get(digest, {}), part),
        before=before,
    )


def _lines(numbers: DashboardData, digest: str, parts: dict[str, float]) -> Series:
    asked = numbers.question(numbers.filter.start, numbers.filter.end, by=("at",), hourly=numbers.filter.hourly)
    found = {at: bins.get(digest, {}) for (at,), bins in rollups.bins(asked, [digest]).items()}
    points = [
        numbers.point(
            at, [percentile(found.get(at, {}), part) for part in parts.values()], sum(found.get(at, {}).values())
        )
        for at in numbers.buckets
    ]
    return Series(names=tuple(parts), points=tuple(points), unit="ms")


def _share_tile(key: str, title: str, part: str, whole: str, *, of: str, good: str) -> Callable[[DashboardData], Tile]:
    def tile(numbers: DashboardData) -> Tile:
        total, before = numbers.total, numbers.before
        points = [
            numbers.point(at, [share(sums[part], sums[whole])], sums[whole])
            for at, sums in numbers.sums_by_bucket.items()
        ]
        made = Tile(
            key=key,
            title=title,
            unit="share",
            value=share(total[part], total[whole]),
            n=total[whole],
            of=of,
            compared=share(numbers.done[part], numbers.done[whole]),
            before=None if before is None else share(before[part], before[whole]),
            formula=FORMULAS[key][0],
            excludes=FORMULAS[key][1],
            series=Series(names=(title,), points=tuple(points), unit="share"),
            page="service" if key in ("abandonment", "unanswered") else "deflection",
            drill=numbers.drill("chats", outcome=part),
        )
        return made.weigh(good=good)

    return tile


FORMULAS = {
    "abandonment": (
        "Chats that waited for an agent and ended without one / chats that waited for an agent.",
        "Open chats. Where Connect's contact events do not come, a chat waited unless the bot has the last word.",
    ),
    "unanswered": (
        "Chats that ended with the customer's word / chats that ended. Who writes rarely hangs up.",
        "Automatic replies are no answer.",
    ),
    "deflection": (
        "Chats in which a bot spoke and nobody waited for an agent / chats in which a bot spoke.",
        "Chats that are still open count as bot chats only.",
    ),
    "containment": (
        "Deflected chats whose customer did not come back within 24 hours / chats in which a bot spoke.",
        "Connect does not tell whether the bot fulfilled the wish. Chats of the last 24 hours may still change.",
    ),
}
abandonment = _share_tile(
    "abandonment", "Abandoned", "abandoned", "queued", of="chats that waited for an agent", good="down"
)
unanswered = _share_tile("unanswered", "Unanswered", "unanswered", "closed", of="chats that ended", good="down")
deflection = _share_tile("deflection", "Bot deflection", "deflected", "bot_chats", of="chats with a bot", good="up")
containment = _share_tile("containment", "Contained", "contained", "bot_chats", of="chats with a bot", good="up")


def bot(numbers: DashboardData) -> Tile:
    """Deflection beside containment: the gap between them is hidden failure."""
    tile, contained = deflection(numbers), containment(numbers)
    tile.key, tile.title, tile.drill = "bot", "Bot deflection", numbers.drill("deflection")
    tile.formula += f" Contained: {contained.formula}"
    tile.parts = [
        Part(label="contained", value=contained.value, shown=contained.shown, mark="series-1"),
        Part(
            label="came back",
            value=(tile.value or 0) - (contained.value or 0) if tile.value is not None else None,
            shown=formatting.percent((tile.value or 0) - (contained.value or 0) if tile.value is not None else None),
            mark="series-2",
        ),
    ]
    return tile


def courses(numbers: DashboardData) -> Tile:
    """Count what became of chats."""
    total = numbers.total
    columns = [Column("chats", "count"), Column("share", "share")]
    names = {
        "handled": "with an agent",
        "abandoned": "gave up waiting",
        "deflected": "the bot alone",
        "contained": "… and did not come back",
        "unanswered": "ended with the customer's word",
    }
    rows: list[Row] = [
        row(
            label,
            columns,
            [total[name], share(total[name], total["closed"])],
            link=numbers.drill("chats", outcome=name),
        )
        for name, label in names.items()
    ]
    return Tile(
        key="courses",
        title="What became of chats",
        form="ranking",
        n=total["chats"],
        of="chats that began",
        value=total["chats"],
        formula="Chats by what became of them; shares of those that ended.",
        columns=columns,
        rows=rows,
        page="deflection",
    ).weigh()
