"""What each step of the set-up does: a function for each, which fills the page's context or answers the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qrcode
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from qrcode.image.svg import SvgPathImage

from channels_app.account import open_account, webhook_url
from channels_app.accounts import provider_checks
from channels_app.accounts.forms import credentials_form
from channels_app.accounts.service import VERIFY_TOKEN
from channels_app.admin.hours import now_of
from channels_app.channel import LinksToChat, RegistersWebhook
from channels_app.errors import AccountProblem
from channels_app.models import ChannelAccount
from connect_bridge.operations.account_status import account_statuses
from connect_bridge.setup import round_trip
from connect_bridge.setup.dry_run import simulate
from connect_bridge.setup.forms import HoursForm, RouteForm
from connect_bridge.setup.steps import AccountSetup, keep_draft, routing_of, save_account, step_after
from people.history import because
from people.typed import posted_text

#: The answer to a form, or None: then the step's page is shown.
Answer = HttpResponse | None


def _next_step(setup: AccountSetup, step: str) -> HttpResponse:
    return HttpResponseRedirect(reverse("channel-step", args=[setup.id, step_after(step)]))


def _ready(_request: HttpRequest, _setup: AccountSetup, _context: dict[str, Any]) -> Answer:
    return None


def _credentials(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    """Check what was typed, ask the provider, then store it. A draft keeps what was typed even if that is not right."""
    form_class = credentials_form(setup.channel)
    if request.method == "POST":
        typed = form_class(setup.row, setup.stored, request.POST)
        keep_draft(setup, posted_text(request, "name"), typed.entered())
    form = form_class(setup.row, setup.stored, request.POST or None)
    if request.method == "POST" and form.is_valid():
        by, reason = request.user.get_username(), posted_text(request, "change_reason")
        save_account(setup, form.cleaned_data["name"], form.credentials, by, reason)
        if form.answer is not None:
            messages.success(request, f"Saved. {form.answer.said}")
        return _next_step(setup, "credentials")
    context["form"] = form
    return None


def _webhook(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    if request.method == "POST":
        answer = provider_checks.register(setup.account)
        (messages.success if answer.ok else messages.error)(request, f"{answer.said} {answer.fix}".strip())
        return _next_step(setup, "webhook") if answer.ok else HttpResponseRedirect(request.path)
    context |= {
        "url": webhook_url(setup.account.kind, setup.account.pk),
        "verify_token": setup.account.credentials.get(VERIFY_TOKEN, ""),
        "can_register": issubclass(setup.channel, RegistersWebhook),
    }
    return None


def _verify(_request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    latest = {point.name: point for point in provider_checks.points_of(setup.health)}
    try:
        names = provider_checks.names_of(setup.kind, setup.account)
    except AccountProblem as problem:
        names, context["problem"] = [], problem.detail
    context["points"] = [(name, latest.get(name)) for name in names]
    return None


def _form_step(
    form_class: Any, step: str, context_of: Callable[[HttpRequest, ChannelAccount], dict[str, Any]]
) -> Callable[[HttpRequest, AccountSetup, dict[str, Any]], Answer]:
    def show(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
        form = form_class(request.POST or None, instance=setup.account)
        if request.method == "POST" and form.is_valid():
            account = form.save(commit=False)
            because(account, posted_text(request, "change_reason"))
            account.save()
            messages.success(request, "Saved.")
            return _next_step(setup, step)
        context["form"] = form
        if setup.account is not None:
            context |= context_of(request, setup.account)
        return None

    return show


def _route_context(request: HttpRequest, account: ChannelAccount) -> dict[str, Any]:
    """Return what the page shows besides the form, with a dry run of the message that was typed."""
    text, language = request.GET.get("say", "").strip()[:1000], request.GET.get("language", "").strip()[:16]
    return {
        "routing": routing_of(account),
        "rules": account.rules.count(),
        "say": text,
        "language": language,
        "dry_run": simulate(account, text, language) if text else None,
    }


def _hours_context(_request: HttpRequest, account: ChannelAccount) -> dict[str, Any]:
    return {
        "now": now_of(account.hours) if account.hours else "",
        "replies": account.replies.order_by("occasion", "language"),
    }


def _test(request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    if request.method == "POST":
        round_trip.note_live(setup.account, round_trip.read_round_trip(setup.account, setup.health))
        round_trip.begin(setup.account)
        return HttpResponseRedirect(request.path)
    test = round_trip.read_round_trip(setup.account, setup.health)
    context["round_trip"] = test
    if test is not None:
        text = round_trip.text_of(test.code)
        context |= {"text": text, **_invitation(setup, text)}
    return None


def _live(_request: HttpRequest, setup: AccountSetup, context: dict[str, Any]) -> Answer:
    assert setup.account is not None
    (context["status"],) = account_statuses([setup.account])
    return None


def _invitation(setup: AccountSetup, text: str) -> dict[str, Any]:
    """Return the link that opens a chat with us, and its QR code as an inline picture."""
    assert setup.account is not None
    channel = open_account(setup.account).channel
    if not isinstance(channel, LinksToChat):
        return {}
    greeting, _, code = text.rpartition(" ")
    link = channel.chat_link(setup.account.address, greeting, code)
    drawing = qrcode.make(link, image_factory=SvgPathImage, box_size=8, border=2).to_string(encoding="unicode")
    return {"link": link, "qr": SafeString(drawing)}  # the library's own drawing: squares alone


STEP_PAGES: dict[str, Callable[[HttpRequest, AccountSetup, dict[str, Any]], Answer]] = {
    "ready": _ready,
    "credentials": _credentials,
    "webhook": _webhook,
    "verify": _verify,
    "route": _form_step(RouteForm, "route", _route_context),
    "hours": _form_step(HoursForm, "hours", _hours_context),
    "test": _test,
    "live": _live,
}
