"""The admin page of a conversation, with its transcript."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch
from django.template.loader import render_to_string

from channels_app.account_fields import encrypted_at
from channels_app.admin.filters import account_filter, kind_filter
from connect_bridge.models import Conversation, Message, OutboxEntry
from people.admin_base import ReadOnlyAdmin
from people.admin_html import link, list_link, masked_column, sight_on
from people.privacy import masked_id, masked_text

#: How many messages a conversation's page shows, the latest; the rest are in the list of messages.
MOST_MESSAGES = 500


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin[Conversation]):
    shows_words = True
    the_recipient = masked_column("recipient", masked_id)
    list_display = ["identity", "account", "last_message_at", "last_inbound_at", "is_active", "owner"]
    list_filter = ["active", kind_filter(), account_filter(), "last_message_at"]
    list_select_related = ["identity__customer", "account", "owner"]
    unloaded = encrypted_at("account")
    ordering = ["-last_message_at"]
    sortable_by = ["last_message_at"]  # any other order reads the whole table; filters narrow it down
    fields = [
        "id",
        "the_identity",
        "the_customer",
        "the_account",
        "the_recipient",
        "is_active",
        "owner",
        "fence",
        "last_inbound_at",
        "last_message_at",
        "created_at",
        "see_also",
        "transcript",
    ]
    search_fields = [
        "id",
        "recipient",
        "identity__id",
        "identity__customer__id",
        "identity__external_id",
        "identity__handle",
        "identity__aliases__value",
        "identity__display_name__icontains",
        "contacts__id",
        "contacts__initial_contact_id",
        "contacts__contact_id",
    ]
    search_help_text = "An id of the conversation, the customer or a Connect contact, a number, a handle or a name."

    @admin.display(description="active")
    def is_active(self, conversation: Conversation) -> str:
        """Return a word, not a tick or a red cross: at rest is nothing bad."""
        return "active" if conversation.active else "at rest"

    @admin.display(description="identity")
    def the_identity(self, conversation: Conversation) -> str:
        return link(conversation.identity)

    @admin.display(description="customer")
    def the_customer(self, conversation: Conversation) -> str:
        return link(conversation.identity.customer)

    @admin.display(description="account")
    def the_account(self, conversation: Conversation) -> str:
        return link(conversation.account)

    @admin.display(description="transcript")
    def transcript(self, conversation: Conversation) -> str:
        entries = OutboxEntry.objects.defer("text").order_by("part")
        latest = conversation.messages.select_related("contact", "entry").defer(
            "original", "contact__participant_token", "contact__connection_token", "entry__event"
        )
        rows = latest.prefetch_related(Prefetch("outbox", entries)).order_by("-sequence")[: MOST_MESSAGES + 1]
        shown = list(rows)
        for message in shown:
            message.text = masked_text(message.text, sight_on(conversation))
        context: dict[str, Any] = {
            "messages": shown[:MOST_MESSAGES][::-1],
            "all": list_link(Message, "all messages", conversation__id__exact=conversation.pk),
            "more": len(shown) > MOST_MESSAGES,
        }
        return render_to_string("admin/connect_bridge/transcript.html", context)
