"""Pages that show customers: the list and search, and one customer with all that was said on every channel."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import get_current_timezone_name
from django.views.decorators.http import require_GET

from connect_bridge.customer_page.profile import CustomerProfile, read_profile
from connect_bridge.customer_page.search import latest, search
from connect_bridge.customer_page.sentiment import sentiment_source
from connect_bridge.customer_page.timeline import Timeline, timeline
from connect_bridge.customer_page.timeline_queries import ROLES, PlaceNotFound, TimelineQuery, active_days
from connect_bridge.customer_page.timeline_rows import timeline_rows
from customers.models import Customer, Merge
from customers.suggestions import suggest
from people import moments
from people.audit import note_read
from people.privacy import Sight, masked_name, sight_of

#: How many days the sentiment in the header covers.
TREND_DAYS = 90
may_see = permission_required("customers.view_customer", raise_exception=True)


@require_GET
@login_required
@may_see
def index(request: HttpRequest) -> HttpResponse:
    """Find a customer, or see who wrote last."""
    term = request.GET.get("q", "").replace("\0", "").strip()[:256]
    by_words = sight_of(request.user) is Sight.FULL
    rows = (search(term, by_words=by_words) if term else latest()).prefetch_related("identities")
    customers = sorted(rows, key=_last_seen, reverse=True)
    if term and len(customers) == 1:
        return redirect("customers:page", customers[0].pk)
    context = {"section": "customers", "term": term, "customers": [_summary(customer) for customer in customers]}
    return render(request, "customers/index.html", context)


def _last_seen(customer: Customer) -> str:
    return max((str(identity.last_seen_at or "") for identity in customer.identities.all()), default="")


def _summary(customer: Customer) -> dict[str, Any]:
    identities = list(customer.identities.all())
    names = (identity.display_name for identity in identities if identity.display_name)
    name = masked_name(customer.display_name or next(names, "")) or str(customer)
    seen = [identity.last_seen_at for identity in identities if identity.last_seen_at]
    return {"pk": customer.pk, "name": name, "identities": identities, "last_seen_at": max(seen, default=None)}


@require_GET
@login_required
@may_see
def page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one customer. An id that was merged leads to the one that is shown."""
    customer = get_object_or_404(Customer, pk=pk)
    if customer.merged_into_id:
        return redirect(f"{reverse('customers:page', args=[customer.merged_into_id])}{_query(request.GET)}")
    profile = read_profile(customer)
    note_read(request.user, "customer", [pk])
    context = {
        **profile_context(profile, request.GET, sight_of(request.user)),
        "section": "customers",
        "suggestions": suggest(pk) if request.user.has_perm("customers.merge_customer") else [],
        "just_merged": _merge_in_force(profile, request.GET.get("merged", "")),
        "code": request.session.pop(f"code {pk}", None),
    }
    return render(request, "customers/page.html", context)


def profile_context(profile: CustomerProfile, params: QueryDict, sight: Sight) -> dict[str, Any]:
    """Return what both the page and the agent's page show. Raises Http404 for a place that is not the customer's.

    Only users who may read every word may search in them: a search would reveal what is hidden.
    """
    may_read = sight is not Sight.NONE
    query = _timeline_query(profile, params, may_search=sight is Sight.FULL)
    try:
        stream = timeline(query, profile.kinds) if may_read else Timeline()
    except PlaceNotFound:
        raise Http404 from None
    source = sentiment_source()
    channels = {
        window.conversation.account.kind: label
        for window in profile.windows
        for label in [profile.kinds[window.conversation.pk]]
    }
    return {
        "person": profile,
        "timeline": timeline_rows(stream, profile, source.of_messages([row.id for row in stream.messages]), sight),
        "older": _page_link(params, before=stream.older),
        "newer": _page_link(params, after=stream.newer),
        "days": active_days(profile.conversations) if may_read else [],
        "trend": source.trend(profile.conversations, TREND_DAYS) if may_read else None,
        "channels": channels,
        "chosen": params.getlist("channel"),
        "timezone_name": get_current_timezone_name(),
        "params": params,
        "filtered": any(params.get(name) for name in ("q", "who", "channel", "problems", "contact")),
        "target": params.get("at", ""),
        "who": ROLES,
        "may_read": may_read,
        "may_search": sight is Sight.FULL,
    }


def _timeline_query(profile: CustomerProfile, params: QueryDict, *, may_search: bool) -> TimelineQuery:
    chosen = params.getlist("channel")
    conversations = [
        window.conversation.pk for window in profile.windows if not chosen or window.conversation.account.kind in chosen
    ]
    return TimelineQuery(
        conversations=conversations,
        before=params.get("before", ""),
        after=params.get("after", ""),
        at=uuid_or_404(params.get("at", "")),
        day=_day(params.get("day", "")),
        search=params.get("q", "").replace("\0", "").strip()[:200] if may_search else "",
        who=params.get("who", ""),
        problems=params.get("problems") == "1",
        contact=uuid_or_404(params.get("contact", "")),
    )


def uuid_or_404(text: str) -> uuid.UUID | None:
    """Return the id, None for no text; raise Http404 for a text that is no id."""
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise Http404 from None


def _day(text: str) -> date | None:
    day = moments.day(text)
    if text and day is None:
        raise Http404
    return day


def _page_link(params: QueryDict, **cursor: str) -> str:
    """Return the query string of the page before or after, "" if there is none."""
    if not any(cursor.values()):
        return ""
    kept = [(name, value) for name, values in params.lists() for value in values if name not in _PLACE_PARAMS]
    return "?" + urlencode([*kept, *cursor.items()])


_PLACE_PARAMS = ("before", "after", "at", "day", "merged")


def _query(params: QueryDict) -> str:
    return f"?{params.urlencode()}" if params else ""


def _merge_in_force(profile: CustomerProfile, pk: str) -> Merge | None:
    return next((merge for merge in profile.merges if str(merge.pk) == pk), None)
