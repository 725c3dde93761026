"""Erasure of what was concluded from words: phrases go, and with them what they counted for; numbers stay."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from analytics.models import Phrase, Sentiment


def forget_words(messages: Collection[uuid.UUID]) -> int:
    """Empty what holds or identifies the words of these messages; return how many rows that were.

    In a transaction of the caller's. Scores stay, as counts do; chats are counted anew, so that a phrase which only
    these messages had is in no rollup any more.
    """
    phrases, _ = Phrase.objects.filter(message__in=messages).delete()
    scores = Sentiment.objects.filter(message__in=messages).update(key=None, phrases_due=False)
    return phrases + scores
