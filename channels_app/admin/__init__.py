"""Admin pages of what messengers brought, and of our calls to them."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.messages import SUCCESS, WARNING
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string

from channels_app.account_fields import encrypted_at
from channels_app.admin.accounts import ChannelAccountAdmin
from channels_app.admin.filters import (
    account_filter,
    kind_filter,
    query_without_proofs,
    without_proofs,
)
from channels_app.admin.hours import AutoReplyAdmin, BusinessHoursAdmin, RoutingRuleAdmin
from channels_app.models import ChannelLog, InboundCheck, InboundEntry, WebhookDelivery
from channels_app.recovery.reprocess import read_again
from people.admin_base import ReadOnlyAdmin
from people.admin_html import link, masked_column, message_json_html, sight_on, text_html
from people.json_masking import masked_body
from people.privacy import masked_error, masked_id

__all__ = [
    "AutoReplyAdmin",
    "BusinessHoursAdmin",
    "ChannelAccountAdmin",
    "ChannelLogAdmin",
    "InboundCheckAdmin",
    "InboundEntryAdmin",
    "RoutingRuleAdmin",
    "WebhookDeliveryAdmin",
]

#: Entries of a delivery that its page lists; a batch may hold thousands.
MOST_ENTRIES = 100
#: Deliveries that one click reads again; `manage.py replay` has no limit.
MOST_READ_AGAIN = 200


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin[WebhookDelivery]):
    actions = ["read_again"]
    shows_words = True
    list_display = ["received_at", "account", "state", "reason", "polled", "request_id"]
    list_filter = ["state", "polled", kind_filter(), account_filter(), "received_at"]
    list_select_related = ["account"]
    unloaded = encrypted_at("account")
    ordering = ["-received_at"]
    fields = [
        "id",
        "the_account",
        "received_at",
        "request_id",
        "state",
        "reason",
        "polled",
        "entries",
        "the_query",
        "the_headers",
        "the_body",
        "see_also",
    ]
    search_fields = ["id", "request_id", "entries__key"]
    search_help_text = "A delivery's id, a request id, or the provider's key of an event in it."

    @admin.display(description="account")
    def the_account(self, delivery: WebhookDelivery) -> str:
        return link(delivery.account)

    @admin.display(description="inbound entries")
    def entries(self, delivery: WebhookDelivery) -> str:
        rows = list(delivery.entries.defer("event").order_by("id")[: MOST_ENTRIES + 1])
        context = {"entries": rows[:MOST_ENTRIES], "more": len(rows) > MOST_ENTRIES}
        return render_to_string("admin/channels_app/entries.html", context)

    @admin.display(description="query")
    def the_query(self, delivery: WebhookDelivery) -> str:
        return text_html(masked_body(query_without_proofs(delivery.query), sight_on(delivery)))

    @admin.display(description="headers")
    def the_headers(self, delivery: WebhookDelivery) -> str:
        return message_json_html(delivery, without_proofs(delivery.headers))

    @admin.display(description="body")
    def the_body(self, delivery: WebhookDelivery) -> str:
        return text_html(masked_body(bytes(delivery.body).decode("utf-8", "replace"), sight_on(delivery)))

    def has_read_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("channels_app.change_webhookdelivery")

    @admin.action(description="Read again with today's code", permissions=["read_again"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        """Do not ask first: what is here already is left alone, and what is new was meant for an agent all along."""
        chosen = WebhookDelivery.objects.filter(pk__in=[row.pk for row in queryset[:MOST_READ_AGAIN]])
        readings = list(read_again(chosen.order_by("received_at", "pk"), act=True))
        for reading in filter(lambda reading: reading.helps, readings):
            self.log_change(request, WebhookDelivery.objects.get(pk=reading.delivery), "Read again.")
        messages, failed = (
            sum(reading.messages for reading in readings),
            sum(bool(reading.problem) for reading in readings),
        )
        summary = (
            f"{len(readings)} read again: {messages} messages are on their way to agents, {failed} cannot be read."
        )
        self.message_user(request, summary, WARNING if failed else SUCCESS)


@admin.register(InboundEntry)
class InboundEntryAdmin(ReadOnlyAdmin[InboundEntry]):
    shows_words = True
    the_sender, the_outcome = masked_column("sender", masked_id), masked_column("outcome", masked_error)
    list_display = ["id", "created_at", "account", "type", "the_sender", "state", "the_outcome", "attempts"]
    list_filter = ["state", "type", kind_filter(), account_filter(), "created_at"]
    list_select_related = ["account"]
    unloaded = encrypted_at("account")
    ordering = ["-id"]
    fields = [
        "id",
        "the_account",
        "the_delivery",
        "key",
        "type",
        "the_sender",
        "state",
        "the_outcome",
        "attempts",
        "due_at",
        "created_at",
        "done_at",
        "shard",
        "the_event",
        "see_also",
    ]
    search_fields = ["id", "key", "sender", "delivery__id", "delivery__request_id"]
    search_help_text = "An entry's id, the provider's key, the sender's id, a delivery's id or request id."

    @admin.display(description="account")
    def the_account(self, entry: InboundEntry) -> str:
        return link(entry.account)

    @admin.display(description="delivery")
    def the_delivery(self, entry: InboundEntry) -> str:
        return link(entry.delivery)

    @admin.display(description="event")
    def the_event(self, entry: InboundEntry) -> str:
        return message_json_html(entry, entry.event)


@admin.register(ChannelLog)
class ChannelLogAdmin(ReadOnlyAdmin[ChannelLog]):
    the_path, the_error = masked_column("path", masked_error), masked_column("error", masked_error)
    list_display = ["at", "account", "method", "host", "the_path", "status", "milliseconds", "the_error"]
    list_filter = ["status", kind_filter(), account_filter(), "at"]
    links = ("outbox_entry__exact",)
    list_select_related = ["account"]
    unloaded = encrypted_at("account")
    ordering = ["-at"]
    fields = [
        "id",
        "the_account",
        "outbox_entry",
        "at",
        "method",
        "host",
        "the_path",
        "status",
        "milliseconds",
        "the_error",
    ]
    search_fields = ["outbox_entry", "account__id", "host", "path"]
    search_help_text = "An outbox entry's id, an account's id, a host or a whole path."

    @admin.display(description="account")
    def the_account(self, call: ChannelLog) -> str:
        return link(call.account)

    @admin.display(description="ms", ordering="seconds")
    def milliseconds(self, call: ChannelLog) -> str:
        return f"{call.seconds * 1000:.0f}"


@admin.register(InboundCheck)
class InboundCheckAdmin(ReadOnlyAdmin[InboundCheck]):
    list_display = ["account", "checked_at", "complete_until", "found", "trouble", "due_at"]
    list_filter = ["refused", kind_filter()]
    list_select_related = ["account"]
    unloaded = encrypted_at("account")
    ordering = ["account__kind", "account__name"]
    fields = ["the_account", "checked_at", "complete_until", "found", "trouble", "refused", "due_at"]
    search_fields = ["account__id", "account__address"]
    search_help_text = "An account's id, or our Page, number or user id."

    @admin.display(description="account")
    def the_account(self, check: InboundCheck) -> str:
        return link(check.account)
