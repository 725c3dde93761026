"""The admin page of accounts: what is set, and the way to the steps by which credentials go in; they never come out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from channels_app.account import webhook_url
from channels_app.account_fields import ENCRYPTED, Section, in_section
from channels_app.accounts.forms import AccountForm
from channels_app.accounts.service import VERIFY_TOKEN, credential_fields
from channels_app.admin.filters import kind_filter
from channels_app.models import ChannelAccount
from channels_app.registry import channels
from people.admin_base import FindableAdmin
from people.history_admin import AuditedAdmin

_COPY = '<code class="p-code">{}</code>'


@admin.register(ChannelAccount)
class ChannelAccountAdmin(AuditedAdmin[ChannelAccount], FindableAdmin[ChannelAccount]):
    """Adding, and whatever concerns credentials, is done in the steps of the set-up."""

    form = AccountForm
    list_display = ["name", "channel", "address", "enabled", "updated_at"]
    list_filter = [kind_filter("kind"), "enabled"]
    ordering = ["kind", "name"]
    search_fields = ["id", "address", "name__icontains"]
    search_help_text = "An id, a Page, number or user id, or a part of the name."
    readonly_fields = [
        "id",
        "channel",
        "address",
        "webhook",
        "verify_token",
        "secrets",
        "former_credentials_until",
        "created_at",
        "updated_at",
        "see_also",
    ]
    unloaded = ENCRYPTED

    @admin.display(description="channel", ordering="kind")
    def channel(self, account: ChannelAccount) -> str:
        known = channels().get(account.kind)
        return known.label if known else f"{account.kind} (no such channel any more)"

    @admin.display(description="webhook URL")
    def webhook(self, account: ChannelAccount) -> str:
        return format_html(_COPY, webhook_url(account.kind, account.pk))

    @admin.display(description="verify token")
    def verify_token(self, account: ChannelAccount) -> str:
        return format_html(_COPY, account.credentials.get(VERIFY_TOKEN, ""))

    @admin.display(description="credentials")
    def secrets(self, account: ChannelAccount) -> str:
        return shown_secrets(account)

    def has_change_permission(self, request: HttpRequest, obj: ChannelAccount | None = None) -> bool:
        known = obj is None or obj.kind in channels()
        return known and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ChannelAccount | None = None) -> bool:
        """Only what was never used may go; to stop an account that was, untick `enabled`."""
        used = obj is not None and (obj.deliveries.exists() or obj.log.exists())
        return not used and super().has_delete_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: ChannelAccount | None = None) -> Any:
        name, *basics = in_section(Section.BASICS)
        about = ["id", "address", "former_credentials_until", "created_at", "updated_at", "see_also"]
        parts: list[Any] = [
            (None, {"fields": [name, "channel", *basics]}),
            *((str(section), {"fields": in_section(section)}) for section in Section if section is not Section.BASICS),
            ("About", {"fields": about}),
        ]
        if obj is not None and self.has_change_permission(request, obj):
            copied = ["webhook", *(["verify_token"] if obj.credentials.get(VERIFY_TOKEN) else []), "secrets"]
            parts.insert(1, ("Webhook and credentials", {"fields": copied}))
        return parts

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        """Go to the first step of the set-up."""
        if self.has_add_permission(request):
            return HttpResponseRedirect(reverse("channel-add"))
        return super().add_view(request, form_url, extra_context)


def shown_secrets(account: ChannelAccount) -> str:
    """Return what there is to see of an account's secrets: that they are set, by whom and when, and how they end."""
    channel = channels().get(account.kind)
    known = {secret.key: secret for secret in account.secrets.all()}
    fields = [field for field in credential_fields(channel) if field.secret] if channel else []
    rows = [
        {"field": field, "known": known.get(field.key), "set": bool(account.credentials.get(field.key))}
        for field in fields
    ]
    context = {"rows": rows, "replace": reverse("channel-step", args=[account.pk, "credentials"])}
    return render_to_string("admin/channels_app/secrets.html", context)
