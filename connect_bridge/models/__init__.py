"""Conversations, the Connect chats they become, and every message of them."""

from __future__ import annotations

import uuid

from django.db import models

from channels_app.fields import EncryptedTextField
from channels_app.models import ChannelAccount
from customers.models import Identity


class Bridge(models.Model):
    """One running bridge process. It owns the conversations that name it for as long as its heart beats."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"bridge {self.pid} on {self.host}"


class ConnectPace(models.Model):
    """How many calls a second Connect took of one operation, of all bridges together, when it last said "too fast"."""

    instance_id = models.CharField(max_length=100)
    operation = models.CharField(max_length=32)
    rate = models.FloatField()
    cut_at = models.DateTimeField()
    until = models.DateTimeField(help_text="No call before this, as Connect asked.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance_id", "operation"], name="one_pace")]

    def __str__(self) -> str:
        return f"{self.operation} at {self.rate:g}/s"


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


class Contact(models.Model):
    """One Amazon Connect chat. `id` is our session id and the ClientToken of its StartChatContact.

    `initial_contact_id` stays when the chat is transferred; `contact_id` is the latest segment.
    """

    class State(models.TextChoices):
        REQUESTED = "requested"
        STARTED = "started"
        CONNECTED = "connected"
        ENDED = "ended"
        FAILED = "failed"

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
                condition=models.Q(state__in=["requested", "started", "connected"]),
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
    """An agent or a supervisor came into a chat or left it, as the chat itself told. `at` is Connect's clock.

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

    NOTED is an aside (asides.py) that no chat was open for, or in whose chat nobody is yet: it stands on the timeline,
    and goes nowhere.

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


class SentReply(models.Model):
    """A customer was told something without a person: once for each occasion and period, whoever thinks of it first."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="replies")
    occasion = models.CharField(max_length=16)
    period = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "occasion", "period"], name="told_at_most_once")]

    def __str__(self) -> str:
        return f"{self.occasion} to {self.conversation_id}"


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


class Projection(models.Model):
    """The table in DynamoDB for which changes of messages are noted; no name, no notes. One row.

    `complete`: what was there before is noted, too.
    """

    table_name = models.CharField(max_length=255, blank=True)
    complete = models.BooleanField(default=False)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return self.table_name or "off"


class ProjectionNote(models.Model):
    """A message whose copy in DynamoDB is not up to date. A trigger writes it; `version` grows with every change.

    No foreign key: also what was deleted is noted, with the place where its copy is.
    """

    message_id = models.UUIDField(primary_key=True)
    conversation = models.UUIDField()
    sequence = models.BigIntegerField()
    version = models.BigIntegerField(db_index=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"note of {self.message_id}"


class Briefing(models.Model):
    """The agent of a new chat is told what was said last. `lines`: how many; 0 where nothing was said before."""

    contact = models.OneToOneField(Contact, on_delete=models.CASCADE, primary_key=True, related_name="briefing")
    attempts = models.SmallIntegerField(default=0)
    due_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True)
    lines = models.SmallIntegerField(default=0, db_default=0)
    error = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"briefing of {self.contact_id}"


class RetentionMark(models.Model):
    """Up to when the data of one class has been emptied."""

    data_class = models.CharField(max_length=16, primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.data_class} until {self.until:%Y-%m-%d}"


class Replay(models.Model):
    """Something that failed was given another try because a person said so. `rows` are the ids of what was touched."""

    class Verb(models.TextChoices):
        RETRY = "retry", "delivery to customers, again"
        REPROCESS = "reprocess", "webhooks, read again"
        RELAY = "relay", "customers' messages, to Amazon Connect again"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField()
    by = models.CharField(max_length=150)
    verb = models.CharField(max_length=16, choices=Verb.choices)
    asked = models.JSONField(help_text="What was chosen, as it was asked for.")
    counts = models.JSONField(help_text="What came of it.")
    rows = models.JSONField(help_text="Outbox entries that were set pending, or deliveries that were read again.")

    class Meta:
        indexes = [models.Index(fields=["-at"], name="replay_by_time")]

    def __str__(self) -> str:
        return f"{self.verb} by {self.by}"


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
