"""Who is writing: a customer is a person, an identity is one name by which a messenger knows them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from people.privacy import masked_name


class Customer(models.Model):
    """A person, across channels.

    Each identity is born with a customer of its own, its home, and keeps it for ever. Merges tie homes together; under
    which of them a person is shown follows from the merges in force (merging.py), and so no merge destroys anything.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    display_name = models.CharField(max_length=256, blank=True)
    locale = models.CharField(max_length=35, blank=True)
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="absorbed",
        help_text="Under whose id this person is shown now: the oldest customer that merges tie this one to.",
    )
    preferred_channel = models.CharField(max_length=32, blank=True, default="", db_default="")
    facts = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="What your systems told of the customer; agents see it."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [
            ("merge_customer", "Can merge customers and undo merges"),
            ("assert_customer", "Can assert that identities are one person"),
            ("export_customer", "Can export all that is known of a customer"),
            ("erase_customer", "Can erase a customer"),
        ]
        indexes = [models.Index(fields=["-created_at"], name="customer_by_time")]

    def __str__(self) -> str:
        return masked_name(self.display_name) or f"Customer {str(self.id)[:8]}"


class Identity(models.Model):
    """One (kind, issuer, external id). The issuer is the Page for a Messenger PSID, empty where the id is global."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="identities", help_text="The person, merges considered."
    )
    home = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="born", help_text="The customer made with it. Never changes."
    )
    kind = models.CharField(max_length=32)
    issuer = models.CharField(max_length=128, blank=True)
    external_id = models.CharField(max_length=256)
    display_name = models.CharField(max_length=256, blank=True)
    name_key = models.CharField(max_length=256, blank=True, default="", db_default="", editable=False)
    handle = models.CharField(max_length=128, blank=True)
    picture_url = models.URLField(max_length=2048, blank=True)
    locale = models.CharField(max_length=35, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    suppressed_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when nothing is sent here. The customer's next message lifts it."
    )
    suppressed_by = models.CharField(max_length=32, blank=True, default="", db_default="")

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["kind", "issuer", "external_id"], name="identity_is_unique"),
        ]
        indexes = [
            models.Index(fields=["name_key"], name="identity_by_name", condition=~Q(name_key="")),
            models.Index(Lower("handle"), name="identity_by_handle", condition=~Q(handle="")),
            models.Index(fields=["-created_at"], name="identity_by_time"),
        ]

    def __str__(self) -> str:
        return masked_name(self.display_name or self.handle) or f"{self.kind} {str(self.id)[:8]}"


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


class PhoneHolder(models.Model):
    """The identity that first proved a phone number, on whatever channel.

    Of two channels that bring the same number at once, the unique index lets one be first; the other finds it here.
    """

    value = models.CharField(max_length=32, unique=True)
    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="phones")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"phone of {self.identity_id}"


class IdentityHint(models.Model):
    """Something that several identities may share, and so no proof: a number or address that somebody typed."""

    class Type(models.TextChoices):
        PHONE = "phone", "phone number, as typed"
        EMAIL = "email", "e-mail address, as typed"
        PARENT = "parent_bsuid", "WhatsApp id above several businesses"

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="hints")
    type = models.CharField(max_length=16, choices=Type.choices)
    value = models.CharField(max_length=256)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["type", "value", "identity"], name="hint_is_unique")]

    def __str__(self) -> str:
        return f"{self.type} told by {self.identity_id}"


class IdentityChange(models.Model):
    """Something about an identity was one thing and became another, and who said so."""

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="changes")
    field = models.CharField(max_length=16)
    old = models.CharField(max_length=2048, blank=True)
    new = models.CharField(max_length=2048, blank=True)
    source = models.CharField(max_length=32, help_text="webhook: the messenger's own; profile: we asked for it.")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["identity", "-at"], name="change_by_identity")]

    def __str__(self) -> str:
        return f"{self.field} of {self.identity_id}"
