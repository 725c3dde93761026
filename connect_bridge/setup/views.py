"""The pages of the set-up: accounts with their status, the choice of a messenger, and a page for each step."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import qrcode
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe
from qrcode.image.svg import SvgPathImage

from channels_app.account import open_account, webhook_url
from channels_app.accounts import provider_checks
from channels_app.accounts.forms import credentials_form
from channels_app.accounts.service import VERIFY_TOKEN
from channels_app.admin.hours import now_of
from channels_app.channel import LinksToChat, RegistersWebhook
from channels_app.errors import AccountProblem
from channels_app.models import AccountHealth, ChannelAccount, SetupDraft
from channels_app.registry import channels
from connect_bridge.operations.account_status import account_statuses
from connect_bridge.setup import pausing, round_trip, steps
from connect_bridge.setup.dry_run import imagine
from connect_bridge.setup.forms import HoursForm, RouteForm
from connect_bridge.setup.steps import AccountSetup
from people.history import because
from people.typed import posted_text

Answer = HttpResponse | None


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})


def _needs(request: HttpRequest, *rights: str) -> None:
    if not any(request.user.has_perm(f"channels_app.{right}_channelaccount") for right in rights):
        raise PermissionDenied


@require_safe
def channels_page(request: HttpRequest) -> HttpResponse:
    """Show every account with its status, and the drafts."""
    _needs(request, "view", "change")
    accounts = list(ChannelAccount.objects.order_by("kind", "name").defer("credentials", "former_credentials"))
    context = {
        "title": "Channels",
        "statuses": account_statuses(accounts),
        "drafts": SetupDraft.objects.defer("credentials").order_by("-updated_at"),
        "may_change": request.user.has_perm("channels_app.change_channelaccount"),
        "may_add": request.user.has_perm("channels_app.add_channelaccount"),
        "labels": {kind: one.label for kind, one in channels().items()},
    }
    return _page(request, "channels/overview.html", context)


def add_page(request: HttpRequest) -> HttpResponse:
    """Show the messengers to choose from; the choice begins a draft."""
    _needs(request, "add")
    if request.method == "POST":
        kind = request.POST.get("kind", "")
        if kind not in channels():
            raise Http404
        setup = steps.begin(kind, request.user.get_username())
        return HttpResponseRedirect(reverse("channel-step", args=[setup.id, "ready"]))
    known = sorted(((one.label, kind, one.guide) for kind, one in channels().items()), key=lambda one: one[0])
    return _page(request, "channels/add.html", {"title": "Which messenger?", "channels": known})


@sensitive_post_parameters()
def step_page(request: HttpRequest, key: uuid.UUID, step: str) -> HttpResponse:
    """Show one step of one set-up, or take its form."""
    if step not in steps.STEPS:
        raise Http404
    setup = steps.find(key)
    _needs(request, "add" if setup.account is None else "change")
    if setup.account is None and step not in steps.BEFORE:
        return HttpResponseRedirect(reverse("channel-step", args=[key, "credentials"]))
    context: dict[str, Any] = {"title": setup.name, "setup": setup, "step": step}
    answer = _STEPS[step](request, setup, context)
    if answer is not None:
        return answer
    context |= {"steps": setup.steps(step), "next": reverse("channel-step", args=[key, steps.after(step)])}
    return _page(request, f"channels/step_{step}.html", context)


def _onward(setup: AccountSetup, step: str) -> HttpResponse:
    return HttpResponseRedirect(reverse("channel-step", args=[setup.id, steps.after(step)]))


def _ready(_request: HttpRequest, _setup: AccountSetup, _context: dict[str, Any]) -> Answer:
    return None


def _credentials(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    """Check what was typed, ask the provider, then store it. A draft keeps what was typed even if that is not right."""
    form_class = credentials_form(setup.channel)
    if request.method == "POST":
        typed = form_class(setup.row, setup.stored, request.POST)
        steps.keep_draft(setup, posted_text(request, "name"), typed.given())
    form = form_class(setup.row, setup.stored, request.POST or None)
    if request.method == "POST" and form.is_valid():
        by, reason = request.user.get_username(), posted_text(request, "change_reason")
        steps.settle(setup, form.cleaned_data["name"], form.credentials, by, reason)
        if form.answer is not None:
            messages.success(request, f"Saved. {form.answer.said}")
        return _onward(setup, "credentials")
    context["form"] = form
    return None


def _webhook(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    if request.method == "POST":
        told = provider_checks.register(setup.account)
        (messages.success if told.ok else messages.error)(request, f"{told.said} {told.fix}".strip())
        return _onward(setup, "webhook") if told.ok else HttpResponseRedirect(request.path)
    context |= {
        "url": webhook_url(setup.account.kind, setup.account.pk),
        "verify_token": setup.account.credentials.get(VERIFY_TOKEN, ""),
        "can_register": issubclass(setup.channel, RegistersWebhook),
    }
    return None


def _verify(_request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    known = {point.name: point for point in provider_checks.points_of(setup.health)}
    try:
        names = provider_checks.names_of(setup.kind, setup.account)
    except AccountProblem as problem:
        names, context["problem"] = [], problem.detail
    context["points"] = [(name, known.get(name)) for name in names]
    return None


def _form_step(
    form_class: Any, step: str, more: Callable[[HttpRequest, ChannelAccount], dict[str, Any]]
) -> Callable[[HttpRequest, AccountSetup, dict[str, Any]], Answer]:
    def show(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
        form = form_class(request.POST or None, instance=setup.account)
        if request.method == "POST" and form.is_valid():
            account = form.save(commit=False)
            because(account, posted_text(request, "change_reason"))
            account.save()
            messages.success(request, "Saved.")
            return _onward(setup, step)
        context["form"] = form
        if setup.account is not None:
            context |= more(request, setup.account)
        return None

    return show


def _about_route(request: HttpRequest, account: ChannelAccount) -> dict[str, Any]:
    """Return what the page shows besides the form, and what would happen if a customer wrote what was typed."""
    text, language = request.GET.get("say", "").strip()[:1000], request.GET.get("language", "").strip()[:16]
    return {
        "routing": steps.routing_of(account),
        "rules": account.rules.count(),
        "say": text,
        "language": language,
        "imagined": imagine(account, text, language) if text else None,
    }


def _about_hours(_request: HttpRequest, account: ChannelAccount) -> dict[str, Any]:
    return {
        "now": now_of(account.hours) if account.hours else "",
        "replies": account.replies.order_by("occasion", "language"),
    }


def _test(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    if request.method == "POST":
        round_trip.begin(setup.account)
        return HttpResponseRedirect(request.path)
    trip = round_trip.look(setup.account, setup.health)
    context["trip"] = trip
    if trip is not None:
        context |= {"text": round_trip.text_of(trip.code), **_invitation(setup, round_trip.text_of(trip.code))}
    return None


def _live(_request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    (context["status"],) = account_statuses([setup.account])
    return None


_STEPS: dict[str, Callable[[HttpRequest, AccountSetup, dict[str, Any]], Answer]] = {
    "ready": _ready,
    "credentials": _credentials,
    "webhook": _webhook,
    "verify": _verify,
    "route": _form_step(RouteForm, "route", _about_route),
    "hours": _form_step(HoursForm, "hours", _about_hours),
    "test": _test,
    "live": _live,
}


def _invitation(setup: AccountSetup, text: str) -> dict[str, Any]:
    """Return the link that opens a chat with us, and its QR code as an inline picture."""
    assert setup.account is not None
    channel = open_account(setup.account).channel
    if not isinstance(channel, LinksToChat):
        return {}
    greeting, _, code = text.rpartition(" ")
    link = channel.chat_link(setup.account.address, greeting, code)
    drawn = qrcode.make(link, image_factory=SvgPathImage, box_size=8, border=2).to_string(encoding="unicode")
    return {"link": link, "qr": SafeString(drawn)}  # the library's own drawing: squares alone


@require_POST
def check_point(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Ask the provider about one point; answer the line that shows what it said."""
    _needs(request, "change")
    setup = steps.find(key)
    name = request.POST.get("name", "")
    try:
        if setup.account is None or name not in provider_checks.names_of(setup.kind, setup.account):
            raise Http404
        point = provider_checks.ask(setup.account, name)
    except AccountProblem as problem:
        return render(request, "channels/problem.html", {"problem": problem.detail})
    return render(request, "channels/point.html", {"name": name, "point": point})


@require_safe
def test_status(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Answer how far the test has come, as a piece of the page."""
    _needs(request, "change")
    setup = steps.find(key)
    if setup.account is None:
        raise Http404
    trip = round_trip.look(setup.account, AccountHealth.objects.filter(account=key).first())
    live = reverse("channel-step", args=[key, "live"])
    return render(request, "channels/trip.html", {"trip": trip, "live": live})


@require_POST
def pause(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Pause the account, or let it go on."""
    _needs(request, "change")
    setup = steps.find(key)
    if setup.account is None:
        raise Http404
    paused = request.POST.get("to") == "pause"
    pausing.set_paused(setup.account, paused=paused, reason=posted_text(request, "change_reason"))
    told = "Paused: what comes and what agents write is kept." if paused else "Goes on, in the order in which it came."
    messages.success(request, told)
    return HttpResponseRedirect(reverse("channels"))


@require_POST
def drop_draft(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Throw a draft away."""
    _needs(request, "add")
    SetupDraft.objects.filter(pk=key).delete()
    return HttpResponseRedirect(reverse("channels"))
