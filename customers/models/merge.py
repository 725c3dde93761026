"""Which customers are one person, which are not, and the codes that prove it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q

from customers.models.identity import Customer, Identity


class Merge(models.Model):
    """Two customers, as they were first made, are one person. Undone, the row stays and counts no more."""

    class Method(models.TextChoices):
        PHONE = "phone", "the same verified phone number"
        ALIAS = "alias", "the messenger gave both ids for one person"
        LINK_CODE = "link_code", "a link code from one channel came in on the other"
        ONE_TIME_CODE = "one_time_code", "a code sent to one channel was typed on the other"
        PLATFORM = "platform", "the messenger's own account linking"
        ASSERTION = "assertion", "a trusted system says so"
        PERSON = "person", "somebody decided so"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    low = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    high = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    method = models.CharField(max_length=16, choices=Method.choices)
    evidence = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=150, blank=True, help_text="Empty: Parley itself, on proof.")
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.CharField(max_length=150, blank=True)
    undo_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(low__lt=F("high")), name="merge_is_of_two"),
            models.UniqueConstraint(
                fields=["low", "high"], name="merged_once_at_a_time", condition=Q(undone_at__isnull=True)
            ),
        ]
        indexes = [
            models.Index(fields=["low"], name="merge_by_low", condition=Q(undone_at__isnull=True)),
            models.Index(fields=["high"], name="merge_by_high", condition=Q(undone_at__isnull=True)),
            models.Index(fields=["-made_at"], name="merge_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {'undone' if self.undone_at else 'in force'}"


class Apart(models.Model):
    """Somebody decided that two customers are two people: they are neither suggested nor merged by Parley itself."""

    low = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    high = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "kept apart"
        constraints = [
            models.CheckConstraint(condition=Q(low__lt=F("high")), name="apart_is_of_two"),
            models.UniqueConstraint(fields=["low", "high"], name="apart_once"),
        ]

    def __str__(self) -> str:
        return f"kept apart by {self.by}"


class LinkCode(models.Model):
    """A code that proves a second channel to be the same person's. Only a digest is kept; it works once.

    A link code is carried to the second channel by the customer, in a link. A one-time code is sent to `identity` and
    typed by `typed_by`.
    """

    class Form(models.TextChoices):
        LINK = "link"
        ONE_TIME = "one_time"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    form = models.CharField(max_length=8, choices=Form.choices, default=Form.LINK)
    digest = models.CharField(max_length=64, unique=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="link_codes")
    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    typed_by = models.ForeignKey(
        Identity, on_delete=models.CASCADE, null=True, blank=True, related_name="codes_to_type"
    )
    made_at = models.DateTimeField()
    made_by = models.CharField(max_length=150, blank=True)
    expires_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0, db_default=0)
    used_at = models.DateTimeField(null=True, blank=True)
    used_by = models.ForeignKey(Identity, on_delete=models.CASCADE, null=True, blank=True, related_name="used_codes")
    outcome = models.CharField(max_length=32, blank=True, default="", db_default="")
    merge = models.ForeignKey(Merge, on_delete=models.SET_NULL, null=True, blank=True, related_name="codes")

    class Meta:
        indexes = [
            models.Index(fields=["typed_by"], name="code_to_type", condition=Q(used_at__isnull=True)),
            models.Index(fields=["-made_at"], name="code_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.form} code, {self.outcome or 'unused'}"
