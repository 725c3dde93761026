"""The filter bar above every dashboard: what can be chosen, what is chosen, and how to take each choice away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from analytics.dashboards.access import AGENTS
from analytics.models import Rollup, SavedView
from analytics.queries.filters import COMPARISONS, NONE, RANGES
from analytics.tiles.dashboard_data import DashboardData

#: Values of a facet that can be chosen.
MOST = 200


def build(request: HttpRequest, data: DashboardData, page: str) -> dict[str, Any]:
    """Return what the filter bar's template shows."""
    facets = [facet for facet in ("queue", "language", "agent") if facet != "agent" or request.user.has_perm(AGENTS)]
    return {
        "action": request.path,
        "ranges": RANGES,
        "comparisons": COMPARISONS,
        "kinds": sorted({account.kind for account in data.all_accounts}),
        "accounts": data.all_accounts,
        "facets": [
            {
                "name": facet,
                "chosen": _written(getattr(data.filter, facet)),
                "values": [(value or NONE, value or "not told") for value in _values(facet, data)],
            }
            for facet in facets
        ],
        "chips": list(_chips(request, data)),
        "clear": f"{request.path}?{data.filter.cleared}",
        "views": _views(request, page),
    }


def _written(value: str | None) -> str:
    return "" if value is None else value or NONE


def _values(facet: str, data: DashboardData) -> list[str]:
    """Return the values that the facet had in the last 28 days or in the range, whichever is longer."""
    rows = Rollup.objects.filter(grain=Rollup.Grain.DAY, facet=facet, at__gte=data.filter.start)
    values = set(rows.values_list("value", flat=True).distinct()[:MOST])
    if (chosen := getattr(data.filter, facet)) is not None:
        values.add(chosen)
    return sorted(values)


def _chips(request: HttpRequest, data: DashboardData) -> Iterator[dict[str, str]]:
    chosen = data.filter
    names = {account.id: account.name for account in data.all_accounts}
    texts = {
        "channel": chosen.channel,
        "account": names.get(chosen.account, "unknown account") if chosen.account else "",
        **{facet: value or "not told" for facet, value in chosen.facets.items()},
    }
    for name, text in texts.items():
        if text:
            yield {"name": name, "text": text, "without": f"{request.path}?{chosen.query(**{name: ''})}"}


def _views(request: HttpRequest, page: str) -> dict[str, Any]:
    views = (
        SavedView.objects.filter(Q(owner_id=request.user.pk) | Q(shared=True)).select_related("owner").order_by("name")
    )
    current = next((view for view in views if str(view.id) == request.GET.get("view")), None)
    query = _query(request)
    return {
        "all": [
            {
                "view": view,
                "url": f"{_address(view.page)}?{view.query}&view={view.id}",
                "mine": view.owner == request.user,
            }
            for view in views
        ],
        "current": current,
        "modified": current is not None and current.query != query,
        "page": page,
        "query": query,
        "save": reverse("dashboards:save-view"),
    }


def _query(request: HttpRequest) -> str:
    query = request.GET.copy()
    query.pop("view", None)
    return query.urlencode()


def _address(page: str) -> str:
    return reverse("dashboards:overview") if page == "overview" else reverse("dashboards:page", args=[page])
