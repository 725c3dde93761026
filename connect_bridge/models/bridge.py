"""Which bridge processes run, and how fast Amazon Connect lets all of them call."""

from __future__ import annotations

import uuid

from django.db import models


class Bridge(models.Model):
    """One running bridge process. It owns the conversations that name it for as long as its heart beats."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"bridge {self.pid} on {self.host}"


class ConnectPace(models.Model):
    """How many calls a second Connect took of one operation, of all bridges together, when it last said "too fast"."""

    instance_id = models.CharField(max_length=100)
    operation = models.CharField(max_length=32)
    rate = models.FloatField()
    cut_at = models.DateTimeField()
    until = models.DateTimeField(help_text="No call before this, as Connect asked.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance_id", "operation"], name="one_pace")]

    def __str__(self) -> str:
        return f"{self.operation} at {self.rate:g}/s"
