"""The pages of customers: find one, see all that was said on every channel, join two or take them apart again."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import get_current_timezone_name
from django.views.decorators.http import require_GET, require_POST

from connect_bridge.customer_page.link_codes import issue_link_code
from connect_bridge.customer_page.profile import CustomerProfile, latest, search, whole
from connect_bridge.customer_page.sentiment import sentiment_source
from connect_bridge.customer_page.timeline import WHO, NotThere, Timeline, Wanted, days, timeline
from connect_bridge.customer_page.timeline_rows import shown
from connect_bridge.privacy.erasure import CannotErase, erase
from connect_bridge.privacy.export import exported
from customers.merging import CannotMerge, Method, keep_apart, merge, unmerge
from customers.models import Customer, Identity, Merge
from customers.sql_steps import Steps, take_now
from customers.suggestions import suggest
from people import moments
from people.audit import note_read
from people.privacy import Sight, masked_name, sight_of
from people.typed import posted_text

#: Days of the sentiment in the header.
TREND_DAYS = 90
may_see = permission_required("customers.view_customer", raise_exception=True)
may_merge = permission_required("customers.merge_customer", raise_exception=True)


@require_GET
@login_required
@may_see
def index(request: HttpRequest) -> HttpResponse:
    """Find a customer, or see who wrote last."""
    term = request.GET.get("q", "").replace("\0", "").strip()[:256]
    by_words = sight_of(request.user) is Sight.FULL
    found = (search(term, by_words=by_words) if term else latest()).prefetch_related("identities")
    customers = sorted(found, key=_last_seen, reverse=True)
    if term and len(customers) == 1:
        return redirect("customers:page", customers[0].pk)
    context = {"section": "customers", "term": term, "customers": [_brief(one) for one in customers]}
    return render(request, "customers/index.html", context)


def _last_seen(customer: Customer) -> str:
    return max((str(one.last_seen_at or "") for one in customer.identities.all()), default="")


def _brief(customer: Customer) -> dict[str, Any]:
    identities = list(customer.identities.all())
    found = customer.display_name or next((one.display_name for one in identities if one.display_name), "")
    name = masked_name(found) or str(customer)
    seen = [one.last_seen_at for one in identities if one.last_seen_at]
    return {"pk": customer.pk, "name": name, "identities": identities, "last_seen_at": max(seen, default=None)}


@require_GET
@login_required
@may_see
def page(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Show one customer. An id that was merged leads to the one that is shown."""
    customer = get_object_or_404(Customer, pk=pk)
    if customer.merged_into_id:
        return redirect(f"{reverse('customers:page', args=[customer.merged_into_id])}{_query(request.GET)}")
    person = whole(customer)
    note_read(request.user, "customer", [pk])
    context = {
        **view_of(person, request.GET, sight_of(request.user)),
        "section": "customers",
        "suggestions": suggest(pk) if request.user.has_perm("customers.merge_customer") else [],
        "just_merged": _in_force(person, request.GET.get("merged", "")),
        "code": request.session.pop(f"code {pk}", None),
    }
    return render(request, "customers/page.html", context)


def view_of(person: CustomerProfile, asked: QueryDict, sight: Sight) -> dict[str, Any]:
    """Return what both the page and the agent's page show. Raises Http404 for a place that is not the customer's.

    Only who may read every word may search in them: a search would tell what is hidden.
    """
    read = sight is not Sight.NONE
    wanted = _wanted(person, asked, searches=sight is Sight.FULL)
    try:
        found = timeline(wanted, person.kinds) if read else Timeline()
    except NotThere:
        raise Http404 from None
    channels = {
        window.conversation.account.kind: label
        for window in person.windows
        for label in [person.kinds[window.conversation.pk]]
    }
    return {
        "person": person,
        "timeline": shown(found, person, sentiment_source().of_messages([line.id for line in found.lines]), sight),
        "older": _turn(asked, before=found.older),
        "newer": _turn(asked, after=found.newer),
        "days": days(person.conversations) if read else [],
        "trend": sentiment_source().trend(person.conversations, TREND_DAYS) if read else None,
        "channels": channels,
        "chosen": asked.getlist("channel"),
        "timezone_name": get_current_timezone_name(),
        "asked": asked,
        "filtered": any(asked.get(name) for name in ("q", "who", "channel", "problems", "contact")),
        "target": asked.get("at", ""),
        "who": WHO,
        "may_read": read,
        "may_search": sight is Sight.FULL,
    }


def _wanted(person: CustomerProfile, asked: QueryDict, *, searches: bool) -> Wanted:
    chosen = asked.getlist("channel")
    conversations = [
        window.conversation.pk for window in person.windows if not chosen or window.conversation.account.kind in chosen
    ]
    return Wanted(
        conversations=conversations,
        before=asked.get("before", ""),
        after=asked.get("after", ""),
        at=_uuid(asked.get("at", "")),
        day=_day(asked.get("day", "")),
        search=asked.get("q", "").replace("\0", "").strip()[:200] if searches else "",
        who=asked.get("who", ""),
        problems=asked.get("problems") == "1",
        contact=_uuid(asked.get("contact", "")),
    )


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise Http404 from None


def _day(text: str) -> date | None:
    found = moments.day(text)
    if text and found is None:
        raise Http404
    return found


def _turn(asked: QueryDict, **cursor: str) -> str:
    """Return the query of the page before or after, "" if there is none."""
    if not any(cursor.values()):
        return ""
    kept = [(name, value) for name, values in asked.lists() for value in values if name not in _PLACES]
    return "?" + urlencode([*kept, *cursor.items()])


_PLACES = ("before", "after", "at", "day", "merged")


def _query(asked: QueryDict) -> str:
    return f"?{asked.urlencode()}" if asked else ""


def _in_force(person: CustomerProfile, pk: str) -> Merge | None:
    return next((one for one in person.merges if str(one.pk) == pk), None)


@login_required
@may_see
@may_merge
def join(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Compare two customers and, when asked to, make them one."""
    if not request.GET.get("with"):
        return redirect("customers:page", pk)
    one = get_object_or_404(Customer, pk=pk, merged_into=None, erased_at=None)
    other = get_object_or_404(Customer, pk=_uuid(request.GET.get("with", "")), merged_into=None, erased_at=None)
    if request.method == "POST":
        reason, by = posted_text(request, "reason"), request.user.get_username()
        done = _done(request, merge(one.pk, other.pk, Method.PERSON, evidence={}, by=by, reason=reason))
        if done is None:
            return redirect("customers:page", pk)
        return redirect(f"{reverse('customers:page', args=[done.customer])}?{urlencode({'merged': done.merge or ''})}")
    sides = sorted((one, other), key=lambda customer: (customer.created_at, customer.pk))
    found = next((each for each in suggest(one.pk) if each.customer == other.pk), None)
    context = {"section": "customers", "one": one, "sides": [whole(side) for side in sides], "suggestion": found}
    return render(request, "customers/join.html", context)


@require_POST
@login_required
@may_merge
def dismiss(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Remember that two customers are two people."""
    other, by = _uuid(request.POST.get("other", "")), request.user.get_username()
    if other is None:
        raise Http404
    if _done(request, keep_apart(pk, other, by=by, reason=posted_text(request, "reason")), empty=True) is not None:
        messages.success(request, "Two people: they will not be suggested again.")
    return redirect("customers:page", pk)


@require_POST
@login_required
@may_merge
def undo(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Take a merge back, as its toast or the list of merges asks."""
    by, apart = request.user.get_username(), request.POST.get("keep_apart") == "1"
    parts = _done(request, unmerge(pk, by=by, reason=posted_text(request, "reason"), keep_apart=apart))
    if parts is None:
        return redirect("customers:index")
    messages.success(request, "Taken apart: both histories are as they were.")
    asked = request.POST.get("customer", "")
    return redirect("customers:page", asked if asked in map(str, parts) else parts[0])


@require_POST
@login_required
@permission_required("customers.add_linkcode", raise_exception=True)
def code(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Make a link code to hand to the customer on one of their channels; it is shown once, on the next page."""
    identity = get_object_or_404(Identity, pk=_uuid(request.POST.get("identity", "")), customer=pk)
    issued = issue_link_code(identity.home_id, identity.pk, by=request.user.get_username())
    links = [{"label": f"{link.account.name}", "kind": link.account.kind, "url": link.url} for link in issued.links]
    other = [link for link in links if link["kind"] != identity.kind]
    request.session[f"code {pk}"] = {"code": issued.code, "links": other, "until": f"{issued.row.expires_at:%H:%M} UTC"}
    return redirect(f"{reverse('customers:page', args=[pk])}#code")


@require_POST
@login_required
@permission_required("customers.export_customer", raise_exception=True)
def download(request: HttpRequest, pk: uuid.UUID) -> StreamingHttpResponse:
    """Give everything that is known of the customer as a file."""
    return exported(get_object_or_404(Customer, pk=pk), request)


@require_POST
@login_required
@permission_required("customers.erase_customer", raise_exception=True)
def forget(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Erase the customer, if whoever asks has also said that they mean it."""
    if request.POST.get("sure") != "1":
        messages.error(request, "Nothing was erased: tick the box that says so.")
        return redirect("customers:page", pk)
    try:
        erase(pk, by=request.user.get_username(), reason=posted_text(request, "reason"))
    except CannotErase as refusal:
        messages.error(request, f"Nothing was erased. {refusal}")
    else:
        messages.success(request, "Erased on all channels. What Amazon Connect and the messengers keep is theirs.")
    return redirect("customers:page", pk)


def _done(request: HttpRequest, steps: Steps[Any], *, empty: bool = False) -> Any:
    """Take the steps; if that cannot be, say why and return None. `empty`: they return nothing."""
    try:
        with transaction.atomic():
            outcome = take_now(steps)
    except CannotMerge as refusal:
        messages.error(request, str(refusal))
        return None
    return True if empty else outcome
