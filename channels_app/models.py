"""What messengers brought, and the accounts it came to."""

from __future__ import annotations

import uuid
from typing import Any
from zlib import crc32

from django.db import models

from channels_app import reply_occasions
from channels_app.fields import EncryptedJSONField, TableChoiceField
from people.history import Recorded

#: How many groups of conversations the bridges share out among themselves while they read the intake.
SHARDS = 64


class ChannelAccount(models.Model):
    """Our own Page, handle or number. `kind` names a file in providers/: it has no choices, so no migration either."""

    class WhenUncertain(models.TextChoices):
        ASK = "ask", "leave it to a person: the customer may miss it"
        RESEND = "resend", "send it once more: the customer may get it twice"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    name = models.CharField(max_length=100, help_text="How your team calls it.")
    address = models.CharField(max_length=128, editable=False, help_text="Our id at the provider: Page, user, number.")
    credentials = EncryptedJSONField()
    former_credentials = EncryptedJSONField(null=True, blank=True)
    former_credentials_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then webhooks signed with the replaced credentials are still taken."
    )
    enabled = models.BooleanField(default=True)
    when_uncertain = models.CharField(
        max_length=8,
        choices=WhenUncertain.choices,
        default=WhenUncertain.ASK,
        db_default=WhenUncertain.ASK,
        help_text="What to do with a message that may have arrived or not, when the messenger cannot tell.",
    )
    connect_instance_id = models.CharField(
        max_length=100, blank=True, help_text="Empty: CONNECT_INSTANCE_ID from the settings."
    )
    connect_contact_flow_id = models.CharField(
        max_length=500, blank=True, help_text="Empty: CONNECT_CONTACT_FLOW_ID from the settings."
    )
    holding_reply = models.CharField(
        max_length=1000,
        blank=True,
        default="",
        db_default="",
        help_text=reply_occasions.HOLDING.help,
    )
    redact = models.BooleanField(
        default=False,
        db_default=False,
        verbose_name="take out card numbers",
        help_text="Card, bank account and social security numbers that customers write are replaced before anything is"
        " stored. Agents do not see them either.",
    )
    attributes = models.JSONField(default=dict, blank=True, help_text="Contact attributes that every chat starts with.")
    paused_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since then nothing goes either way; all of it is kept."
    )
    pause_reply = models.CharField(
        max_length=1000,
        blank=True,
        default="",
        db_default="",
        help_text=reply_occasions.PAUSED.help,
    )
    hours = models.ForeignKey(
        "BusinessHours",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="accounts",
        help_text="Empty: always open.",
    )
    closed_starts_chat = models.BooleanField(
        default=True,
        db_default=True,
        help_text="Outside the hours chats start all the same, and the contact flow decides. Otherwise messages wait.",
    )
    default_language = models.CharField(
        max_length=10, default="en", db_default="en", help_text="Of replies to customers whose language is not known."
    )
    queue_delay_minutes = models.PositiveSmallIntegerField(
        default=3, db_default=3, help_text="After so long without an agent the reply for that occasion is sent."
    )
    live_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a message first went all the way round."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    history = Recorded(
        excluded_fields=["credentials", "former_credentials", "former_credentials_until", "created_at", "updated_at"]
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "address"], name="account_is_unique")]

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    def __repr__(self) -> str:
        return f"<ChannelAccount {self.id} {self.kind}>"


class BusinessHours(models.Model):
    """A week of opening hours, for any number of accounts. Times are local to the zone."""

    name = models.CharField(max_length=100, unique=True)
    zone = models.CharField(max_length=64, default="UTC", help_text="For example Europe/Madrid.")
    week = models.JSONField(default=dict, help_text="The spans of each day.")

    history = Recorded()

    class Meta:
        verbose_name_plural = "business hours"

    def __str__(self) -> str:
        return self.name


class Holiday(models.Model):
    """A date that is otherwise than the week says."""

    hours = models.ForeignKey(BusinessHours, on_delete=models.CASCADE, related_name="holidays")
    day = models.DateField()
    name = models.CharField(max_length=100, blank=True)
    spans = models.JSONField(default=list, blank=True, help_text="Open meanwhile; none: closed all day.")

    history = Recorded()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hours", "day"], name="holiday_is_unique")]
        ordering = ["day"]

    def __str__(self) -> str:
        return f"{self.day} {self.name}".strip()


#: The choices that migration 0008 wrote down.
_OCCASIONS_OF_0008 = [
    ("greeting", "a chat begins"),
    ("closed", "somebody writes outside the hours"),
    ("queue_delay", "no agent has come yet"),
    ("media", "somebody sends what the chat cannot show"),
]


class AutoReply(models.Model):
    """What customers are told without a person, on one occasion (reply_occasions.py), in one language. Each once."""

    account = models.ForeignKey(ChannelAccount, on_delete=models.CASCADE, related_name="replies")
    occasion = TableChoiceField(max_length=16, choices=reply_occasions.choices(), migrated=_OCCASIONS_OF_0008)
    language = models.CharField(max_length=10, default="en", help_text="en, es, pt-BR …")
    text = models.CharField(max_length=1000)

    history = Recorded()

    class Meta:
        verbose_name_plural = "automatic replies"
        constraints = [models.UniqueConstraint(fields=["account", "occasion", "language"], name="reply_is_unique")]

    def __str__(self) -> str:
        return f"{self.get_occasion_display()} ({self.language})"


class RoutingRule(models.Model):
    """Where a chat goes whose first message has one of these words. The first rule that fits decides."""

    account = models.ForeignKey(ChannelAccount, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveSmallIntegerField(default=1)
    words = models.CharField(max_length=500, help_text="Separated by commas; whole words, in any case.")
    connect_contact_flow_id = models.CharField(max_length=500, blank=True, help_text="Empty: the account's.")
    attributes = models.JSONField(default=dict, blank=True, help_text="Contact attributes, besides the account's.")
    enabled = models.BooleanField(default=True)

    history = Recorded()

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return f"{self.position}: {self.words}"


class StoredSecret(models.Model):
    """When a credential was set and by whom, and its last characters, to tell it by: never itself."""

    account = models.ForeignKey(ChannelAccount, on_delete=models.CASCADE, related_name="secrets")
    key = models.CharField(max_length=64)
    tail = models.CharField(max_length=4, blank=True)
    set_at = models.DateTimeField()
    set_by = models.CharField(max_length=150)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="secret_is_unique")]

    def __str__(self) -> str:
        return f"{self.key} of {self.account_id}"


class SetupDraft(models.Model):
    """An account that is being set up and whose credentials are not complete. Its id becomes the account's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    name = models.CharField(max_length=100, blank=True)
    credentials = EncryptedJSONField(default=dict)
    by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name or f"a draft for {self.kind}"


class AccountHealth(models.Model):
    """What is known of an account besides its row: rejected webhooks, its provider's answers, its test.

    A table of its own, because a change of the account's row makes every worker build its channel anew.
    """

    account = models.OneToOneField(ChannelAccount, on_delete=models.CASCADE, primary_key=True, related_name="health")
    handshake_at = models.DateTimeField(null=True, blank=True, help_text="When the provider's check was answered.")
    rejected_at = models.DateTimeField(null=True, blank=True, help_text="When a request was last turned away.")
    rejected_code = models.CharField(max_length=64, blank=True, default="", db_default="")
    points = models.JSONField(default=list, help_text="What the provider said, point by point.")
    points_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When a token or permission ends.")
    test_code = models.CharField(max_length=16, blank=True, default="", db_default="")
    test_began_at = models.DateTimeField(null=True, blank=True)
    news = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="What the provider last told of the account."
    )
    news_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"health of {self.account_id}"


class WebhookDelivery(models.Model):
    """One signed request as it arrived. `body` is the raw bytes; a quarantined one can be replayed."""

    class State(models.TextChoices):
        ACCEPTED = "accepted"
        DUPLICATE = "duplicate"
        IGNORED = "ignored"
        QUARANTINED = "quarantined"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, related_name="deliveries")
    received_at = models.DateTimeField()
    request_id = models.CharField(max_length=64)
    headers = models.JSONField(default=dict)
    query = models.TextField(blank=True)
    body = models.BinaryField()
    state = models.CharField(max_length=16, choices=State.choices)
    reason = models.CharField(max_length=200, blank=True)
    polled = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It did not come by itself: we asked the provider for what we had missed.",
    )

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["account", "-received_at"], name="delivery_by_account"),
            models.Index(fields=["-received_at"], name="delivery_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.request_id}"


class InboundEntry(models.Model):
    """One event out of a delivery, once. The bridge takes pending ones in order of `id`, shard by shard.

    `shard` is a hash of account and sender: the entries of one conversation are always in one shard, and one bridge at
    a time works on a shard.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        PARKED = "parked"  # a receipt for a message that we do not know yet
        QUARANTINED = "quarantined"

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, related_name="entries")
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.PROTECT, related_name="entries")
    key = models.CharField(max_length=255)
    type = models.CharField(max_length=16)
    sender = models.CharField(max_length=256)
    shard = models.SmallIntegerField()
    event = models.JSONField()
    state = models.CharField(max_length=16, choices=State.choices)
    outcome = models.CharField(max_length=200, blank=True)
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "inbound entries"
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="entry_is_unique")]
        indexes = [
            models.Index(fields=["shard", "id"], name="entry_pending", condition=models.Q(state="pending")),
            models.Index(fields=["due_at"], name="entry_parked", condition=models.Q(state="parked")),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.state}"


class ChannelLog(models.Model):
    """One call to a provider's API, without query, headers or body."""

    account = models.ForeignKey(ChannelAccount, on_delete=models.CASCADE, related_name="log")
    outbox_entry = models.UUIDField(null=True, blank=True, db_index=True)
    at = models.DateTimeField(auto_now_add=True)
    method = models.CharField(max_length=8)
    host = models.CharField(max_length=255)
    path = models.CharField(max_length=1024)
    status = models.SmallIntegerField()
    seconds = models.FloatField()
    error = models.CharField(max_length=100, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["account", "-at"], name="log_by_account"),
            models.Index(fields=["-at"], name="log_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.host} {self.status}"


class InboundCheck(models.Model):
    """How an account's provider was last asked for what it did not deliver, and whether it still delivers."""

    account = models.OneToOneField(ChannelAccount, on_delete=models.CASCADE, primary_key=True, related_name="check_up")
    checked_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(help_text="When the provider is asked next.")
    complete_until = models.DateTimeField(
        null=True, blank=True, help_text="What customers wrote up to then has been compared with the provider's list."
    )
    found = models.BigIntegerField(default=0, help_text="Messages that came only because we asked, in all.")
    trouble = models.CharField(max_length=500, blank=True, help_text="What the provider, or our credentials, lack.")
    refused = models.BooleanField(
        default=False, help_text="Our credentials are refused: asked seldom until they are saved anew."
    )

    def __str__(self) -> str:
        return f"check of {self.account}"


def shard_of(account: Any, sender: str) -> int:
    """Return the shard of a conversation, 0 to 63: stable across processes and versions of Python."""
    return crc32(f"{account}/{sender}".encode()) % SHARDS
