"""Tiles of now: what is open, who needs somebody, which window closes, whether a channel is broken."""

from __future__ import annotations

from datetime import timedelta

from django.urls import NoReverseMatch, reverse

from analytics import formatting
from analytics.models import QueueNow
from analytics.tiles import chat_queries, live_queries
from analytics.tiles.chat_queries import ChatLine
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.sentiment import mood_of
from analytics.tiles.tile import Column, Part, Row, State, Tile, row
from channels_app.models import ChannelAccount
from channels_app.reply_window import window_length
from connect_bridge.operations import account_status, stuck

MOST_CHATS = 9
#: The column of what customers wrote: not everybody may read it.
WORDS = "words"
MOST_WINDOWS = 6
#: What Connect said of its queues is shown for so long.
TOLD_FOR = timedelta(minutes=2)


def channels(numbers: DashboardData) -> Tile:
    """How each channel account is, in the words of its own status, beside what the last two hours brought."""
    statuses = {
        one.account.pk: one
        for one in account_status.account_statuses(ChannelAccount.objects.defer("credentials", "former_credentials"))
    }
    columns = [Column("state", "text"), Column("last webhook", "text"), Column("failed, 2 h", "text")]
    columns.append(Column("received, 2 h", "count"))
    rows: list[Row] = []
    for one in live_queries.accounts(numbers):
        shown = statuses[one.id]
        failed = f"{one.failed} of {one.settled}"
        heard = formatting.ago(shown.webhook_at, numbers.now).replace("never", "none yet")
        values = [str(shown.state), heard, failed, one.received]
        link = reverse("admin:channels_app_channelaccount_change", args=[one.id])
        rows.append(row(shown.account.name, columns, values, link=link, mark=shown.account.kind))
    held_up = sum(stuck.counts().values())
    tile = Tile(
        key="channels",
        title="Channels",
        form="lights",
        value=held_up,
        n=len(rows),
        of="accounts",
        formula=(
            "As on the page Channels. Live: webhooks come and sends are taken. Quiet: twice as long without a webhook "
            "as of late, and at least six hours. Degraded: the latest answer did not reach the customer, or the latest "
            "webhook was set aside. Broken: a check failed, signatures are wrong, or Amazon Connect takes nothing. "
            "Needs reconnecting: our credentials are refused."
        ),
        columns=columns,
        rows=rows,
        notes=[f"{held_up} held up for more than a minute"] if held_up else ["Nothing is held up"],
        drill=_known("stuck"),
    )
    tile.state = State.OK if rows else State.EMPTY
    return tile


def active(numbers: DashboardData) -> Tile:
    """Open chats, by who has them."""
    found = live_queries.open_chats(numbers)
    whole = found.bot + found.queue + found.agent
    parts = [
        ("bot", found.bot, "series-5"),
        ("waiting", found.queue, "series-2"),
        ("with an agent", found.agent, "series-1"),
    ]
    tile = Tile(
        key="active",
        title="Open chats now",
        form="now",
        value=whole,
        n=whole,
        of="open chats",
        formula=(
            "Chats that are open at Amazon Connect now: with an agent; with a bot, if it spoke last and Connect told "
            "of no queue; else waiting."
        ),
        excludes="Nothing. The range does not matter here.",
        parts=[Part(label=label, value=number, shown=str(number), mark=mark) for label, number, mark in parts],
        page="chats",
        drill=numbers.drill("chats", outcome="open"),
    ).weigh()
    tile.small = False
    return tile


def waiting(numbers: DashboardData) -> Tile:
    """How long the longest waits."""
    found = live_queries.open_chats(numbers)
    waited = None if found.oldest is None else (numbers.now - found.oldest) / timedelta(milliseconds=1)
    tile = Tile(
        key="waiting",
        title="Longest wait now",
        unit="ms",
        value=waited,
        n=found.queue,
        of="chats that wait for an agent",
        formula="The oldest word of a customer in an open chat to which nobody has an answer on its way.",
        excludes="Chats that have ended. The range does not matter here.",
        notes=[f"{found.queue} waiting for an agent", *_queues(numbers)],
        page="chats",
        drill=numbers.drill("chats", outcome="open"),
    ).weigh()
    tile.small = False
    return tile


def _queues(numbers: DashboardData) -> list[str]:
    """Return what Connect itself says of its queues, if it was asked lately."""
    said = QueueNow.objects.filter(at__gte=numbers.now - TOLD_FOR)
    waiting = [queue.waiting for queue in said if queue.waiting is not None]
    oldest = [queue.oldest_seconds for queue in said if queue.oldest_seconds]
    slots = [queue.slots_available for queue in said if queue.slots_available is not None]
    if not waiting:
        return []
    longest = f", the oldest for {formatting.duration(max(oldest) * 1000)}" if oldest else ""
    return [f"Connect: {sum(waiting)} in its queues{longest}, {sum(slots)} slots free"]


def worst(numbers: DashboardData) -> Tile:
    """Who needs somebody: the most negative chats, the open ones first."""
    columns = chat_columns()
    return Tile(
        key="worst",
        title="Most negative",
        form="chats",
        n=numbers.total["rated"],
        of="chats with a scored message",
        formula="Chats with the lowest ratings: first those that are open and below nought, then those of the range.",
        excludes="Chats without a score.",
        columns=columns,
        rows=[chat_row(numbers, chat, columns) for chat in chat_queries.worst(numbers, MOST_CHATS)],
        page="chats",
        drill=numbers.drill("chats"),
    )


def chat_columns() -> list[Column]:
    return [
        Column("rating", "points"),
        Column("shift", "points"),
        Column("waits", "text"),
        Column("agent", "text"),
        Column("window", "text"),
        Column(WORDS, "text"),
    ]


def chat_row(numbers: DashboardData, chat: ChatLine, columns: list[Column]) -> Row:
    """Return one chat; its link opens the transcript at its lowest message."""
    known = {account.id: account for account in numbers.all_accounts}
    account = known.get(chat.account)
    rating = formatting.rating(chat.rating)
    waits = formatting.ago(chat.waiting_since, numbers.now).removesuffix(" ago") if _waits(chat) else ""
    left = window_left(numbers, chat)
    values = [rating, formatting.rating(chat.shift), waits, chat.agent or "nobody", left, chat.words or ""]
    return row(
        chat.name or chat.handle or "Somebody",
        columns,
        values,
        n=chat.scored,
        link=transcript(chat),
        mark=f"{mood_of(rating)} {account.kind if account else ''} {'open' if chat.ended_at is None else 'ended'}",
    )


def _waits(chat: ChatLine) -> bool:
    return chat.waiting_since is not None and chat.ended_at is None


def transcript(chat: ChatLine) -> str:
    return f"{reverse('dashboards:chat', args=[chat.contact])}#lowest"


def window_left(numbers: DashboardData, chat: ChatLine) -> str:
    """Return how long free text is still taken, in words."""
    known = {account.id: account.kind for account in numbers.all_accounts}
    length = window_length(known.get(chat.account, ""))
    if length is None or chat.spoke_at is None:
        return ""
    left = chat.spoke_at + length - numbers.now
    return f"{formatting.duration(left / timedelta(milliseconds=1))} left" if left > timedelta() else "closed"


def windows(numbers: DashboardData) -> Tile:
    """List who has the last word while the messenger's window closes."""
    found = live_queries.windows(numbers)
    soon = [one for one in found if one.closes_at >= numbers.now]
    over = len(found) - len(soon)
    columns = [Column("closes in", "text")]
    rows = []
    for one in soon[:MOST_WINDOWS]:
        left = (one.closes_at - numbers.now) / timedelta(milliseconds=1)
        link = reverse("admin:connect_bridge_conversation_change", args=[one.conversation])
        rows.append(row(one.name or "Somebody", columns, [formatting.duration(left)], link=link))
    tile = Tile(
        key="windows",
        title="Windows closing",
        form="list",
        value=len(soon),
        n=len(found),
        of="customers who have the last word",
        formula=(
            f"Closing soon: the messenger takes free text for less than {live_queries.CLOSING_HOURS} hours, and the "
            "customer has the last word. Expired: it closed in the last 24 hours. Blocked: what it refused."
        ),
        excludes="Messengers without a window, such as X.",
        columns=columns,
        rows=rows,
        notes=[
            f"{over} expired unanswered",
            f"{numbers.total['blocked']} sends blocked",
            *(["windows of all queues, agents and languages"] if numbers.filter.facets else []),
        ],
        page="failures",
    ).weigh()
    tile.small = False
    return tile


def _known(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
