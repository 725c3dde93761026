"""What was concluded from conversations. Most of it can be made again from the messages."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from analytics.measures import MEASURES
from connect_bridge.models import Contact, Message


class Sentiment(models.Model):
    """The score of one customer message. `score` is P(positive) - P(negative) in 1/10,000.

    `key` is a keyed digest of the text: what was scored once is known by it and costs nothing a second time.
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
        return max(self.positive or 0, self.negative or 0, self.neutral or 0, self.mixed or 0) < 0.5  # noqa: PLR2004 - half


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


class ContactDetail(models.Model):
    """What Amazon Connect's own contact events told about a chat. They come unordered, late, twice, or not at all."""

    contact = models.OneToOneField(Contact, on_delete=models.CASCADE, primary_key=True, related_name="detail")
    queue = models.CharField(max_length=256, blank=True)
    queued_at = models.DateTimeField(null=True, blank=True, help_text="When it first waited.")
    queue_told_at = models.DateTimeField(null=True, blank=True, help_text="When it was put into the queue that counts.")
    agent = models.CharField(max_length=256, blank=True)
    agent_at = models.DateTimeField(null=True, blank=True, help_text="When the first agent took it.")
    agent_told_at = models.DateTimeField(null=True, blank=True, help_text="When the agent who counts took it.")
    disconnected_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, help_text="After-contact work is over.")
    reason = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"detail of {self.contact_id}"


class QueueNow(models.Model):
    """What GetCurrentMetricData last said about a queue."""

    instance_id = models.CharField(max_length=100)
    queue_id = models.CharField(max_length=256)
    waiting = models.IntegerField(null=True, blank=True)
    oldest_seconds = models.FloatField(null=True, blank=True)
    agents_available = models.IntegerField(null=True, blank=True)
    slots_available = models.IntegerField(null=True, blank=True)
    estimated_wait = models.FloatField(null=True, blank=True, help_text="Seconds.")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance_id", "queue_id"], name="queue_now_is_unique")]

    def __str__(self) -> str:
        return f"queue {self.queue_id}"


class Change(models.Model):
    """Something of this chat, or of a conversation outside any chat, changed: what was concluded is out of date.

    Written by triggers of the database in the transaction of the change itself, so none is missed, whoever wrote.
    """

    id = models.BigAutoField(primary_key=True)
    conversation_id = models.UUIDField()
    contact_id = models.UUIDField(null=True, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"change {self.id}"


class ChatFact(models.Model):
    """What one chat (or a conversation's messages outside any chat) adds to the rollups, and its own numbers.

    `counted` is exactly what was added: when the chat changes, it is taken away again and the new one added.
    """

    unit = models.UUIDField(primary_key=True, help_text="The contact's id; the conversation's outside any chat.")
    conversation_id = models.UUIDField()
    contact_id = models.UUIDField(null=True, blank=True)
    account_id = models.UUIDField()
    queue = models.CharField(max_length=256, blank=True)
    agent = models.CharField(max_length=256, blank=True)
    language = models.CharField(max_length=16, blank=True)
    started_at = models.DateTimeField()
    last_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    rating = models.IntegerField(null=True, blank=True)
    lowest = models.IntegerField(null=True, blank=True)
    lowest_message = models.UUIDField(null=True, blank=True)
    shift = models.IntegerField(null=True, blank=True)
    scored = models.IntegerField(default=0)
    first_response_ms = models.BigIntegerField(null=True, blank=True)
    handle_ms = models.BigIntegerField(null=True, blank=True)
    waiting_since = models.DateTimeField(null=True, blank=True, help_text="The oldest word that has no answer.")
    outcome = models.CharField(max_length=16, blank=True, help_text="handled, abandoned, deflected, contained or open.")
    counted = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["started_at"], name="fact_by_start"),
            models.Index(fields=["last_at"], name="fact_by_end"),
            models.Index(fields=["rating"], name="fact_open", condition=models.Q(ended_at=None)),
            # The order of lists of chats, the lowest rated first.
            models.Index(models.F("rating").asc(nulls_last=True), models.F("started_at").desc(), name="fact_by_rating"),
        ]

    def __str__(self) -> str:
        return f"facts of {self.unit}"


class Rollup(models.Model):
    """Sums of an hour or a day, of one account and one value of one facet. See measures.py for what each sum means."""

    class Grain(models.TextChoices):
        HOUR = "h"
        DAY = "d"

    class Facet(models.TextChoices):
        ACCOUNT = "account"
        QUEUE = "queue"
        AGENT = "agent"
        LANGUAGE = "language"
        PHRASE = "phrase"
        CODE = "code"

    id = models.BigAutoField(primary_key=True)
    grain = models.CharField(max_length=1, choices=Grain.choices)
    facet = models.CharField(max_length=8, choices=Facet.choices)
    at = models.DateTimeField()
    account_id = models.UUIDField()
    value = models.CharField(max_length=256, blank=True)

    class Meta:
        permissions = [("see_agents", "May see dashboards agent by agent")]
        constraints = [
            models.UniqueConstraint(fields=["grain", "facet", "at", "account_id", "value"], name="rollup_is_unique")
        ]

    def __str__(self) -> str:
        return f"{self.facet} {self.at:%Y-%m-%d %H}"


for _name in MEASURES:
    Rollup.add_to_class(_name, models.BigIntegerField(default=0, db_default=0))


class RollupBin(models.Model):
    """One bin of one digest of a rollup: how many durations fell into it."""

    rollup = models.ForeignKey(Rollup, on_delete=models.CASCADE, related_name="bins", db_index=False)
    digest = models.SmallIntegerField()
    bin = models.SmallIntegerField()
    count = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollup", "digest", "bin"], name="bin_is_unique")]

    def __str__(self) -> str:
        return f"bin {self.bin}"


class RollupState(models.Model):
    """How far the rollups are, in one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    zone = models.CharField(max_length=64)
    fresh_at = models.DateTimeField(null=True, blank=True, help_text="Everything that was committed before is counted.")
    version = models.BigIntegerField(default=0)
    rebuild_of = models.BigIntegerField(default=0, help_text="Chats of the rebuild that is under way; 0: none is.")

    def __str__(self) -> str:
        return f"rollups in {self.zone}"


class SavedView(models.Model):
    """A dashboard as somebody set it: the query of its URL, for themselves or for all."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="views")
    name = models.CharField(max_length=80)
    page = models.CharField(max_length=32, default="overview")
    query = models.CharField(max_length=1000, blank=True)
    shared = models.BooleanField(default=False, help_text="Everybody who may see dashboards finds it.")
    pinned = models.BooleanField(default=False, help_text="It opens when its owner comes without a choice.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="view_name_is_unique"),
            models.UniqueConstraint(fields=["owner", "page"], name="one_pinned_view", condition=models.Q(pinned=True)),
        ]

    def __str__(self) -> str:
        return self.name


class Export(models.Model):
    """Somebody took numbers or rows out of the house. Written before the first byte leaves."""

    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=150)
    what = models.CharField(max_length=100)
    query = models.CharField(max_length=1000, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-at"], name="export_by_time")]

    def __str__(self) -> str:
        return f"{self.what} by {self.by}"


class AlertRule(models.Model):
    """Somebody wants to be told when a number is out of bounds. See alerts.py for how the state changes.

    Limits are in the metric's unit: shares 0 … 1, ratings -1 … +1, milliseconds.
    """

    class Side(models.TextChoices):
        ABOVE = "above", "at or above"
        BELOW = "below", "at or below"

    class State(models.TextChoices):
        NORMAL = "normal"
        PENDING = "pending"
        FIRING = "firing"
        NO_DATA = "no_data", "no data"
        ERROR = "error"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=80)
    metric = models.CharField(max_length=32)
    query = models.CharField(max_length=500, blank=True, help_text="Filters, as in a dashboard's address.")
    hours = models.SmallIntegerField(default=1, help_text="Hours that are looked at, the running one among them.")
    side = models.CharField(max_length=8, choices=Side.choices, default=Side.ABOVE)
    threshold = models.FloatField()
    clears_at = models.FloatField(null=True, blank=True)
    minimum = models.IntegerField(default=10, help_text="With fewer it neither fires nor clears.")
    deviations = models.FloatField(
        default=0, help_text="And so many robust deviations off this hour of the week; 0: any."
    )
    evaluations = models.SmallIntegerField(default=2, help_text="So many times in a row, a minute apart.")
    tell_no_data = models.BooleanField(default=False)
    emails = models.TextField(blank=True, help_text="One address a line.")
    webhook_url = models.URLField(max_length=500, blank=True)
    sns_topic = models.CharField(max_length=256, blank=True)
    enabled = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.NORMAL)
    since = models.DateTimeField(null=True, blank=True)
    streak = models.SmallIntegerField(default=0)
    value = models.FloatField(null=True, blank=True)
    n = models.BigIntegerField(default=0)
    evaluated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class AlertEvent(models.Model):
    """A rule's state changed so that somebody is to be told. `told` says by which way, `trouble` by which not."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    state = models.CharField(max_length=8, choices=AlertRule.State.choices)
    value = models.FloatField(null=True, blank=True)
    n = models.BigIntegerField(default=0)
    told = models.JSONField(default=list)
    trouble = models.CharField(max_length=300, blank=True)
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True, help_text="None: everybody is told, or it is given up.")

    class Meta:
        indexes = [
            models.Index(fields=["rule", "-at"], name="alert_event_by_time"),
            models.Index(fields=["due_at"], name="alert_event_due", condition=models.Q(due_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.state} at {self.at:%Y-%m-%d %H:%M}"


class Report(models.Model):
    """Numbers that go out by e-mail by themselves, every day or once a week, at an hour of the organisation's zone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reports")
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=500, blank=True)
    emails = models.TextField(help_text="One address a line.")
    weekday = models.SmallIntegerField(null=True, blank=True, help_text="0 is Monday; empty: every day.")
    hour = models.SmallIntegerField(default=7)
    sent_at = models.DateTimeField(null=True, blank=True)
    trouble = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name
