"""The admin page of the outbox: what became of every send, and another try for the dead and the uncertain ones."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from channels_app.account_fields import encrypted_at
from channels_app.admin.filters import account_filter, kind_filter
from channels_app.models import ChannelLog
from connect_bridge.models import OutboxEntry
from connect_bridge.outbox.resend import REVIVABLE, send_again
from people.admin_base import ReadOnlyAdmin
from people.admin_html import json_html, link, list_link, masked_column, message_html
from people.privacy import masked_error

#: How many entries one confirmation sends again: as many as a person can look through.
MOST_AT_ONCE = 200


@admin.register(OutboxEntry)
class OutboxEntryAdmin(ReadOnlyAdmin[OutboxEntry]):
    actions = ["send_again"]
    shows_words = True
    the_detail = masked_column("error_detail", masked_error)
    list_display = [
        "__str__",
        "conversation",
        "state",
        "attempts",
        "error_code",
        "the_detail",
        "possible_duplicate",
        "due_at",
        "created_at",
    ]
    list_filter = [
        "state",
        "possible_duplicate",
        kind_filter("conversation__account__kind"),
        account_filter("conversation__account"),
        "created_at",
    ]
    list_select_related = ["conversation__identity", "conversation__account", "message"]
    unloaded = encrypted_at("conversation__account")
    ordering = ["-created_at"]
    sortable_by = ["created_at"]  # any other order reads the whole table; filters narrow it down
    fields = [
        "id",
        "the_message",
        "the_conversation",
        "the_contact",
        "sequence",
        "part",
        "state",
        "attempts",
        "due_at",
        "claimed_by",
        "claimed_until",
        "error_code",
        "provider_code",
        "the_detail",
        "possible_duplicate",
        "looks",
        "look_at",
        "the_ids",
        "the_text",
        "created_at",
        "settled_at",
        "the_calls",
    ]
    search_fields = ["id", "message__id", "sent_ids__provider_message_id", "conversation__id", "provider_code"]
    search_help_text = "An id: ours, the messenger's, the message's, the conversation's; or a provider's error code."

    @admin.display(description="message")
    def the_message(self, entry: OutboxEntry) -> str:
        return link(entry.message)

    @admin.display(description="conversation")
    def the_conversation(self, entry: OutboxEntry) -> str:
        return link(entry.conversation)

    @admin.display(description="contact")
    def the_contact(self, entry: OutboxEntry) -> str:
        return link(entry.message.contact)

    @admin.display(description="provider's ids")
    def the_ids(self, entry: OutboxEntry) -> str:
        return json_html(entry.provider_message_ids)

    @admin.display(description="text")
    def the_text(self, entry: OutboxEntry) -> str:
        return message_html(entry, entry.text)

    @admin.display(description="calls to the provider")
    def the_calls(self, entry: OutboxEntry) -> str:
        return list_link(ChannelLog, "channel log", outbox_entry__exact=entry.pk)

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("connect_bridge.change_outboxentry")

    @admin.action(description="Send again (dead and uncertain ones only)", permissions=["send_again"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutboxEntry]) -> Any:
        """Ask first: what is sent again reaches a customer."""
        entries = queryset.filter(state__in=REVIVABLE)[:MOST_AT_ONCE]
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "Send again?",
                "opts": self.opts,
                "entries": entries,
                "uncertain": [entry for entry in entries if entry.state == OutboxEntry.State.UNCERTAIN],
                "chosen": queryset.count(),
            }
            return TemplateResponse(request, "admin/connect_bridge/send_again.html", context)
        for entry in (revived := send_again([entry.pk for entry in entries])):
            self.log_change(request, entry, "Sent again.")
        self.message_user(request, f"{len(revived)} to be sent again.", messages.SUCCESS)
        return None
