"""What one can do with a customer: join two or keep them apart, undo that, make a link code, export, erase."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from connect_bridge.customer_page.link_codes import issue_link_code
from connect_bridge.customer_page.profile import read_profile
from connect_bridge.customer_page.views import may_see, uuid_or_404
from connect_bridge.privacy.erasure import CannotErase, erase
from connect_bridge.privacy.export import exported
from customers.merging import CannotMerge, Method, keep_apart, merge, unmerge
from customers.models import Customer, Identity
from customers.sql_steps import Steps, take_now
from customers.suggestions import suggest
from people.typed import posted_text

may_merge = permission_required("customers.merge_customer", raise_exception=True)


@login_required
@may_see
@may_merge
def join(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Compare two customers and, when asked to, make them one."""
    if not request.GET.get("with"):
        return redirect("customers:page", pk)
    customer = get_object_or_404(Customer, pk=pk, merged_into=None, erased_at=None)
    other = get_object_or_404(Customer, pk=uuid_or_404(request.GET.get("with", "")), merged_into=None, erased_at=None)
    if request.method == "POST":
        reason, by = posted_text(request, "reason"), request.user.get_username()
        merged = _run(request, merge(customer.pk, other.pk, Method.PERSON, evidence={}, by=by, reason=reason))
        if merged is None:
            return redirect("customers:page", pk)
        address = reverse("customers:page", args=[merged.customer])
        return redirect(f"{address}?{urlencode({'merged': merged.merge or ''})}")
    sides = sorted((customer, other), key=lambda side: (side.created_at, side.pk))
    suggestion = next((likely for likely in suggest(customer.pk) if likely.customer == other.pk), None)
    context = {
        "section": "customers",
        "customer": customer,
        "sides": [read_profile(side) for side in sides],
        "suggestion": suggestion,
    }
    return render(request, "customers/join.html", context)


@require_POST
@login_required
@may_merge
def dismiss(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Remember that two customers are two people."""
    other, by = uuid_or_404(request.POST.get("other", "")), request.user.get_username()
    if other is None:
        raise Http404
    if _run(request, keep_apart(pk, other, by=by, reason=posted_text(request, "reason")), empty=True) is not None:
        messages.success(request, "Two people: they will not be suggested again.")
    return redirect("customers:page", pk)


@require_POST
@login_required
@may_merge
def undo(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Take a merge back, as its toast or the list of merges asks."""
    by, apart = request.user.get_username(), request.POST.get("keep_apart") == "1"
    parts = _run(request, unmerge(pk, by=by, reason=posted_text(request, "reason"), keep_apart=apart))
    if parts is None:
        return redirect("customers:index")
    messages.success(request, "Taken apart: both histories are as they were.")
    shown = request.POST.get("customer", "")
    return redirect("customers:page", shown if shown in map(str, parts) else parts[0])


@require_POST
@login_required
@permission_required("customers.add_linkcode", raise_exception=True)
def code(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Make a link code to hand to the customer on one of their channels; it is shown once, on the next page."""
    identity = get_object_or_404(Identity, pk=uuid_or_404(request.POST.get("identity", "")), customer=pk)
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
def erase_customer(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Erase the customer, if the box that confirms it is ticked."""
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


def _run(request: HttpRequest, steps: Steps[Any], *, empty: bool = False) -> Any:
    """Run the SQL steps in one transaction; if they refuse, say why and return None.

    `empty`: the steps return nothing; True then says that they were run.
    """
    try:
        with transaction.atomic():
            outcome = take_now(steps)
    except CannotMerge as refusal:
        messages.error(request, str(refusal))
        return None
    return True if empty else outcome
