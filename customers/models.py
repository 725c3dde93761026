"""Who is writing: a customer is a person, an identity is one name by which a messenger knows them."""

from __future__ import annotations

import uuid

from django.db import models


class Customer(models.Model):
    """A person, across channels. Merging links identities to another customer; it never deletes a row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    display_name = models.CharField(max_length=256, blank=True)
    locale = models.CharField(max_length=35, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.display_name or f"Customer {str(self.id)[:8]}"


class Identity(models.Model):
    """One (kind, issuer, external id). The issuer is the Page for a Messenger PSID, empty where the id is global."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="identities")
    kind = models.CharField(max_length=32)
    issuer = models.CharField(max_length=128, blank=True)
    external_id = models.CharField(max_length=256)
    display_name = models.CharField(max_length=256, blank=True)
    handle = models.CharField(max_length=128, blank=True)
    picture_url = models.URLField(max_length=2048, blank=True)
    locale = models.CharField(max_length=35, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["kind", "issuer", "external_id"], name="identity_is_unique"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.handle or f"{self.kind} {str(self.id)[:8]}"


class IdentityAlias(models.Model):
    """Another stable id of the same person on the same messenger, e.g. WhatsApp's phone and business-scoped id."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="aliases")
    kind = models.CharField(max_length=32)
    issuer = models.CharField(max_length=128, blank=True)
    type = models.CharField(max_length=16)
    value = models.CharField(max_length=256)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "identity aliases"
        constraints = [
            models.UniqueConstraint(fields=["kind", "issuer", "type", "value"], name="alias_is_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.identity_id}"
