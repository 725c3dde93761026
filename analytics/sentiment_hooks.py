"""What the customer's page shows of moods: the marks of messages, and a trend."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.db import connection

from analytics.dashboards.transcript import mark_of
from analytics.models import Sentiment
from analytics.rollups.time_buckets import zone
from analytics.thresholds import SCALE
from connect_bridge.customer_page.sentiment import Mood, Trend

TREND = """
SELECT date_trunc('day', m.created_at, %(zone)s)::date, avg(s.score) / %(scale)s::float8, count(*)
  FROM connect_bridge_message m JOIN analytics_sentiment s ON s.message_id = m.id AND s.state = 'scored'
 WHERE m.conversation_id = ANY(%(conversations)s) AND m.created_at > now() - make_interval(days => %(days)s)
 GROUP BY 1 ORDER BY 1
"""


class Moods:
    """Answers from the scores."""

    def moods(self, messages: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Mood]:
        scored = Sentiment.objects.filter(message__in=messages, state=Sentiment.State.SCORED)
        return {one.message_id: _mood(one) for one in scored}

    def trend(self, conversations: Collection[uuid.UUID], days: int) -> Trend | None:
        given: dict[str, Any] = {"zone": str(zone()), "scale": SCALE, "days": days}
        given["conversations"] = list(conversations)
        with connection.cursor() as cursor:
            cursor.execute(TREND, given)
            rows = cursor.fetchall()
        return Trend(days=tuple((day, float(score), number) for day, score, number in rows)) if rows else None


def _mood(sentiment: Sentiment) -> Mood:
    mark = mark_of(sentiment)
    return Mood(
        label=sentiment.label,
        score=(sentiment.score or 0) / SCALE,
        unsure=sentiment.unsure,
        detail=mark.detail if mark else "",
    )
