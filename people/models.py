"""Rights that belong to no single table, who read what, and the history of people and groups."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.db import models

from people.history import record


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
    """Something happened at the door: sign-ins, factors, passwords, tokens, roles. Rows are only ever added."""

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


record(User, app="people", excluded_fields=["password", "last_login"])
record(Group, app="people")
