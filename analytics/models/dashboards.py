"""Saved views, and the record of exports."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """The query of a dashboard's URL under a name, for its owner or for everybody."""

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
    """Somebody exported numbers or rows. Written before the first byte is sent."""

    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=150)
    what = models.CharField(max_length=100)
    query = models.CharField(max_length=1000, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-at"], name="export_by_time")]

    def __str__(self) -> str:
        return f"{self.what} by {self.by}"
