"""What Amazon Connect itself reports of chats and queues."""

from __future__ import annotations

from django.db import models

from connect_bridge.models import Contact


class ContactDetail(models.Model):
    """What Amazon Connect's contact events reported about a chat. They come unordered, late, twice, or not at all."""

    contact = models.OneToOneField(Contact, on_delete=models.CASCADE, primary_key=True, related_name="detail")
    queue = models.CharField(max_length=256, blank=True)
    queued_at = models.DateTimeField(null=True, blank=True, help_text="When it first waited.")
    queue_told_at = models.DateTimeField(null=True, blank=True, help_text="When it was put into the queue that counts.")
    agent = models.CharField(max_length=256, blank=True)
    agent_at = models.DateTimeField(null=True, blank=True, help_text="When the first agent took it.")
    agent_told_at = models.DateTimeField(null=True, blank=True, help_text="When the agent who counts took it.")
    disconnected_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, help_text="After-contact work is over.")
    reason = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"detail of {self.contact_id}"


class QueueNow(models.Model):
    """The latest answer of GetCurrentMetricData about a queue."""

    instance_id = models.CharField(max_length=100)
    queue_id = models.CharField(max_length=256)
    waiting = models.IntegerField(null=True, blank=True)
    oldest_seconds = models.FloatField(null=True, blank=True)
    agents_available = models.IntegerField(null=True, blank=True)
    slots_available = models.IntegerField(null=True, blank=True)
    estimated_wait = models.FloatField(null=True, blank=True, help_text="Seconds.")
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance_id", "queue_id"], name="queue_now_is_unique")]

    def __str__(self) -> str:
        return f"queue {self.queue_id}"
