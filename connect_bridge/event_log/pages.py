"""What the pages of the event log share: permissions, the frame of a page, and ids in requests."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse

#: Permissions to see the log, to retry sends, and to have webhooks read again.
SEE = ("channels_app.view_webhookdelivery", "connect_bridge.view_outboxentry")
RETRY, REPROCESS = "connect_bridge.change_outboxentry", "channels_app.change_webhookdelivery"


def show(request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    rights = {"may_retry": request.user.has_perm(RETRY), "may_reprocess": request.user.has_perm(REPROCESS)}
    return TemplateResponse(request, template, {**admin.site.each_context(request), **rights, **context})


def require_all(request: HttpRequest, *rights: str) -> None:
    if not all(request.user.has_perm(right) for right in rights):
        raise PermissionDenied


def uuid_or_none(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
