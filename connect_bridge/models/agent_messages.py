"""What is said without a person: to customers automatically, to agents about their chat."""

from __future__ import annotations

import uuid

from django.db import models

from connect_bridge.models.conversation import Contact, Conversation, Message


class SentReply(models.Model):
    """An automatic reply was sent: once for each occasion and period, by whichever bridge is first."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="replies")
    occasion = models.CharField(max_length=16)
    period = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "occasion", "period"], name="told_at_most_once")]

    def __str__(self) -> str:
        return f"{self.occasion} to {self.conversation_id}"


class Briefing(models.Model):
    """The agent of a new chat gets the last lines of the customer's former chat. `lines`: how many, maybe 0."""

    contact = models.OneToOneField(Contact, on_delete=models.CASCADE, primary_key=True, related_name="briefing")
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True)
    lines = models.SmallIntegerField(default=0, db_default=0)
    error = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"briefing of {self.contact_id}"


class Notice(models.Model):
    """What the agent is told, in the chat, of a message that did not reach the customer. `id` is its ClientToken.

    `participant` was the way of former versions.
    """

    class Route(models.TextChoices):
        PARTICIPANT = "participant", "as a participant of its own"
        CUSTOMER = "customer", "through the customer's own connection"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="notice")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="notices")
    item_id = models.CharField(max_length=64, blank=True)
    route = models.CharField(max_length=16, choices=Route.choices, blank=True)
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True, help_text="None: not to be tried any more.")
    created_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-created_at"], name="notice_by_time")]

    def __str__(self) -> str:
        return f"notice of {self.message_id}"
