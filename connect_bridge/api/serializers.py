"""What the read API tells of each row. Credentials and participant tokens are not among it."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from channels_app.account import webhook_url
from channels_app.account_fields import in_api
from channels_app.models import ChannelAccount, WebhookDelivery
from connect_bridge.models import Contact, Conversation, Message, OutboxEntry
from people.privacy import masked_name, masked_text, sight_of
from people.serializer_fields import ErrorText, Name, Number


class AccountSerializer(serializers.ModelSerializer[ChannelAccount]):
    webhook_url = serializers.SerializerMethodField()

    class Meta:
        model = ChannelAccount
        fields: ClassVar[Any] = [
            "id",
            "kind",
            "address",
            "webhook_url",
            *in_api(),
            "created_at",
            "updated_at",
        ]

    def get_webhook_url(self, account: ChannelAccount) -> str:
        return webhook_url(account.kind, account.pk)


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    kind = serializers.CharField(source="account.kind")
    customer = serializers.UUIDField(source="identity.customer_id")
    customer_name = Name(source="identity.display_name")
    external_id = Number(source="identity.external_id")
    recipient = Number()

    class Meta:
        model = Conversation
        fields: ClassVar[Any] = [
            "id",
            "kind",
            "account",
            "customer",
            "customer_name",
            "identity",
            "external_id",
            "recipient",
            "active",
            "last_sequence",
            "last_inbound_at",
            "last_message_at",
            "created_at",
        ]


class ContactSerializer(serializers.ModelSerializer[Contact]):
    class Meta:
        model = Contact
        fields: ClassVar[Any] = [
            "id",
            "conversation",
            "state",
            "reason",
            "instance_id",
            "flow_id",
            "initial_contact_id",
            "contact_id",
            "participant_id",
            "agent_name",
            "bot",
            "requested_at",
            "started_at",
            "connected_at",
            "ended_at",
        ]


class MessageSerializer(serializers.ModelSerializer[Message]):
    """The text is as whoever asks may read it: whole, redacted or not at all."""

    text = serializers.SerializerMethodField()
    author = serializers.SerializerMethodField()
    error_detail = ErrorText()

    def get_author(self, message: Message) -> str:
        return masked_name(message.author) if message.direction == Message.Direction.INBOUND else message.author

    def get_text(self, message: Message) -> str:
        return masked_text(message.text, sight_of(self.context["request"].user))

    class Meta:
        model = Message
        fields: ClassVar[Any] = [
            "id",
            "conversation",
            "contact",
            "sequence",
            "direction",
            "role",
            "author",
            "content_type",
            "text",
            "status",
            "error_code",
            "error_detail",
            "provider_message_id",
            "connect_item_id",
            "occurred_at",
            "created_at",
            "relayed_at",
            "settled_at",
        ]


class OutboxEntrySerializer(serializers.ModelSerializer[OutboxEntry]):
    error_detail = ErrorText()

    class Meta:
        model = OutboxEntry
        fields: ClassVar[Any] = [
            "id",
            "message",
            "conversation",
            "sequence",
            "part",
            "state",
            "attempts",
            "due_at",
            "provider_message_ids",
            "error_code",
            "provider_code",
            "error_detail",
            "possible_duplicate",
            "created_at",
            "settled_at",
        ]


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    """Of the request itself, its headers and bytes, nothing: those are in the admin."""

    class Meta:
        model = WebhookDelivery
        fields: ClassVar[Any] = ["id", "account", "received_at", "request_id", "state", "reason", "polled"]
