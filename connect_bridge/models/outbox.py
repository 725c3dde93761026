"""What is on its way to the messengers, under which ids it was sent, and which account has to wait."""

from __future__ import annotations

import uuid

from django.db import models

from channels_app.models import ChannelAccount
from connect_bridge.models.conversation import Conversation, Message


class OutboxEntry(models.Model):
    """One send to a messenger: a whole message or, when that is too long for the messenger, one part of it.

    Claimed by a conditional UPDATE that sets `claimed_until`; who dies holding a claim leaves it `uncertain`, because
    the provider may have taken the message. Entries of one conversation go out in order of (sequence, part).
    """

    class State(models.TextChoices):
        PENDING = "pending"
        CLAIMED = "claimed"
        ACCEPTED = "accepted"
        DEAD = "dead"
        UNCERTAIN = "uncertain"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="outbox")
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="outbox")
    sequence = models.BigIntegerField()
    part = models.SmallIntegerField(default=0)
    text = models.TextField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.PENDING)
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    claimed_by = models.CharField(max_length=100, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    provider_message_ids = models.JSONField(default=list, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    provider_code = models.CharField(max_length=64, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    possible_duplicate = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It was sent again although the first attempt may have arrived: the customer may have it twice.",
    )
    passes_pause = models.BooleanField(
        default=False, db_default=False, help_text="It tells of the pause, so it goes out in it."
    )
    looks = models.SmallIntegerField(default=0, db_default=0, help_text="How often the messenger was asked for it.")
    look_at = models.DateTimeField(null=True, blank=True, help_text="When an uncertain one is looked for next.")
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "outbox entries"
        constraints = [models.UniqueConstraint(fields=["message", "part"], name="part_is_unique")]
        indexes = [
            models.Index(
                fields=["conversation", "sequence", "part"],
                name="outbox_open",
                condition=models.Q(state__in=["pending", "claimed"]),
            ),
            models.Index(fields=["due_at"], name="outbox_due", condition=models.Q(state__in=["pending", "claimed"])),
            models.Index(fields=["look_at"], name="outbox_in_doubt", condition=models.Q(state="uncertain")),
            models.Index(fields=["-created_at"], name="outbox_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.sequence}.{self.part}"


class AccountPause(models.Model):
    """A messenger said "too fast" to one conversation: until then nothing of the same account is sent.

    A table of its own, because a change of the account's row makes every worker build its channel anew.
    """

    account = models.OneToOneField(ChannelAccount, on_delete=models.CASCADE, primary_key=True, related_name="pause")
    since = models.DateTimeField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"pause of {self.account_id}"


class SentId(models.Model):
    """The provider's id of something that we sent: how receipts and echoes find it."""

    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT)
    provider_message_id = models.CharField(max_length=256)
    entry = models.ForeignKey(OutboxEntry, on_delete=models.CASCADE, related_name="sent_ids")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "provider_message_id"], name="sent_id_is_unique")]

    def __str__(self) -> str:
        return f"sent id of {self.entry_id}"
