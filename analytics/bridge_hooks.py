"""What analytics answers where the bridge asks: sentiment for chats and pages, and words that are to be forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from django.db import connection

from analytics.models import Phrase, Sentiment
from analytics.rollups.time_buckets import zone
from analytics.thresholds import SCALE, clear_sign_of
from analytics.tiles.message_mark import mark_of
from channels_app.infrastructure.db import AsyncConnection
from connect_bridge.customer_page.sentiment import MessageSentiment, Trend

#: The mean of the customer's last chat in which anything was scored.
LAST_CHAT = """
WITH last AS (
    SELECT m.contact_id, m.created_at FROM customers_identity i
      JOIN connect_bridge_conversation c ON c.identity_id = i.id
     CROSS JOIN LATERAL (
        SELECT m.contact_id, m.created_at FROM connect_bridge_message m
          JOIN analytics_sentiment s ON s.message_id = m.id AND s.state = 'scored'
         WHERE m.conversation_id = c.id AND m.contact_id IS NOT NULL
         ORDER BY m.created_at DESC LIMIT 1) m
     WHERE i.customer_id = %(customer)s ORDER BY m.created_at DESC LIMIT 1
)
SELECT avg(s.score)::float8 / %(scale)s, last.created_at FROM last
  JOIN connect_bridge_message m ON m.contact_id = last.contact_id
  JOIN analytics_sentiment s ON s.message_id = m.id AND s.state = 'scored'
 GROUP BY last.created_at
"""
TREND = """
SELECT date_trunc('day', m.created_at, %(zone)s)::date, avg(s.score) / %(scale)s::float8, count(*)
  FROM connect_bridge_message m JOIN analytics_sentiment s ON s.message_id = m.id AND s.state = 'scored'
 WHERE m.conversation_id = ANY(%(conversations)s) AND m.created_at > now() - make_interval(days => %(days)s)
 GROUP BY 1 ORDER BY 1
"""


async def last_sentiment(connection: AsyncConnection, customer: uuid.UUID) -> Mapping[str, str]:
    """Return the attributes of a new chat that tell how the last one was: from -1 to 1, and when."""
    row = await (await connection.execute(LAST_CHAT, {"customer": customer, "scale": SCALE})).fetchone()
    if row is None:
        return {}
    return {"last_sentiment": f"{row[0]:+.2f}", "last_sentiment_at": row[1].isoformat(timespec="seconds")}


class Scores:
    """What the customer's page shows: answers a SentimentSource of the bridge from the scores."""

    def of_messages(self, messages: Collection[uuid.UUID]) -> Mapping[uuid.UUID, MessageSentiment]:
        scored = Sentiment.objects.filter(message__in=messages, state=Sentiment.State.SCORED)
        return {sentiment.message_id: _of_message(sentiment) for sentiment in scored}

    def trend(self, conversations: Collection[uuid.UUID], days: int) -> Trend | None:
        params: dict[str, Any] = {
            "zone": str(zone()),
            "scale": SCALE,
            "days": days,
            "conversations": list(conversations),
        }
        with connection.cursor() as cursor:
            cursor.execute(TREND, params)
            rows = cursor.fetchall()
        if not rows:
            return None
        mean = sum(float(score) * number for _, score, number in rows) / sum(number for *_, number in rows)
        return Trend(days=tuple((day, float(score), number) for day, score, number in rows), label=clear_sign_of(mean))


def _of_message(sentiment: Sentiment) -> MessageSentiment:
    mark = mark_of(sentiment)
    return MessageSentiment(
        label=sentiment.label,
        score=(sentiment.score or 0) / SCALE,
        unsure=sentiment.unsure,
        detail=mark.detail if mark else "",
    )


def forget_words(messages: Collection[uuid.UUID]) -> int:
    """Delete what was kept of messages' words, and score none of them any more; scores stay, for the counts.

    Returns the number of rows that were deleted or changed. Called where a customer is erased, and by retention.
    """
    phrases, _ = Phrase.objects.filter(message__in=messages).delete()
    scores = Sentiment.objects.filter(message__in=messages)
    scores.filter(state=Sentiment.State.PENDING).update(state=Sentiment.State.REFUSED, error="erased")
    return phrases + scores.update(key=None, phrases_due=False)
