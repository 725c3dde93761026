"""Rights that belong to no single table, who read what, and the history of people and groups."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.db import models
from django.utils import timezone

from people.history import note, record


class Right(models.Model):  # noqa: DJ008 - has no rows
    """A place for permissions that are not about the rows of one model. It has no rows of its own."""

    class Meta:
        default_permissions = ()
        permissions = [
            ("read_transcripts", "May read what customers and agents wrote"),
            ("read_redacted", "May read it with numbers, addresses and links hidden"),
            ("use_dashboards", "May see the dashboards"),
            ("manage_alerts", "May set alerts and saved views"),
            ("export", "May export figures and transcripts"),
            ("view_audit", "May see who changed and read what"),
            ("rotate_secrets", "May encrypt the stored secrets anew"),
            ("manage_retention", "May say how long data is kept, and erase it"),
        ]


class TranscriptRead(models.Model):
    """Somebody was shown what a customer or an agent wrote. Rows are only ever added."""

    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=150)
    what = models.CharField(max_length=64, help_text="The kind of row: conversation, message, customer …")
    object_id = models.CharField(max_length=64)

    class Meta:
        indexes = [models.Index(fields=["-at"], name="read_by_time")]

    def __str__(self) -> str:
        return f"{self.by} read {self.what} {self.object_id}"


class SecurityEvent(models.Model):
    """A security event: sign-ins, factors, passwords, tokens, roles. Rows are only ever added."""

    at = models.DateTimeField(auto_now_add=True)
    event = models.CharField(max_length=32)
    about = models.CharField(max_length=150, blank=True, help_text="The user it is about, if it is a known one.")
    digest = models.CharField(max_length=16, blank=True, help_text="Stands for the name that somebody typed.")
    by = models.CharField(max_length=150, blank=True, help_text="Whoever was signed in and did it.")
    address = models.GenericIPAddressField(null=True, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["-at"], name="security_by_time")]

    def __str__(self) -> str:
        return f"{self.event} {self.about or self.digest}"

    @property
    def words(self) -> str:
        return self.event.replace("_", " ")


class ApiToken(models.Model):
    """What opens the API in somebody's name. The token itself is not kept, only a digest; rows stay after its end."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    shown = models.CharField("begins with", max_length=16, editable=False)
    proven = models.BooleanField(
        "made with a second factor", default=False, help_text="Or by whoever runs the machine: manage.py createtoken."
    )
    made_at = models.DateTimeField(auto_now_add=True)
    made_by = models.CharField(max_length=150, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name = "API token"
        default_permissions = ()  # who may see or change a person sees and ends theirs

    def __str__(self) -> str:
        return f"{self.name} ({self.shown}…)"

    def __repr__(self) -> str:
        return f"<ApiToken {self.pk}>"

    def delete(self, *_: Any, **__: Any) -> tuple[int, dict[str, int]]:
        """End it and keep the row, which says who ended it. It goes with its owner."""
        if self.ended_at is None:
            self.ended_at, self.ended_because = timezone.now(), "on its owner's page"
            self.save(update_fields=["ended_at", "ended_because"])
            note(self.owner, f"API token “{self.name}” ({self.shown}…) ended")
            self.owner.save()
        return 0, {}


record(User, app="people", excluded_fields=["password", "last_login"])
record(Group, app="people")
