"""Scores where customers are concerned: told to the next agent, forgotten with the words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analytics.bridge_hooks import last_sentiment
from analytics.models import Phrase, Sentiment
from connect_bridge.models import Contact, Message
from connect_bridge.privacy.erasure import erase
from connect_bridge.privacy.retention import retain
from connect_bridge.relay.customer_context import attributes_of, context_of
from tests.customers.kit import done
from tests.factories import ContactFactory, ConversationFactory, MessageFactory

pytestmark = pytest.mark.django_db(transaction=True)


def scored(contact: Contact, score: int, **more: Any) -> Message:
    message = MessageFactory(conversation=contact.conversation, contact=contact, text="broken kettle", **more)
    values = {"state": "scored", "label": "negative", "score": score, "key": message.pk, "phrases_due": True}
    Sentiment.objects.update_or_create(message=message, defaults={**values, "due_at": message.created_at})
    Phrase.objects.create(message=message, text="broken kettle")
    return message


def attributes_for(contact: Contact) -> dict[str, str]:
    async def read(connection: Any) -> dict[str, str]:
        known = await context_of(connection, contact.conversation_id)
        return await attributes_of(connection, known, contact.pk)

    return done(read)


def test_a_new_chat_tells_the_sentiment_of_the_last_one_on_whatever_channel() -> None:
    now = datetime.now(UTC)
    first = ContactFactory(state="ended")
    identity = first.conversation.identity
    other = ConversationFactory(account__kind="messenger", identity__customer=identity.customer)
    last = ContactFactory(conversation=other, state="ended")
    scored(first, 9_000, created_at=now - timedelta(days=2))
    scored(last, -2_000, created_at=now - timedelta(hours=2))
    scored(last, -6_000, created_at=now - timedelta(hours=1))
    attributes = attributes_for(first)
    assert attributes["last_sentiment"] == "-0.40"
    assert attributes["last_sentiment_at"] == (now - timedelta(hours=1)).isoformat(timespec="seconds")


def test_where_nothing_was_scored_nothing_is_told() -> None:
    contact = ContactFactory()
    assert done(lambda connection: last_sentiment(connection, contact.conversation.identity.customer_id)) == {}


def test_erasing_somebody_takes_the_phrases_and_keeps_the_scores() -> None:
    contact = ContactFactory(state="ended")
    message = scored(contact, -5_000)
    pending = MessageFactory(conversation=contact.conversation, text="never scored")
    Sentiment.objects.update_or_create(message=pending, defaults={"state": "pending", "due_at": pending.created_at})
    erase(contact.conversation.identity.customer_id, by="boss")
    assert not Phrase.objects.exists()
    kept = Sentiment.objects.get(message=message)
    assert (kept.score, kept.key, kept.phrases_due) == (-5_000, None, False)
    assert Sentiment.objects.get(message=pending).state == "refused"


def test_words_that_were_kept_long_enough_take_their_phrases_along(settings: Any) -> None:
    settings.RETAIN_WORDS_DAYS = 30
    scored(ContactFactory(state="ended"), -5_000, created_at=datetime.now(UTC) - timedelta(days=31))
    young = scored(ContactFactory(state="ended"), -5_000)
    retain(10)
    assert list(Phrase.objects.values_list("message", flat=True)) == [young.pk]
