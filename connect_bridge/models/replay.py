"""What people gave another try."""

from __future__ import annotations

import uuid

from django.db import models


class Replay(models.Model):
    """Something that failed was given another try because a person said so. `rows` are the ids of what was touched."""

    class Verb(models.TextChoices):
        RETRY = "retry", "delivery to customers, again"
        REPROCESS = "reprocess", "webhooks, read again"
        RELAY = "relay", "customers' messages, to Amazon Connect again"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    verb = models.CharField(max_length=16, choices=Verb.choices)
    asked = models.JSONField(help_text="What was chosen, as it was asked for.")
    counts = models.JSONField(help_text="What came of it.")
    rows = models.JSONField(help_text="Outbox entries that were set pending, or deliveries that were read again.")

    class Meta:
        indexes = [models.Index(fields=["-at"], name="replay_by_time")]

    def __str__(self) -> str:
        return f"{self.verb} by {self.by}"
