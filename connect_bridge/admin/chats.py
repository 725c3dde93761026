"""Admin pages of Connect chats, their messages, and the notices to agents."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from channels_app.account_fields import encrypted_at
from channels_app.admin.filters import account_filter, kind_filter
from connect_bridge.admin.outbox import MOST_AT_ONCE
from connect_bridge.models import Contact, Message, Notice
from connect_bridge.outbox.relay_again import relay_again
from people.admin_base import ReadOnlyAdmin
from people.admin_html import link, masked_column, message_html, message_json_html
from people.privacy import masked_error, masked_name


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin[Contact]):
    """Tokens stay in the database: whoever holds one can speak as the customer."""

    list_display = ["__str__", "conversation", "state", "agent_name", "requested_at", "ended_at", "reason"]
    list_filter = [
        "state",
        kind_filter("conversation__account__kind"),
        account_filter("conversation__account"),
        "requested_at",
    ]
    list_select_related = ["conversation__identity", "conversation__account"]
    unloaded = ("participant_token", "connection_token", *encrypted_at("conversation__account"))
    ordering = ["-requested_at"]
    fields = [
        "id",
        "state",
        "reason",
        "the_conversation",
        "instance_id",
        "flow_id",
        "initial_contact_id",
        "contact_id",
        "participant_id",
        "agent_name",
        "bot",
        "the_first_message",
        "requested_at",
        "started_at",
        "connected_at",
        "connection_expires_at",
        "last_item_at",
        "last_traffic_at",
        "swept_at",
        "ended_at",
        "see_also",
    ]
    search_fields = ["id", "initial_contact_id", "contact_id", "participant_id", "conversation__id"]
    search_help_text = "An id of the contact, its participant or its conversation, ours or Amazon Connect's."

    @admin.display(description="conversation")
    def the_conversation(self, contact: Contact) -> str:
        return link(contact.conversation)

    @admin.display(description="first message")
    def the_first_message(self, contact: Contact) -> str:
        return link(Message.objects.filter(pk=contact.first_message).first() if contact.first_message else None)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin[Message]):
    actions = ["relay_again"]
    shows_words = True
    list_display = ["__str__", "conversation", "role", "status", "error_code", "attempts", "created_at"]
    list_filter = [
        "direction",
        "status",
        "role",
        kind_filter("conversation__account__kind"),
        account_filter("conversation__account"),
        "created_at",
    ]
    list_select_related = ["conversation__identity", "conversation__account", "contact", "entry__delivery"]
    unloaded = (
        *encrypted_at("conversation__account"),
        "contact__participant_token",
        "contact__connection_token",
        "entry__event",
        "entry__delivery__body",
    )
    ordering = ["-created_at"]
    fields = [
        "id",
        "the_conversation",
        "the_contact",
        "the_entry",
        "the_delivery",
        "sequence",
        "direction",
        "role",
        "the_author",
        "status",
        "error_code",
        "the_detail",
        "content_type",
        "the_text",
        "the_original",
        "provider_message_id",
        "connect_item_id",
        "relayed",
        "attempts",
        "due_at",
        "occurred_at",
        "created_at",
        "relayed_at",
        "settled_at",
        "see_also",
    ]
    search_fields = [
        "id",
        "provider_message_id",
        "outbox__sent_ids__provider_message_id",
        "outbox__id",
        "connect_item_id",
        "contact__initial_contact_id",
        "contact__contact_id",
        "conversation__id",
        "entry__key",
    ]
    search_help_text = "An id of the message: ours, the messenger's or Amazon Connect's; or of its contact."

    def has_relay_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("connect_bridge.change_outboxentry")

    @admin.action(description="Relay to Amazon Connect again (what it has not taken)", permissions=["relay_again"])
    def relay_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        """Relay what failed, or waits, to Connect at once; the rest stays as it is."""
        relayed = relay_again([message.pk for message in queryset[:MOST_AT_ONCE]])
        for message in Message.objects.filter(pk__in=relayed):
            self.log_change(request, message, "Relayed again.")
        self.message_user(request, f"{len(relayed)} to be relayed again.", messages.SUCCESS)

    @admin.display(description="conversation")
    def the_conversation(self, message: Message) -> str:
        return link(message.conversation)

    @admin.display(description="contact")
    def the_contact(self, message: Message) -> str:
        return link(message.contact)

    @admin.display(description="inbound entry")
    def the_entry(self, message: Message) -> str:
        return link(message.entry)

    @admin.display(description="webhook delivery")
    def the_delivery(self, message: Message) -> str:
        return link(message.entry.delivery if message.entry else None)

    the_detail = masked_column("error_detail", masked_error)

    @admin.display(description="author")
    def the_author(self, message: Message) -> str:
        return (
            masked_name(message.author) if message.direction == Message.Direction.INBOUND else message.author
        ) or "-"

    @admin.display(description="text")
    def the_text(self, message: Message) -> str:
        return message_html(message, message.text)

    @admin.display(description="original")
    def the_original(self, message: Message) -> str:
        return message_json_html(message, message.original)


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin[Notice]):
    the_error = masked_column("error", masked_error)
    list_display = ["__str__", "route", "attempts", "due_at", "told_at", "the_error"]
    list_filter = ["route", "created_at"]
    ordering = ["-created_at"]
    fields = [
        "id",
        "the_message",
        "the_contact",
        "item_id",
        "route",
        "attempts",
        "due_at",
        "created_at",
        "told_at",
        "the_error",
    ]
    search_fields = ["id", "message__id", "contact__id", "contact__contact_id"]
    search_help_text = "An id of the notice, its message or its contact."

    @admin.display(description="message")
    def the_message(self, notice: Notice) -> str:
        return link(notice.message)

    @admin.display(description="contact")
    def the_contact(self, notice: Notice) -> str:
        return link(notice.contact)
