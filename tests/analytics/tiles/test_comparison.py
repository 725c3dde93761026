"""Agents are shown in bands: a few points between two people are no ranking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from analytics.models import Sentiment
from analytics.queries.filters import parse
from analytics.rollups.update import refresh
from analytics.thresholds import BAND
from analytics.tiles.catalogue import make
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.definitions.comparison import band_of
from tests.analytics.kit import BAD, GOOD, PLAIN, customer_wrote
from tests.factories import ChannelAccountFactory, ContactFactory, ConversationFactory


def chats(agent: str, score: Any, number: int) -> None:
    account = ChannelAccountFactory(kind="whatsapp")
    for _ in range(number):
        conversation = ConversationFactory(account=account)
        begun = timezone.now() - timedelta(minutes=3)
        contact = ContactFactory(conversation=conversation, requested_at=begun, agent_name=agent, bot=False)
        message = customer_wrote("words", conversation, contact=contact, created_at=begun)
        shares = {name: getattr(score, name) for name in ("positive", "negative", "neutral", "mixed")}
        state = {"state": "scored", "score": score.value, "label": score.label, "language": "en", "due_at": begun}
        Sentiment.objects.create(message=message, **state, **shares)


@pytest.mark.django_db
def test_agents_stand_in_bands_and_by_name_in_each() -> None:
    for agent, score, number in (
        ("Zoe", BAD, 20),
        ("Cid", PLAIN, 20),
        ("Ann", PLAIN, 21),
        ("Bob", GOOD, 22),
        ("Dora", BAD, 3),
        ("", BAD, 30),  # with the bot alone: no part of what is usual
    ):
        chats(agent, score, number)
    while refresh().changes:  # type: ignore[union-attr]
        pass
    tile = make("by_agent", DashboardData(parse({"range": "24h"}, timezone.now())))
    assert [(row.label, row.shown[-1]) for row in tile.rows] == [
        ("Zoe", "below"),
        ("Ann", "near the others"),
        ("Cid", "near the others"),
        ("Bob", "above"),
        ("Dora", "too few chats"),
        ("not told", "no agent"),
    ]


@pytest.mark.parametrize(("off", "band"), [(-BAND, 0), (-BAND / 2, 1), (0.0, 1), (BAND / 2, 1), (BAND, 2)])
def test_a_band_begins_ten_points_off(off: float, band: int) -> None:
    assert band_of(off, 0.0) == band
