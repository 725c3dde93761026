"""Chats as rows of a tile or of the page of chats."""

from __future__ import annotations

from datetime import timedelta

from django.urls import reverse

from analytics import formatting
from analytics.thresholds import sign_of
from analytics.tiles.chat_queries import ListedChat
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.tile import WORDS, Column, Row, row
from channels_app.reply_window import window_length


def chat_columns() -> list[Column]:
    return [
        Column("rating", "points"),
        Column("shift", "points"),
        Column("waits", "text"),
        Column("agent", "text"),
        Column("window", "text"),
        Column(WORDS, "text"),
    ]


def chat_row(data: DashboardData, chat: ListedChat, columns: list[Column]) -> Row:
    """Return one chat; its link opens the transcript at its lowest message."""
    account = data.accounts_by_id.get(chat.account)
    rating = formatting.rating(chat.rating)
    waits = formatting.ago(chat.waiting_since, data.now).removesuffix(" ago") if _waits(chat) else ""
    agent, window = chat.agent or "nobody", _window_left(data, chat)
    return row(
        chat.name or chat.handle or "Somebody",
        columns,
        [rating, formatting.rating(chat.shift), waits, agent, window, chat.words or ""],
        n=chat.scored,
        link=f"{reverse('dashboards:chat', args=[chat.contact])}#lowest",
        mark=f"{sign_of(rating)} {account.kind if account else ''} {'open' if chat.ended_at is None else 'ended'}",
    )


def _waits(chat: ListedChat) -> bool:
    return chat.waiting_since is not None and chat.ended_at is None


def _window_left(data: DashboardData, chat: ListedChat) -> str:
    """Return for how long the messenger still takes free text, in words."""
    account = data.accounts_by_id.get(chat.account)
    length = window_length(account.kind if account else "")
    if length is None or chat.spoke_at is None:
        return ""
    left = chat.spoke_at + length - data.now
    return f"{formatting.duration(left / timedelta(milliseconds=1))} left" if left > timedelta() else "closed"
