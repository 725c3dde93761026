"""Conversations with customers, the Amazon Connect chats that they become, and their messages."""

from __future__ import annotations

import uuid

from django.db import models

from channels_app.fields import EncryptedTextField
from channels_app.models import ChannelAccount
from connect_bridge.models.bridge import Bridge
from customers.models import Identity


class Conversation(models.Model):
    """One identity on one channel account, for ever.

    Ownership: `owner` relays and listens; `fence` grows by one at every change of owner. `last_sequence` is allocated
    under this row's lock. `active`: there is an open contact or something left to relay.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(ChannelAccount, on_delete=models.PROTECT, related_name="conversations")
    identity = models.ForeignKey(Identity, on_delete=models.PROTECT, related_name="conversations")
    recipient = models.CharField(max_length=256, help_text="The id that replies go to.")
    last_sequence = models.BigIntegerField(default=0)
    last_inbound_at = models.DateTimeField(null=True, blank=True)
    last_message_at = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=False)
    owner = models.ForeignKey(Bridge, on_delete=models.SET_NULL, null=True, blank=True, related_name="conversations")
    fence = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "identity"], name="conversation_is_unique")]
        indexes = [
            models.Index(fields=["owner"], name="conversation_active", condition=models.Q(active=True)),
            models.Index(fields=["-last_message_at"], name="conversation_by_time"),
            models.Index(fields=["account", "-last_message_at"], name="conversation_by_account"),
        ]

    def __str__(self) -> str:
        return f"{self.identity} on {self.account}"


class ContactState(models.TextChoices):
    REQUESTED = "requested"
    STARTED = "started"
    CONNECTED = "connected"
    ENDED = "ended"
    FAILED = "failed"


#: The chat goes on, or may yet begin. A conversation has at most one such contact.
OPEN_STATES = (ContactState.REQUESTED, ContactState.STARTED, ContactState.CONNECTED)
#: The same for raw SQL: `state IN {OPEN_IN_SQL}`.
OPEN_IN_SQL = "({})".format(", ".join(f"'{state}'" for state in OPEN_STATES))


class Contact(models.Model):
    """One Amazon Connect chat. `id` is our session id and the ClientToken of its StartChatContact.

    `initial_contact_id` stays when the chat is transferred; `contact_id` is the latest segment.
    """

    State = ContactState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="contacts")
    state = models.CharField(max_length=16, choices=State.choices, default=State.REQUESTED)
    instance_id = models.CharField(max_length=100)
    flow_id = models.CharField(max_length=500)
    initial_contact_id = models.CharField(max_length=64, blank=True, db_index=True)
    contact_id = models.CharField(max_length=64, blank=True, db_index=True)
    participant_id = models.CharField(max_length=64, blank=True)
    participant_token = EncryptedTextField(blank=True)
    connection_token = EncryptedTextField(blank=True)
    connection_expires_at = models.DateTimeField(null=True, blank=True)
    first_message = models.UUIDField(null=True, blank=True, help_text="The message that went as InitialMessage.")
    agent_name = models.CharField(max_length=256, blank=True)
    bot = models.BooleanField(default=True, help_text="No person is in the chat: a bot may be listening.")
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    connected_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    last_item_at = models.DateTimeField(null=True, blank=True, help_text="AbsoluteTime of the last captured item.")
    last_traffic_at = models.DateTimeField(null=True, blank=True)
    swept_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"],
                name="one_open_contact",
                condition=models.Q(state__in=[*OPEN_STATES]),
            )
        ]
        indexes = [
            models.Index(fields=["conversation", "-requested_at"], name="contact_by_conversation"),
            models.Index(fields=["-requested_at"], name="contact_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.initial_contact_id or self.id}"

    def __repr__(self) -> str:
        return f"<Contact {self.id} {self.state}>"


class ContactEvent(models.Model):
    """An agent or a supervisor came into a chat or left it, by the chat's own events. `at` is Connect's clock.

    Whoever takes the chat over knows from these who is in it; `participant_id` is empty where Connect did not say it.
    """

    class Kind(models.TextChoices):
        JOINED = "joined"
        LEFT = "left"

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="events")
    item_id = models.CharField(max_length=64)
    participant_id = models.CharField(max_length=64, blank=True, db_default="", default="")
    role = models.CharField(max_length=16, db_default="AGENT", default="AGENT")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=256, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact", "item_id"], name="event_is_noted_once")]

    def __str__(self) -> str:
        return f"{self.role.lower()} {self.kind}"


class Message(models.Model):
    """One line of the transcript. Status only climbs: STORED → RELAYED → ACCEPTED → DELIVERED → READ, or fails.

    NOTED is a side event (storage/side_events.py) for which no chat was open, or in whose chat nobody is yet: it stands
    on the timeline, and goes nowhere.

    `sequence` orders a conversation: it is allocated under the conversation's row lock, never taken from a provider's
    clock.
    """

    class Direction(models.TextChoices):
        INBOUND = "in", "customer to agent"
        OUTBOUND = "out", "agent to customer"

    class Status(models.TextChoices):
        STORED = "stored"
        NOTED = "noted"
        RELAYED = "relayed"
        ACCEPTED = "accepted"
        DELIVERED = "delivered"
        READ = "read"
        FAILED = "failed"
        UNCERTAIN = "uncertain"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.PROTECT, related_name="messages", db_index=False
    )  # the indexes below begin with it
    contact = models.ForeignKey(Contact, on_delete=models.PROTECT, null=True, blank=True, related_name="messages")
    sequence = models.BigIntegerField()
    direction = models.CharField(max_length=3, choices=Direction.choices)
    role = models.CharField(max_length=16, help_text="Connect's participant role.")
    author = models.CharField(max_length=256, blank=True)
    content_type = models.CharField(max_length=100, default="text/plain")
    text = models.TextField(help_text="As the other side sees it, placeholders included.")
    original = models.JSONField(null=True, blank=True, help_text="What Connect or the messenger could not show.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.STORED)
    error_code = models.CharField(max_length=64, blank=True)
    error_detail = models.CharField(max_length=500, blank=True)
    entry = models.OneToOneField("channels_app.InboundEntry", on_delete=models.PROTECT, null=True, blank=True)
    provider_message_id = models.CharField(max_length=256, blank=True)
    connect_item_id = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - null keeps the unique index to captured items
    relayed = models.IntegerField(default=0, help_text="Characters of the text that Connect has taken.")
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    occurred_at = models.DateTimeField(help_text="The other side's clock where it told, else ours.")
    created_at = models.DateTimeField()
    relayed_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True, help_text="Accepted by the provider, or failed.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "sequence"], name="sequence_is_unique"),
            models.UniqueConstraint(fields=["contact", "connect_item_id"], name="item_is_captured_once"),
        ]
        indexes = [
            models.Index(
                fields=["conversation", "sequence"],
                name="message_to_relay",
                condition=models.Q(direction="in", status="stored"),
            ),
            models.Index(
                fields=["contact"],
                name="message_not_delivered",
                condition=models.Q(direction="out", status__in=["failed", "uncertain"]),
            ),
            models.Index(
                fields=["settled_at"],
                name="message_not_taken",
                condition=models.Q(direction="in", status="failed"),
            ),
            models.Index(fields=["-created_at"], name="message_by_time"),
            models.Index(fields=["conversation", "created_at", "id"], name="message_of_conversation"),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.sequence} {self.status}"
