"""The pages of the event log: the list, why things failed, one message's flight record, and another try."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from channels_app.accounts.explanations import explain
from channels_app.models import ChannelAccount
from channels_app.recovery import reprocess
from connect_bridge.event_log import message_trace, queries
from connect_bridge.event_log.queries import Direction, Fate, Wanted
from connect_bridge.event_log.replay_log import on_record, reprocess_counts, retry_counts
from connect_bridge.models import OutboxEntry, Replay
from connect_bridge.outbox import retry_plan
from people.audit import note_read
from people.moments import moment
from people.privacy import Sight, masked_body, masked_json, masked_text, sight_of

#: Rights by which one sees the log, retries sends, and has webhooks read again.
SEE = ("channels_app.view_webhookdelivery", "connect_bridge.view_outboxentry")
RETRY, REPROCESS = "connect_bridge.change_outboxentry", "channels_app.change_webhookdelivery"
#: Rows that one press of a button sets going, and days that the list of causes looks back.
MOST_AT_ONCE = 1_000
DAYS = 7
SINCE = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    rights = {"may_retry": request.user.has_perm(RETRY), "may_reprocess": request.user.has_perm(REPROCESS)}
    return TemplateResponse(request, template, {**admin.site.each_context(request), **rights, **context})


def _needs(request: HttpRequest, *rights: str) -> None:
    if not all(request.user.has_perm(right) for right in rights):
        raise PermissionDenied


@require_safe
def events_page(request: HttpRequest) -> HttpResponse:
    """List webhooks and sends."""
    _needs(request, *SEE)
    wanted, asked = _wanted(request)
    rows = queries.page(wanted)
    shown, more = rows[: queries.PAGE], len(rows) > queries.PAGE
    older = urlencode({**asked, "before": shown[-1].at.isoformat()}) if more else ""
    accounts = ChannelAccount.objects.order_by("kind", "name").values_list("pk", "name")
    context = {
        "title": "Event log",
        "rows": shown,
        "older": older,
        "asked": asked,
        "accounts": [(str(pk), name) for pk, name in accounts],
        "filters": _filters(asked),
        "since": SINCE,
    }
    return _page(request, "events/list.html", context)


def _wanted(request: HttpRequest) -> tuple[Wanted, dict[str, str]]:
    """Return what is asked for, and the same for addresses; what is not understood is left out."""
    given = {name: request.GET.get(name, "").strip() for name in ("direction", "fate", "account", "since", "q")}
    whole = sight_of(request.user) is Sight.FULL
    account, before = _uuid(given["account"]), moment(request.GET.get("before", ""))
    asked = {
        "direction": given["direction"] if given["direction"] in list(Direction) else "",
        "fate": given["fate"] if given["fate"] in list(Fate) else "",
        "account": str(account or ""),
        "since": given["since"] if given["since"] in SINCE else "",
        "q": given["q"].replace("\0", "")[:300],
    }
    wanted = Wanted(
        direction=asked["direction"],
        fate=asked["fate"],
        account=account,
        since=timezone.now() - SINCE[asked["since"]] if asked["since"] else None,
        before=before,
        found=queries.find(asked["q"], of_people=whole) if asked["q"] else None,
    )
    return wanted, {name: text for name, text in asked.items() if text}


def _filters(asked: dict[str, str]) -> list[dict[str, Any]]:
    """Return the saved filters: those that people come for."""
    wanted: tuple[tuple[str, dict[str, str]], ...] = (
        ("Everything", {}),
        ("Failed", {"fate": "failed"}),
        ("Waiting", {"fate": "waiting"}),
        ("From customers", {"direction": "in"}),
        ("To customers", {"direction": "out"}),
    )
    kept = {name: asked[name] for name in ("account", "since") if name in asked}
    here = {name: text for name, text in asked.items() if name in ("fate", "direction")}
    return [{"title": title, "query": urlencode(kept | chosen), "here": chosen == here} for title, chosen in wanted]


@require_safe
def failures_page(request: HttpRequest) -> HttpResponse:
    """Group what failed of late by its cause."""
    _needs(request, *SEE)
    causes = queries.causes(timezone.now() - timedelta(days=DAYS))
    told = [(cause, explain(cause.code, kind=cause.kind, provider_code=cause.provider_code)) for cause in causes]
    return _page(request, "events/failures.html", {"title": "Failures by cause", "causes": told, "days": DAYS})


@require_safe
def webhook_page(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Show one webhook's flight record."""
    _needs(request, *SEE)
    record = message_trace.of_webhook(key)
    if record is None or record.delivery is None:
        raise Http404
    sight = sight_of(request.user)
    context = {
        "title": f"Webhook of {record.account.name}",
        "record": record,
        "raw": masked_body(bytes(record.delivery.body).decode("utf-8", "replace"), sight)[:20_000],
        "normalised": [_json(masked_json(entry.event, sight)) for entry in record.entries],
        "text": masked_text(record.message.text, sight) if record.message else "",
        "said_back": masked_text(record.answer.text, sight) if record.answer else "",
    }
    note_read(request.user, "webhook", [key])
    return _page(request, "events/flight.html", context)


@require_safe
def send_page(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Show one send's flight record."""
    _needs(request, *SEE)
    record = message_trace.of_send(key)
    if record is None or record.send is None or record.message is None:
        raise Http404
    sight = sight_of(request.user)
    original = record.message.original
    context = {
        "title": f"Send of {record.account.name}",
        "record": record,
        "raw": _json(masked_json(original, sight)) if original else "",
        "normalised": [],
        "text": masked_text(record.send.text, sight),
        "retriable": record.send.state in (OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN),
    }
    note_read(request.user, "send", [key])
    return _page(request, "events/flight.html", context)


@require_POST
def retry_page(request: HttpRequest) -> HttpResponse:
    """Say what a retry of the chosen sends would do; do it if that was confirmed."""
    _needs(request, *SEE, RETRY)
    wish = retry_plan.RetryRequest(
        states=(OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN),
        ids=_chosen(request),
        may_arrive_twice="may_arrive_twice" in request.POST,
        closed_windows="closed_windows" in request.POST,
    )
    made = retry_plan.plan(wish) if wish.ids else retry_plan.Plan()
    if "confirmed" in request.POST and made.going:
        with on_record(Replay.Verb.RETRY, request.user.get_username(), {"id": [str(one) for one in wish.ids]}) as entry:
            for batch in retry_plan.carry_out(made):
                entry.rows += map(str, batch)
            entry.counts = retry_counts(made)
        messages.success(request, f"{len(made.going)} on their way to customers again.")
        return HttpResponseRedirect(reverse("events"))
    context = {
        "title": "Retry delivery?",
        "counts": retry_counts(made),
        "left_out": [(reason.value.partition("; --")[0], count) for reason, count in made.left_out.most_common()],
        "ids": wish.ids,
        "wish": wish,
    }
    return _page(request, "events/retry.html", context)


@require_POST
def reprocess_page(request: HttpRequest) -> HttpResponse:
    """Say what reading the chosen webhooks again would do; do it if that was confirmed."""
    _needs(request, *SEE, REPROCESS)
    ids, confirmed = _chosen(request), "confirmed" in request.POST
    chosen = reprocess.choose([], ids=ids).model.objects.filter(pk__in=ids).order_by("received_at", "pk")
    if confirmed and ids:
        asked = {"id": [str(one) for one in ids]}
        with on_record(Replay.Verb.REPROCESS, request.user.get_username(), asked) as entry:
            readings = list(reprocess.read_again(chosen, act=True))
            entry.rows += [str(one.delivery) for one in readings if one.helps]
            entry.counts = reprocess_counts(readings)
        messages.success(request, f"Read again: {entry.counts['messages']} messages are on their way to agents.")
        return HttpResponseRedirect(reverse("events"))
    counts = reprocess_counts(reprocess.read_again(chosen, act=False))
    return _page(request, "events/reprocess.html", {"title": "Reprocess?", "counts": counts, "ids": ids})


def _chosen(request: HttpRequest) -> Sequence[uuid.UUID]:
    found = (_uuid(text) for text in request.POST.getlist("id")[:MOST_AT_ONCE])
    return list(dict.fromkeys(one for one in found if one is not None))


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)[:20_000]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
