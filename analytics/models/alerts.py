"""Rules that watch a number, what became of them, and reports by e-mail."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class AlertRule(models.Model):
    """Watches a number, and notifies people when it is out of bounds. See alerts/rules.py for how the state changes.

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
    """A change of a rule's state that people are notified of. `told`: by which channels; `trouble`: what failed."""

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
    """Numbers that are sent by e-mail every day or once a week, at an hour of the organisation's zone."""

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
