"""Pages of alerts and scheduled reports. Who may see dashboards sees them; changing them needs a permission."""

from __future__ import annotations

import uuid
from collections.abc import Container
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analytics import formatting
from analytics.alerts import rules as logic
from analytics.alerts.forms import AlertForm, ReportForm
from analytics.alerts.metrics import METRICS
from analytics.dashboards.access import SHARE, dashboards, orphaned, who_sees
from analytics.models import AlertEvent, AlertRule, Report
from analytics.queries.filters import BadFilter

MOST_EVENTS = 30
#: Initial values of a new rule, in people's units; it does not switch back and forth on small samples.
FIRST_RULE = {"metric": "negative", "threshold": 30, "clears_at": 22, "minimum": 10, "deviations": 3, "evaluations": 2}
#: Hours for which a rule can be silenced.
SILENCES = (1, 8, 24, 168)


@require_safe
@dashboards()
def alerts(request: HttpRequest) -> HttpResponse:
    """List rules, their latest events, and reports."""
    rules, seeing = AlertRule.objects.select_related("owner").order_by("name"), who_sees()
    context = {
        "section": "dashboards",
        "rules": [(rule, _written(rule, seeing)) for rule in rules],
        "events": [
            (event, formatting.written(event.value, METRICS[event.rule.metric].unit))
            for event in AlertEvent.objects.select_related("rule").order_by("-at")[:MOST_EVENTS]
        ],
        "reports": Report.objects.select_related("owner").order_by("name"),
        "mail_off": not settings.EMAIL_URL,
        "now": timezone.now(),
        "silences": SILENCES,
    }
    return render(request, "analytics/alerts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@dashboards(SHARE)
def alert(request: HttpRequest, rule: uuid.UUID | None = None) -> HttpResponse:
    """Make or change a rule. Before it is saved, the page says how often it would have fired last week."""
    instance = get_object_or_404(AlertRule, pk=rule) if rule else AlertRule(owner_id=_me(request))
    initial = FIRST_RULE | _defaults(request) if rule is None else None
    form = AlertForm(request.POST or None, instance=instance, initial=initial)
    fired: list[Any] | None = None
    if form.is_valid():
        changed = form.save(commit=False)
        fired = _backtest(changed)
        if "try" not in request.POST:
            changed.state, changed.streak = AlertRule.State.NORMAL, 0
            note = _take_over(request, changed)
            changed.save()
            messages.success(request, f"The alert “{changed.name}” is saved{note}.")
            return HttpResponseRedirect(reverse("dashboards:alerts"))
    elif rule and request.method != "POST":
        fired = _backtest(instance)
    context = {
        "section": "dashboards",
        "form": form,
        "rule": instance if rule else None,
        "orphaned": orphaned(instance.owner) if rule else "",
        "fired": None if fired is None else [formatting.hour(at) for at in fired],
        "silences": SILENCES,
        "mail_off": not settings.EMAIL_URL,
    }
    return render(request, "analytics/alert_form.html", context)


@require_POST
@dashboards(SHARE)
def mute(request: HttpRequest, rule: uuid.UUID) -> HttpResponse:
    """Mute a rule for some hours, or unmute it."""
    instance = get_object_or_404(AlertRule, pk=rule)
    hours = request.POST.get("hours", "0")
    chosen = int(hours) if hours.isdecimal() and int(hours) in SILENCES else 0
    instance.muted_until = timezone.now() + timedelta(hours=chosen) if chosen else None
    instance.save(update_fields=["muted_until"])
    what = f"is silent for {chosen} h" if chosen else "speaks again"
    messages.success(request, f"The alert “{instance.name}” {what}.")
    return HttpResponseRedirect(reverse("dashboards:alerts"))


@require_POST
@dashboards(SHARE)
def delete_alert(request: HttpRequest, rule: uuid.UUID) -> HttpResponse:
    """Delete a rule and its events."""
    return _delete(request, get_object_or_404(AlertRule, pk=rule), "alert")


@require_http_methods(["GET", "HEAD", "POST"])
@dashboards(SHARE)
def report(request: HttpRequest, report: uuid.UUID | None = None) -> HttpResponse:
    """Make or change a report."""
    instance = get_object_or_404(Report, pk=report) if report else Report(owner_id=_me(request))
    form = ReportForm(request.POST or None, instance=instance, initial=_defaults(request))
    if form.is_valid():
        note = _take_over(request, instance)
        form.save()
        messages.success(request, f"The report “{instance.name}” is saved{note}.")
        return HttpResponseRedirect(reverse("dashboards:alerts"))
    context = {"section": "dashboards", "form": form, "report": instance if report else None}
    context["orphaned"] = orphaned(instance.owner) if report else ""
    return render(request, "analytics/report_form.html", context | {"mail_off": not settings.EMAIL_URL})


@require_POST
@dashboards(SHARE)
def delete_report(request: HttpRequest, report: uuid.UUID) -> HttpResponse:
    """Delete a report."""
    return _delete(request, get_object_or_404(Report, pk=report), "report")


def _me(request: HttpRequest) -> int:
    assert request.user.pk is not None
    return int(request.user.pk)


def _take_over(request: HttpRequest, instance: AlertRule | Report) -> str:
    """Make the person who saves it the owner, if the present owner cannot be; return the text that says so."""
    if not orphaned(instance.owner):
        return ""
    instance.owner_id = _me(request)
    if isinstance(instance, Report):
        instance.trouble = ""
    return ", and is yours from now on"


def _delete(request: HttpRequest, instance: AlertRule | Report, what: str) -> HttpResponse:
    instance.delete()
    messages.success(request, f"The {what} “{instance.name}” is deleted.")
    return HttpResponseRedirect(reverse("dashboards:alerts"))


def _defaults(request: HttpRequest) -> dict[str, Any]:
    """Return the initial values of a new form: the filters of the page that linked here."""
    query = request.GET.copy()
    query.pop("view", None)
    return {"query": query.urlencode()}


def _backtest(rule: AlertRule) -> list[Any]:
    try:
        return list(logic.backtest(rule, timezone.now()))
    except BadFilter:
        return []


def _written(rule: AlertRule, seeing: Container[Any]) -> dict[str, str]:
    metric = METRICS[rule.metric]
    return {
        "orphaned": orphaned(rule.owner, seeing),
        "title": metric.title,
        "of": metric.of,
        "value": formatting.written(rule.value, metric.unit),
        "threshold": formatting.written(rule.threshold, metric.unit),
    }
