"""Texts become scores: in full batches, once each, within the day's cap, and never neutral for want of a language."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from analytics.bridge_hooks import forget_words
from analytics.models import Phrase, Rollup, Sentiment, Spending
from analytics.rollups.update import refresh
from analytics.sentiment import cost_ledger, key_phrases, scoring
from analytics.sentiment.comprehend import THREADS
from analytics.sentiment.engine import EngineError, ItemFailed, Refused, Throttled
from connect_bridge.models import Message
from connect_bridge.privacy.hooks import erasers
from connect_bridge.privacy.retention import retain
from tests.analytics.kit import FakeEngine, customer_wrote, score_of
from tests.factories import ContactFactory, ConversationFactory, MessageFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture(autouse=True)
def _patient(settings: Any) -> None:
    """Let a text wait for others as long as a busy machine may need for a test, and no text by accident."""
    settings.SENTIMENT_LINGER = 600


def waited() -> None:
    """Let all texts have waited long enough."""
    Sentiment.objects.filter(state="pending").update(due_at=timezone.now() - timedelta(seconds=900))


def test_a_message_is_scored_with_its_four_probabilities_engine_model_and_language(
    engine: FakeEngine, settings: Any
) -> None:
    settings.SENTIMENT_ENGINE = "an engine"
    message = customer_wrote("this is bad")
    refresh()
    waited()
    scoring.run(engine)

    score = score_of(message)
    assert (score.state, score.label, score.score, score.language) == ("scored", "negative", -8800, "en")
    assert (score.positive, score.negative, score.neutral, score.mixed) == (0.02, 0.9, 0.05, 0.03)
    assert (score.engine, score.model, score.language_from) == ("an engine", "fake", "channel")


def test_only_words_of_the_customers_own_are_scored() -> None:
    conversation = ConversationFactory()
    contact = ContactFactory(conversation=conversation)
    MessageFactory(conversation=conversation, contact=contact, direction="out", text="good")
    customer_wrote(" ", conversation)
    MessageFactory(conversation=conversation, contact=contact, original={"event": "reaction", "text": "x"})
    refresh()
    assert not Sentiment.objects.exists()


@pytest.mark.timeout(600)
def test_a_thousand_messages_take_at_most_45_calls(engine: FakeEngine) -> None:
    talks = [ContactFactory(conversation=ConversationFactory(identity__locale="")) for _ in range(20)]
    Message.objects.bulk_create(customer_words(talks[number % 20], number) for number in range(1000))
    while refresh().chats:  # type: ignore[union-attr]
        pass
    while Sentiment.objects.filter(state="pending").exists():
        waited()
        scoring.run(engine)
    key_phrases.run(engine)
    assert Sentiment.objects.filter(state="scored").count() == 1000
    assert engine.calls <= 45


def customer_words(contact: Any, number: int) -> Message:
    text = f"the parcel is good and it was here {number}" + (" bad" if number % 5 == 0 else "")
    now = timezone.now()
    original = {"event": "message", "text": text}
    where = {"conversation": contact.conversation, "contact": contact, "sequence": number + 1, "direction": "in"}
    return Message(
        **where, role="CUSTOMER", text=text, original=original, status="relayed", occurred_at=now, created_at=now
    )


def test_a_batch_waits_for_others_and_not_for_long(engine: FakeEngine) -> None:
    customer_wrote("one good thing")
    refresh()
    assert scoring.run(engine).waiting == 1
    assert engine.calls == 0
    waited()
    assert scoring.run(engine).scored == 1


def test_what_was_scored_before_is_never_asked_for_again(engine: FakeEngine) -> None:
    for _ in range(3):
        customer_wrote("the same bad words")
        refresh()
        waited()
        scoring.run(engine)
    assert engine.asked == [("en", ["the same bad words"])]
    assert Sentiment.objects.filter(label="negative").count() == 3
    assert Spending.objects.get().reused == 2


def test_the_same_words_twice_in_one_batch_are_one_document(engine: FakeEngine) -> None:
    customer_wrote("hello good people")
    customer_wrote("hello good people")
    refresh()
    waited()
    assert scoring.run(engine).scored == 2
    assert engine.asked == [("en", ["hello good people"])]


def test_each_language_has_its_own_batch(engine: FakeEngine) -> None:
    customer_wrote("good", locale="en_GB")
    customer_wrote("bueno", locale="es_ES")
    refresh()
    waited()
    scoring.run(engine)
    assert sorted(language for language, _ in engine.asked) == ["en", "es"]


def test_a_language_that_the_engine_does_not_know_is_not_scored_and_never_neutral(engine: FakeEngine) -> None:
    message = customer_wrote("hyvää huomenta", locale="fi_FI")
    refresh()
    waited()
    scoring.run(engine)
    score = score_of(message)
    assert (score.state, score.label, score.score, score.language) == ("unsupported", "", None, "fi")
    assert engine.calls == 0


@pytest.mark.parametrize(
    ("text", "language", "told_by", "calls"),
    [
        ("¿Dónde está mi pedido? Por favor, es muy tarde", "es", "text", 0),
        ("これはひどい", "ja", "text", 0),
        ("xkcd qwertz lorem ipsum dolor", "it", "engine", 1),
        ("ok", "en", "default", 0),
    ],
)
def test_the_language_is_told_by_the_text_or_asked_for_or_the_default(
    engine: FakeEngine, text: str, language: str, told_by: str, calls: int
) -> None:
    engine.detected = "it"
    message = customer_wrote(text, locale="")
    refresh()
    waited()
    scoring.run(engine)
    score = score_of(message)
    assert (score.language, score.language_from) == (language, told_by)
    assert sum(asked == "?" for asked, _ in engine.asked) == calls


def test_a_language_once_known_holds_for_the_conversation(engine: FakeEngine) -> None:
    conversation = ConversationFactory(identity__locale="")
    customer_wrote("Guten Tag, ich habe eine Frage und bitte", conversation)
    refresh()
    waited()
    scoring.run(engine)
    short = customer_wrote("hm", conversation)
    refresh()
    waited()
    scoring.run(engine)
    assert (score_of(short).language, score_of(short).language_from) == ("de", "conversation")


def test_a_long_text_is_split_and_its_parts_count_by_their_length(engine: FakeEngine, settings: Any) -> None:
    settings.SENTIMENT_SPLIT_CHARACTERS = 40
    message = customer_wrote("This is bad and bad and bad and bad, ok. " + "good. " * 3)
    refresh()
    waited()
    scoring.run(engine)
    assert all(len(text) <= 40 for text in engine.asked[0][1])
    assert len(engine.asked[0][1]) == 2
    score = score_of(message)
    assert -8800 < (score.score or 0) < 0


def test_an_item_that_failed_is_asked_for_again_alone(engine: FakeEngine) -> None:
    failing, fine = customer_wrote("some bad words"), customer_wrote("some good words")
    engine.failures["some bad words"] = ItemFailed("INTERNAL_SERVER_ERROR", final=False)
    refresh()
    waited()
    scoring.run(engine)
    assert (score_of(failing).state, score_of(fine).state) == ("pending", "scored")
    engine.failures.clear()
    waited()
    scoring.run(engine)
    assert score_of(failing).state == "scored"
    assert engine.asked[1] == ("en", ["some bad words"])


def test_what_the_engine_refuses_for_good_is_not_scored(engine: FakeEngine) -> None:
    message = customer_wrote("some bad words")
    engine.failures["some bad words"] = ItemFailed("INVALID_REQUEST", final=True)
    refresh()
    waited()
    scoring.run(engine)
    assert (score_of(message).state, score_of(message).error) == ("refused", "INVALID_REQUEST")


@pytest.mark.parametrize(("failure", "least"), [(Throttled(), 2), (EngineError(), 2), (Refused(), 250)])
def test_a_call_that_fails_makes_the_texts_wait(engine: FakeEngine, failure: EngineError, least: int) -> None:
    message = customer_wrote("some bad words")
    refresh()
    waited()
    engine.trouble = [failure]
    tally = scoring.run(engine)
    score = score_of(message)
    assert (score.state, tally.stopped) == ("pending", failure.code)
    assert score.due_at > timezone.now() + timedelta(seconds=least)
    assert scoring.run(engine).calls == 0


def test_a_throttled_engine_is_asked_for_no_more_and_what_it_refused_costs_nothing(engine: FakeEngine) -> None:
    talks = [ContactFactory(conversation=ConversationFactory(identity__locale="en")) for _ in range(5)]
    Message.objects.bulk_create(customer_words(talks[number % 5], number) for number in range(200))
    while refresh().chats:  # type: ignore[union-attr]
        pass
    waited()
    engine.trouble = [Throttled()]
    tally = scoring.run(engine)
    assert (tally.stopped, engine.calls) == ("throttled", THREADS)
    spent = Spending.objects.get(operation="BatchDetectSentiment")
    assert (spent.calls, spent.documents, spent.throttled) == (THREADS - 1, 25 * (THREADS - 1), 1)
    kept = Sentiment.objects.filter(state="pending", due_at__lte=timezone.now())
    assert (kept.count(), set(kept.values_list("attempts", flat=True))) == (100, {0})


def test_what_is_left_of_a_full_pass_fills_the_batches_of_the_next(
    engine: FakeEngine, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENTIMENT_LINGER = 0
    monkeypatch.setattr(scoring, "MOST", 60)
    talks = [ContactFactory(conversation=ConversationFactory(identity__locale="en")) for _ in range(5)]
    Message.objects.bulk_create(customer_words(talks[number % 5], number) for number in range(110))
    while refresh().chats:  # type: ignore[union-attr]
        pass
    for _ in range(3):
        scoring.run(engine)
    assert [len(texts) for _, texts in engine.asked] == [25, 25, 25, 25, 10]


def test_a_full_pass_without_a_full_batch_goes_all_the_same(
    engine: FakeEngine, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SENTIMENT_LINGER = 0
    monkeypatch.setattr(scoring, "MOST", 2)
    first, second = customer_wrote("some bad words"), customer_wrote("other bad words")
    refresh()
    scoring.run(engine)
    assert {score_of(first).state, score_of(second).state} == {"scored"}


def test_above_the_cap_of_the_day_texts_wait_for_the_next(engine: FakeEngine, settings: Any) -> None:
    settings.SENTIMENT_DAILY_UNITS = 4
    first = customer_wrote("some bad words")
    refresh()
    waited()
    scoring.run(engine)
    second = customer_wrote("some good words")
    refresh()
    waited()
    tally = scoring.run(engine)
    assert (score_of(first).state, score_of(second).state) == ("scored", "pending")
    assert tally.stopped == "the cap of the day is reached"
    assert score_of(second).due_at == cost_ledger.tomorrow()
    assert cost_ledger.spent_today() == 3


def test_numbers_and_addresses_do_not_leave_the_house(engine: FakeEngine) -> None:
    customer_wrote("bad: ann@example.com, +34 600 000 001, order 12345")
    refresh()
    waited()
    scoring.run(engine)
    assert engine.asked == [("en", ["bad: #, #, order 12345"])]


def test_phrases_of_negative_messages_alone_travel_together(engine: FakeEngine) -> None:
    first, second, good = (
        customer_wrote("bad: the late parcel"),
        customer_wrote("bad: late parcel, rude agent"),
        customer_wrote("good, no late parcel"),
    )
    refresh()
    waited()
    scoring.run(engine)
    assert key_phrases.run(engine) == 1
    phrases = sorted((phrase.message_id, phrase.text) for phrase in Phrase.objects.all())
    assert phrases == sorted([(first.id, "late parcel"), (second.id, "late parcel"), (second.id, "rude agent")])
    assert good.id not in {message for message, _ in phrases}
    assert key_phrases.run(engine) == 0


def test_words_that_were_asked_about_before_take_their_phrases_over(engine: FakeEngine) -> None:
    first, twin = customer_wrote("bad: the late parcel"), customer_wrote("bad: the late parcel")
    refresh()
    waited()
    scoring.run(engine)
    assert key_phrases.run(engine) == 1
    assert engine.phrased == ["bad: the late parcel"], "the same words once"
    later, other = customer_wrote("bad: the late parcel"), customer_wrote("bad: a rude agent")
    refresh()
    waited()
    scoring.run(engine)
    assert key_phrases.run(engine) == 1
    assert engine.phrased[1:] == ["bad: a rude agent"]
    phrases = {(phrase.message_id, phrase.text) for phrase in Phrase.objects.all()}
    assert phrases == {(message.id, "late parcel") for message in (first, twin, later)} | {(other.id, "rude agent")}
    assert not Sentiment.objects.filter(phrases_due=True).exists()


def test_erased_words_leave_no_phrase_and_change_no_count(engine: FakeEngine) -> None:
    message = customer_wrote("bad: the late parcel")
    refresh()
    waited()
    scoring.run(engine)
    key_phrases.run(engine)
    refresh()
    assert Rollup.objects.filter(facet="phrase").exists()
    before = Rollup.objects.get(facet="account", grain="h").scored
    Message.objects.filter(pk=message.pk).update(text="[erased]", original=None)
    assert forget_words([message.pk]) == 2
    refresh()
    assert not Rollup.objects.filter(facet="phrase").exists()
    after = Rollup.objects.get(facet="account", grain="h")
    assert (after.scored, after.scorable) == (before, 1)
    assert score_of(message).key is None


def test_words_that_were_erased_while_they_waited_are_not_asked_for(engine: FakeEngine) -> None:
    message = customer_wrote("bad things")
    refresh()
    Message.objects.filter(pk=message.pk).update(text="[erased]", original=None)
    waited()
    scoring.run(engine)
    assert (score_of(message).state, engine.calls) == ("refused", 0)


def test_erasure_and_retention_take_phrases_along(engine: FakeEngine, settings: Any) -> None:
    message = customer_wrote("bad: the late parcel", created_at=timezone.now() - timedelta(hours=30))
    refresh()
    waited()
    scoring.run(engine)
    key_phrases.run(engine)
    assert Phrase.objects.exists()
    settings.RETAIN_WORDS_DAYS = 1
    retain(60)
    assert not Phrase.objects.exists()
    assert forget_words in erasers
    message.refresh_from_db()
    assert "parcel" not in message.text
