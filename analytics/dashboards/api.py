"""/api/v1/metrics/: the same tiles as the pages show, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.urls import URLPattern, path
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics import formatting
from analytics.dashboards.access import VIEW, allowed, may_see, redacted, visible
from analytics.queries.filters import COMPARISONS, NAMES, RANGES, BadFilter, parse, unknown
from analytics.tiles import catalogue
from analytics.tiles.dashboard_data import DashboardData
from analytics.tiles.registry import TILES
from analytics.tiles.tile import Tile
from people.privacy import sight_of

PARAMETERS = [
    OpenApiParameter("range", enum=list(RANGES), description="Default: today."),
    OpenApiParameter("since", description="First day of a custom range, e.g. 2026-11-01."),
    OpenApiParameter("until", description="Last day of a custom range."),
    OpenApiParameter("compare", enum=list(COMPARISONS), description="Default: week."),
    OpenApiParameter("channel", description="Kind of channel."),
    OpenApiParameter("account", description="Id of an account."),
    OpenApiParameter("queue", description="Name of a queue; - for chats whose queue nobody told."),
    OpenApiParameter("language", description="Code of a language; - for not told."),
    OpenApiParameter("agent", description="Name of an agent; needs the permission to see agents."),
]


class MayViewDashboards(IsAdminUser):
    """Staff who may see the dashboards."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(super().has_permission(request, view)) and request.user.has_perm(VIEW)


class MetricSerializer(serializers.Serializer[Any]):
    """`value` is in `unit`: count, share (0 … 1), points (-1 … +1) or ms. `before` belongs to `compared`.

    `as_of` is set where `state` is failed and the last good value is given: then it is of that moment.
    """

    key = serializers.CharField()
    title = serializers.CharField()
    state = serializers.CharField()
    unit = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()
    of = serializers.CharField()
    small_sample = serializers.BooleanField()
    compared = serializers.FloatField(allow_null=True)
    before = serializers.FloatField(allow_null=True)
    target = serializers.FloatField(allow_null=True)
    formula = serializers.CharField()
    excludes = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())
    as_of = serializers.DateTimeField(allow_null=True)
    parts = serializers.ListField(child=serializers.DictField())
    series = serializers.DictField(allow_null=True)
    columns = serializers.ListField(child=serializers.DictField())
    rows = serializers.ListField(child=serializers.DictField())


class AnswerSerializer(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    zone = serializers.CharField()
    fresh_at = serializers.DateTimeField(allow_null=True)
    metrics = MetricSerializer(many=True)


class _MetricsView(APIView):
    permission_classes = [MayViewDashboards]

    def answer(self, request: Request, keys: Sequence[str]) -> Response:
        for name in unknown(request.query_params):
            raise ValidationError({name: [f"Unknown parameter. Known are: {', '.join(NAMES)}."]})
        try:
            chosen = parse(request.query_params, timezone.now())
        except BadFilter as problem:
            raise ValidationError({problem.field: [str(problem)]}) from None
        data = DashboardData(allowed(request.user, chosen))
        sight = sight_of(request.user)
        tiles = [redacted(catalogue.make(key, data), sight) for key in keys]
        state = data.state
        return Response(
            {
                "start": data.filter.start,
                "end": data.filter.end,
                "zone": formatting.zone_name(data.now),
                "fresh_at": state.fresh_at if state else None,
                "metrics": [_as_json(tile) for tile in tiles],
            }
        )


class MetricsView(_MetricsView):
    """All metrics of a range, as the dashboards show them."""

    @extend_schema(operation_id="v1_metrics_list", responses=AnswerSerializer, parameters=PARAMETERS)
    def get(self, request: Request) -> Response:
        return self.answer(request, visible(request.user, list(TILES)))


class MetricView(_MetricsView):
    """One metric."""

    @extend_schema(responses=AnswerSerializer, parameters=PARAMETERS)
    def get(self, request: Request, key: str) -> Response:
        if key not in TILES or not may_see(request.user, key):
            raise NotFound
        return self.answer(request, [key])


def _as_json(tile: Tile) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(tile)
    for name in ("form", "page", "drill", "shown", "change", "verdict", "splits"):
        raw.pop(name)
    raw["small_sample"] = raw.pop("small")
    return raw


def urls() -> list[URLPattern]:
    """Return the routes, to be mounted under /api/v1/."""
    return [
        path("metrics/", MetricsView.as_view(), name="api-metrics"),
        path("metrics/<slug:key>/", MetricView.as_view(), name="api-metric"),
    ]
