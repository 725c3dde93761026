from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client

from connect_bridge.customer_page import sentiment
from connect_bridge.customer_page.sentiment import MessageSentiment, Trend
from tests.connect_bridge.customer_page.kit import Past, open_page

pytestmark = pytest.mark.django_db


def test_the_header_says_who_it_is_how_we_know_and_where_one_can_answer(admin_client: Client, past: Past) -> None:
    page = open_page(admin_client, past)
    for shown in (
        "Name from Messenger",
        "One person: decided by a colleague",
        "Prefers whatsapp",
        "Language es_ES",
        "@ana_lopez",
        "Window closed",
        "Answer within 2",
        "No time limit",
        "Chat open with Ben",
        "Tied to the others by a link code",
        "Handle was",
        "anita",
        "open_orders",
        "the same full name, which 2 identities have",
    ):
        assert shown in page, shown


def test_an_id_that_was_merged_leads_to_the_one_that_is_shown(admin_client: Client, past: Past) -> None:
    younger = past.chats["twitter"].identity.home_id
    answer = admin_client.get(f"/customers/{younger}/?who=agent")
    assert answer.headers["Location"] == f"/customers/{past.customer.pk}/?who=agent"


def test_sentiment_shows_where_somebody_installed_it(admin_client: Client, past: Past, monkeypatch) -> None:
    class Scores:
        def of_messages(self, messages: Any) -> dict[Any, MessageSentiment]:
            scored = MessageSentiment(label="negative", score=-0.6, unsure=True, detail="P(negative) 0.6")
            return dict.fromkeys(messages, scored)

        def trend(self, _conversations: Any, _days: int) -> Trend:
            return Trend(days=((date(2026, 1, 1), -0.5, 3), (date(2026, 1, 5), 0.1, 3)), label="neutral")

    monkeypatch.setattr(sentiment, "_installed", [Scores()])
    page = open_page(admin_client, past)
    assert '<span class="mark negative unsure" title="P(negative) 0.6">-60</span>' in page
    assert "over 6 messages (small sample)" in page
    assert "From -50 on 1 Jan to +10 on 5 Jan" in page
