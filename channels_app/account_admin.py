"""The admin page by which accounts are set up: secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.debug import sensitive_post_parameters

from channels_app.admin_parts import UNLOADED_OF_ACCOUNT, kind_filter
from channels_app.forms import PREFIX, account_form
from channels_app.models import ChannelAccount
from channels_app.registry import channels
from channels_app.setup import VERIFY_TOKEN, credential_fields, webhook_url
from customers.readonly import FindableAdmin

_COPY = '<code class="p-code">{}</code>'


@admin.register(ChannelAccount)
class ChannelAccountAdmin(FindableAdmin[ChannelAccount]):
    """Adding begins with the choice of a channel; the rest of the form follows from that channel's Config."""

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
        "former_credentials_until",
        "created_at",
        "updated_at",
        "see_also",
    ]
    unloaded = UNLOADED_OF_ACCOUNT

    @admin.display(description="channel", ordering="kind")
    def channel(self, account: ChannelAccount) -> str:
        known = channels().get(account.kind)
        return known.label if known else f"{account.kind} (no such channel any more)"

    @admin.display(description="webhook URL")
    def webhook(self, account: ChannelAccount) -> str:
        return format_html(_COPY, webhook_url(account))

    @admin.display(description="verify token")
    def verify_token(self, account: ChannelAccount) -> str:
        return format_html(_COPY, account.credentials.get(VERIFY_TOKEN, ""))

    def has_change_permission(self, request: HttpRequest, obj: ChannelAccount | None = None) -> bool:
        known = obj is None or obj.kind in channels()
        return known and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: ChannelAccount | None = None) -> bool:
        """Only what was never used may go; to stop an account that was, untick `enabled`."""
        used = obj is not None and (obj.deliveries.exists() or obj.log.exists())
        return not used and super().has_delete_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: ChannelAccount | None = None) -> Any:
        routing = (
            "Amazon Connect",
            {"fields": ["connect_instance_id", "connect_contact_flow_id", "holding_reply", "attributes"]},
        )
        credentials = ("Credentials", {"fields": self._credential_names(self._kind(request, obj))})
        if obj is None:
            return [(None, {"fields": ["name", "enabled", "when_uncertain", "redact"]}), credentials, routing]
        about = ["id", "address", "former_credentials_until", "created_at", "updated_at", "see_also"]
        parts: list[Any] = [
            (None, {"fields": ["name", "channel", "enabled", "when_uncertain"]}),
            routing,
            ("About", {"fields": about}),
        ]
        if self.has_change_permission(request, obj):
            copied = ["webhook", *(["verify_token"] if obj.credentials.get(VERIFY_TOKEN) else [])]
            note = "Enter these in the provider's console."
            parts.insert(1, ("Webhook", {"fields": copied, "description": note}))
            parts.insert(2, credentials)
        return parts

    def get_form(self, request: HttpRequest, obj: ChannelAccount | None = None, *args: Any, **kwargs: Any) -> Any:
        channel = channels().get(self._kind(request, obj))
        if channel is not None:
            kwargs["form"] = account_form(channel)
        return super().get_form(request, obj, *args, **kwargs)

    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        if self._kind(request, None) in channels() or not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        context = {
            **self.admin_site.each_context(request),
            "title": "Which messenger?",
            "opts": self.opts,
            "channels": sorted((channel.label, kind) for kind, channel in channels().items()),
        }
        return TemplateResponse(request, "admin/channels_app/channelaccount/choose.html", context)

    def save_model(self, request: HttpRequest, obj: ChannelAccount, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's signature
        form.store()
        super().save_model(request, obj, form, change)

    def response_post_save_add(self, request: HttpRequest, obj: ChannelAccount) -> Any:  # noqa: ARG002 - as above
        """Go on to the account's page, where the webhook URL waits to be copied."""
        return HttpResponseRedirect(reverse("admin:channels_app_channelaccount_change", args=[obj.pk]))

    def _kind(self, request: HttpRequest, obj: ChannelAccount | None) -> str:
        return obj.kind if obj is not None else request.GET.get("kind", "")

    def _credential_names(self, kind: str) -> list[str]:
        channel = channels().get(kind)
        return [PREFIX + asked.key for asked in credential_fields(channel)] if channel else []
