"""What scores say where customers are concerned: a new chat's last mood, and nothing of whoever was erased."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping

from analytics.models import Phrase, Sentiment
from analytics.thresholds import SCALE
from channels_app.infrastructure.db import AsyncConnection

#: The mean of the customer's last chat in which anything was scored.
LAST = """
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


async def last_mood(connection: AsyncConnection, customer: uuid.UUID) -> Mapping[str, str]:
    """Return the attributes of a new chat that tell how the last one was: from -1 to 1, and when."""
    row = await (await connection.execute(LAST, {"customer": customer, "scale": SCALE})).fetchone()
    if row is None:
        return {}
    return {"last_sentiment": f"{row[0]:+.2f}", "last_sentiment_at": row[1].isoformat(timespec="seconds")}


def forget_words(messages: Collection[uuid.UUID]) -> int:
    """Delete what was kept of messages' words, and score none of them any more; scores stay, for the counts."""
    phrases, _ = Phrase.objects.filter(message__in=messages).delete()
    scores = Sentiment.objects.filter(message__in=messages)
    scores.filter(state=Sentiment.State.PENDING).update(state=Sentiment.State.REFUSED, error="erased")
    return phrases + scores.update(key=None, phrases_due=False)
