"""Scores and key phrases of customers' messages, and what the engine costs."""

from __future__ import annotations

from django.db import models

from analytics.thresholds import SURE
from connect_bridge.models import Message


class Sentiment(models.Model):
    """The score of one customer message. `score` is P(positive) - P(negative) in 1/SCALE (see thresholds.py).

    `key` is a keyed digest of the text: a text that was scored before is found by it and not paid for again.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        SCORED = "scored"
        UNSUPPORTED = "unsupported", "not scored: the engine does not know the language"
        REFUSED = "refused", "not scored: the engine refused the text"

    class Label(models.TextChoices):
        NEGATIVE = "negative"
        NEUTRAL = "neutral"
        MIXED = "mixed"
        POSITIVE = "positive"

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="sentiment")
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    language = models.CharField(max_length=16, blank=True)
    language_from = models.CharField(max_length=16, blank=True, help_text="Who told the language.")
    label = models.CharField(max_length=8, choices=Label.choices, blank=True)
    score = models.IntegerField(null=True, blank=True)
    positive = models.FloatField(null=True, blank=True)
    negative = models.FloatField(null=True, blank=True)
    neutral = models.FloatField(null=True, blank=True)
    mixed = models.FloatField(null=True, blank=True)
    engine = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=64, blank=True)
    key = models.UUIDField(null=True, blank=True)
    phrases_due = models.BooleanField(default=False, help_text="Its key phrases are still to be asked for.")
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    scored_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=100, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="sentiment_pending", condition=models.Q(state="pending")),
            models.Index(fields=["key"], name="sentiment_by_key", condition=models.Q(state="scored")),
            models.Index(fields=["due_at"], name="sentiment_phrases", condition=models.Q(phrases_due=True)),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.label}".strip()

    @property
    def unsure(self) -> bool:
        """Whether no label has half of the probability."""
        return max(self.positive or 0, self.negative or 0, self.neutral or 0, self.mixed or 0) < SURE


class Phrase(models.Model):
    """A key phrase of a negative message, in small letters."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="phrases")
    text = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "text"], name="phrase_is_unique")]

    def __str__(self) -> str:
        return f"phrase of {self.message_id}"


class Spending(models.Model):
    """What the engine was asked on one day (UTC), and what it costs. A unit is 100 characters."""

    day = models.DateField()
    operation = models.CharField(max_length=40)
    calls = models.BigIntegerField(default=0)
    documents = models.BigIntegerField(default=0)
    units = models.BigIntegerField(default=0)
    throttled = models.BigIntegerField(default=0)
    reused = models.BigIntegerField(default=0, help_text="Texts that had been scored before: not asked for again.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "operation"], name="spending_is_unique")]

    def __str__(self) -> str:
        return f"{self.operation} on {self.day}"
