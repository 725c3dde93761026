"""Saved views: the owner saves, shares, pins and deletes them."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from analytics.dashboards.access import SHARE, dashboards
from analytics.models import SavedView
from analytics.tiles.registry import OVERVIEW, PAGES
from people.typed import posted_text

MOST_NAME, MOST_QUERY = 80, 1000


@require_POST
@dashboards()
def save(request: HttpRequest) -> HttpResponse:
    """Save the page's filters under a name; a view of that name is replaced."""
    name = posted_text(request, "name", MOST_NAME)
    page = request.POST.get("page", OVERVIEW)
    query = posted_text(request, "query", MOST_QUERY + 1)
    if not name or len(query) > MOST_QUERY or page not in (OVERVIEW, "chats", *PAGES):
        messages.error(request, "The view was not saved: give it a name.")
        return _back(request)
    pinned = request.POST.get("pinned") == "on"
    if pinned:
        SavedView.objects.filter(owner_id=request.user.pk, page=page, pinned=True).update(pinned=False)
    shared = request.POST.get("shared") == "on" and request.user.has_perm(SHARE)
    values = {"page": page, "query": query, "shared": shared, "pinned": pinned}
    view, _ = SavedView.objects.update_or_create(owner_id=request.user.pk, name=name, defaults=values)
    messages.success(request, f"The view “{view.name}” is saved.")
    address = reverse("dashboards:overview") if page == OVERVIEW else reverse("dashboards:page", args=[page])
    return HttpResponseRedirect(f"{address}?{query}&view={view.id}")


@require_POST
@dashboards()
def delete(request: HttpRequest, view: uuid.UUID) -> HttpResponse:
    """Delete a view; only its owner may."""
    saved = get_object_or_404(SavedView, pk=view, owner_id=request.user.pk)
    saved.delete()
    messages.success(request, f"The view “{saved.name}” is deleted.")
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    address = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(address if safe else reverse("dashboards:overview"))
