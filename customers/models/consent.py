"""What customers allow, and what was done for their privacy."""

from __future__ import annotations

import uuid

from django.db import models

from customers.models.identity import Customer, Identity


class Consent(models.Model):
    """A customer allowed or forbade one purpose on one channel. Rows are only added: the newest counts."""

    class Purpose(models.TextChoices):
        REPLY = "reply", "answers to what they wrote"
        TRANSACTIONAL = "transactional", "news of their own business with us"
        MARKETING = "marketing", "offers"
        INVITATION = "invitation", "an invitation from a phone call to a messenger"

    id = models.BigAutoField(primary_key=True)
    identity = models.ForeignKey(Identity, on_delete=models.PROTECT, related_name="consents")
    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    granted = models.BooleanField()
    source = models.CharField(max_length=32, help_text="customer, messenger, api, person")
    topic = models.CharField(max_length=64, blank=True, help_text="STOP, START, block, or whatever was said.")
    evidence = models.JSONField(default=dict, blank=True)
    by = models.CharField(max_length=150, blank=True)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["identity", "purpose", "-at", "-id"], name="consent_newest"),
            models.Index(fields=["-at"], name="consent_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} {'granted' if self.granted else 'withdrawn'}"


class PrivacyRequest(models.Model):
    """A person's data was exported or erased: who did it, when, and how much it was. Nothing of the data itself."""

    class Verb(models.TextChoices):
        EXPORT = "export"
        ERASE = "erase"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    verb = models.CharField(max_length=8, choices=Verb.choices)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="privacy_requests")
    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300, blank=True)
    counts = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["-at"], name="privacy_by_time")]

    def __str__(self) -> str:
        return f"{self.verb} by {self.by}"


class Tombstone(models.Model):
    """An id of somebody who was erased, as a keyed digest: what they wrote before then is not taken in again."""

    digest = models.CharField(max_length=64, primary_key=True)
    erased_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"erased {self.erased_at:%Y-%m-%d}"
