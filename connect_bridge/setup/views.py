"""The pages of the set-up: accounts with their status, the choice of a messenger, the steps, and their buttons."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from channels_app.account_fields import ENCRYPTED
from channels_app.accounts import provider_checks
from channels_app.errors import AccountProblem
from channels_app.models import ChannelAccount, SetupDraft
from channels_app.registry import channels
from connect_bridge.operations.account_status import account_statuses
from connect_bridge.setup import pausing, round_trip
from connect_bridge.setup.step_pages import STEP_PAGES
from connect_bridge.setup.steps import BEFORE, STEPS, begin_draft, find_setup, step_after
from people.typed import posted_text


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})


def _require_any(request: HttpRequest, *rights: str) -> None:
    if not any(request.user.has_perm(f"channels_app.{right}_channelaccount") for right in rights):
        raise PermissionDenied


@require_safe
def channels_page(request: HttpRequest) -> HttpResponse:
    """Show every account with its status, and the drafts."""
    _require_any(request, "view", "change")
    accounts = list(ChannelAccount.objects.order_by("kind", "name").defer(*ENCRYPTED))
    context = {
        "title": "Channels",
        "statuses": account_statuses(accounts),
        "drafts": SetupDraft.objects.defer("credentials").order_by("-updated_at"),
        "may_change": request.user.has_perm("channels_app.change_channelaccount"),
        "may_add": request.user.has_perm("channels_app.add_channelaccount"),
        "labels": {kind: channel.label for kind, channel in channels().items()},
    }
    return _page(request, "channels/overview.html", context)


def add_page(request: HttpRequest) -> HttpResponse:
    """Show the messengers to choose from; the choice begins a draft."""
    _require_any(request, "add")
    if request.method == "POST":
        kind = request.POST.get("kind", "")
        if kind not in channels():
            raise Http404
        setup = begin_draft(kind, request.user.get_username())
        return HttpResponseRedirect(reverse("channel-step", args=[setup.id, "ready"]))
    by_label = sorted(channels().items(), key=lambda item: item[1].label)
    known = [(channel.label, kind, channel.guide) for kind, channel in by_label]
    return _page(request, "channels/add.html", {"title": "Which messenger?", "channels": known})


@sensitive_post_parameters()
def step_page(request: HttpRequest, key: uuid.UUID, step: str) -> HttpResponse:
    """Show one step of one set-up, or take its form."""
    if step not in STEPS:
        raise Http404
    setup = find_setup(key)
    _require_any(request, "add" if setup.account is None else "change")
    if setup.account is None and step not in BEFORE:
        return HttpResponseRedirect(reverse("channel-step", args=[key, "credentials"]))
    context: dict[str, Any] = {"title": setup.name, "setup": setup, "step": step}
    answer = STEP_PAGES[step](request, setup, context)
    if answer is not None:
        return answer
    context |= {"steps": setup.steps(step), "next": reverse("channel-step", args=[key, step_after(step)])}
    return _page(request, f"channels/step_{step}.html", context)


@require_POST
def check_point(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Ask the provider about one point; answer the line that shows what it said."""
    _require_any(request, "change")
    setup = find_setup(key)
    name = request.POST.get("name", "")
    try:
        if setup.account is None or name not in provider_checks.names_of(setup.kind, setup.account):
            raise Http404
        point = provider_checks.ask(setup.account, name)
    except AccountProblem as problem:
        return render(request, "channels/problem.html", {"problem": problem.detail})
    return render(request, "channels/point.html", {"name": name, "point": point})


@require_POST
def test_status(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Answer how far the test has come, as a piece of the page; once it is complete, note that the account is live."""
    _require_any(request, "change")
    setup = find_setup(key)
    if setup.account is None:
        raise Http404
    test = round_trip.read_round_trip(setup.account, setup.health)
    round_trip.note_live(setup.account, test)
    live = reverse("channel-step", args=[key, "live"])
    return render(request, "channels/round_trip.html", {"round_trip": test, "live": live})


@require_POST
def pause(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Pause the account, or let it go on."""
    _require_any(request, "change")
    setup = find_setup(key)
    if setup.account is None:
        raise Http404
    paused = request.POST.get("to") == "pause"
    pausing.set_paused(setup.account, paused=paused, reason=posted_text(request, "change_reason"))
    outcome = (
        "Paused: what comes and what agents write is kept." if paused else "Goes on, in the order in which it came."
    )
    messages.success(request, outcome)
    return HttpResponseRedirect(reverse("channels"))


@require_POST
def drop_draft(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Throw a draft away."""
    _require_any(request, "add")
    SetupDraft.objects.filter(pk=key).delete()
    return HttpResponseRedirect(reverse("channels"))
