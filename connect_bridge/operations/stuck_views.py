"""What is stuck, as a page of the admin and as JSON: for staff, each kind for who may view such rows."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from connect_bridge.operations import stuck
from connect_bridge.operations.stuck import Kind, StuckRow
from people.serializer_fields import ErrorText

TITLES = {
    Kind.INTAKE: "From customers, not looked at yet",
    Kind.MESSAGE: "From customers, not with Amazon Connect yet",
    Kind.REFUSED: "From customers, refused by Amazon Connect",
    Kind.CONTACT: "Chats that have not begun",
    Kind.OUTBOX: "To customers, not sent yet",
    Kind.UNCERTAIN: "To customers, perhaps arrived: being looked for",
    Kind.UNDECIDED: "To customers, perhaps arrived: left to a person",
    Kind.NOTICE: "Agents who have not been told of a failure",
    Kind.RECEIPT: "Receipts without a message",
}
_PARAMETERS = ("kind", "limit")


@require_safe
def stuck_page(request: HttpRequest) -> HttpResponse:
    """Show what is stuck; mount it with admin.site.admin_view."""
    kinds = _visible(request)
    if not kinds:
        raise PermissionDenied
    shown = stuck.find_stuck(kinds)
    groups = [
        {
            "title": TITLES[kind],
            "count": shown.counts[kind],
            "rows": [_row_context(row) for row in shown.rows if row.kind == kind],
        }
        for kind in TITLES
        if shown.counts.get(kind)
    ]
    context = {
        **admin.site.each_context(request),
        "title": "Stuck",
        "groups": groups,
        "hidden": len(Kind) - len(kinds),
        "now": timezone.now(),
    }
    return TemplateResponse(request, "admin/connect_bridge/stuck.html", context)


def _visible(request: Any) -> list[Kind]:
    return [kind for kind in Kind if request.user.has_perm(_permission(kind))]


def _permission(kind: Kind) -> str:
    app, _, model = stuck.table_of(kind).rpartition("_")
    return f"{app}.view_{model}"


def _row_context(row: StuckRow) -> dict[str, Any]:
    return {
        "row": row,
        "url": reverse(f"admin:{row.model}_change", args=[row.id]),
        "conversation": row.conversation
        and reverse("admin:connect_bridge_conversation_change", args=[row.conversation]),
    }


class StuckRowSerializer(serializers.Serializer[StuckRow]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    id = serializers.CharField()
    account = serializers.UUIDField()
    account_name = serializers.CharField()
    conversation = serializers.UUIDField(allow_null=True)
    since = serializers.DateTimeField()
    why = ErrorText()
    next = serializers.CharField()
    next_at = serializers.DateTimeField(allow_null=True)


class StuckSerializer(serializers.Serializer[Any]):
    """`counts` is of all that is stuck, `rows` are the oldest of each kind."""

    counts = serializers.DictField(child=serializers.IntegerField())
    rows = StuckRowSerializer(many=True)


class StuckView(APIView):
    """What has not come to an end after a minute."""

    permission_classes = [IsAdminUser]

    @extend_schema(
        responses=StuckSerializer,
        parameters=[
            OpenApiParameter("kind", enum=[kind.value for kind in Kind], description="Only this kind."),
            OpenApiParameter("limit", int, description=f"Rows of each kind, 1 to {stuck.MOST_SHOWN}."),
        ],
    )
    def get(self, request: Request) -> Response:
        for name in set(request.query_params) - set(_PARAMETERS):
            raise ValidationError({name: [f"Unknown parameter. Known are: {', '.join(_PARAMETERS)}."]})
        kinds = _visible(request)
        if not kinds:
            self.permission_denied(request)
        requested = self._kinds(request)
        shown = stuck.find_stuck([kind for kind in kinds if kind in requested], self._limit(request))
        return Response(StuckSerializer({"counts": shown.counts, "rows": shown.rows}).data)

    def _kinds(self, request: Request) -> list[Kind]:
        kind = request.query_params.get("kind")
        if kind is None:
            return list(Kind)
        if kind not in list(Kind):
            raise ValidationError({"kind": [f"No such kind. There are: {', '.join(Kind)}."]})
        return [Kind(kind)]

    def _limit(self, request: Request) -> int:
        limit = request.query_params.get("limit", str(stuck.SHOWN))
        if not (limit.isascii() and limit.isdigit() and len(limit) <= len(str(stuck.MOST_SHOWN))) or not (
            1 <= int(limit) <= stuck.MOST_SHOWN
        ):
            raise ValidationError({"limit": [f"Give a number from 1 to {stuck.MOST_SHOWN}."]})
        return int(limit)
