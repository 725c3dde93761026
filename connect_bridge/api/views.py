"""The read API, /api/v1/: lists and rows as JSON, for staff who may view them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.urls import URLPattern, URLResolver, path
from django_filters.rest_framework import FilterSet, UUIDFilter
from rest_framework.routers import SimpleRouter

from channels_app.account_fields import ENCRYPTED, encrypted_at
from channels_app.models import ChannelAccount, WebhookDelivery
from connect_bridge.api.base import ReadView
from connect_bridge.api.serializers import (
    AccountSerializer,
    ContactSerializer,
    ConversationSerializer,
    DeliverySerializer,
    MessageSerializer,
    OutboxEntrySerializer,
)
from connect_bridge.models import Contact, Conversation, Message, OutboxEntry
from connect_bridge.operations.stuck_views import StuckView
from people.audit import note_read


class AccountView(ReadView):
    """Our own Pages, handles and numbers, and where their webhooks go."""

    queryset = ChannelAccount.objects.defer(*ENCRYPTED)
    serializer_class = AccountSerializer
    filterset_fields = ("kind", "enabled")


class ConversationFilter(FilterSet):  # type: ignore[misc] # django-filter has no types
    customer = UUIDFilter(field_name="identity__customer")

    class Meta:
        model = Conversation
        fields: ClassVar[Any] = ["account", "identity", "active"]


class ConversationView(ReadView):
    """One customer on one account."""

    queryset = Conversation.objects.select_related("identity", "account").defer(*encrypted_at("account"))
    serializer_class = ConversationSerializer
    filterset_class = ConversationFilter


class ContactView(ReadView):
    """Amazon Connect chats, without their tokens."""

    queryset = Contact.objects.defer("participant_token", "connection_token")
    serializer_class = ContactSerializer
    newest_by = "requested_at"
    filterset_fields = ("conversation", "state", "initial_contact_id")


class MessageView(ReadView):
    """Lines of transcripts, in both directions."""

    queryset = Message.objects.defer("original")
    serializer_class = MessageSerializer

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Write down whose conversations were read."""
        if self.action in ("list", "retrieve") and response.status_code == HTTPStatus.OK and response.data:
            shown = response.data.get("results", [response.data])
            note_read(request.user, "conversation", dict.fromkeys(str(row["conversation"]) for row in shown))
        return super().finalize_response(request, response, *args, **kwargs)

    filterset_fields = ("conversation", "contact", "direction", "status")


class DeliveryView(ReadView):
    """Webhooks as they arrived."""

    queryset = WebhookDelivery.objects.defer("body", "headers", "query")
    serializer_class = DeliverySerializer
    newest_by = "received_at"
    filterset_fields = ("account", "state", "polled", "request_id")


class OutboxEntryView(ReadView):
    """Sends to messengers and what became of them."""

    queryset = OutboxEntry.objects.defer("text")
    serializer_class = OutboxEntrySerializer
    filterset_fields = ("conversation", "message", "state")


VIEWS: dict[str, type[ReadView]] = {
    "accounts": AccountView,
    "conversations": ConversationView,
    "contacts": ContactView,
    "messages": MessageView,
    "deliveries": DeliveryView,
    "outbox": OutboxEntryView,
}


def urls() -> list[URLPattern | URLResolver]:
    """Return the routes of the API, to be mounted under /api/v1/."""
    router = SimpleRouter()
    for name, view in VIEWS.items():
        router.register(name, view, basename=name)
    return [*router.urls, path("stuck/", StuckView.as_view(), name="api-stuck")]
