"""The pages of the event log: the list, failures by cause, and the trace of one message."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from channels_app.accounts.explanations import explain
from channels_app.models import ChannelAccount
from connect_bridge.event_log import queries
from connect_bridge.event_log.failures import causes_since
from connect_bridge.event_log.message_trace import trace_send, trace_webhook
from connect_bridge.event_log.pages import SEE, require_all, show, uuid_or_none
from connect_bridge.event_log.queries import Direction, EventFilter, Fate
from connect_bridge.event_log.search import find_ids
from connect_bridge.models import OutboxEntry
from people.audit import note_read
from people.json_masking import masked_body, masked_json
from people.moments import moment
from people.privacy import Sight, masked_text, sight_of

#: How many days the list of causes looks back.
DAYS = 7
SINCE = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}


@require_safe
def events_page(request: HttpRequest) -> HttpResponse:
    """List webhooks and sends."""
    require_all(request, *SEE)
    criteria, params = _criteria(request)
    rows = queries.list_events(criteria)
    shown, more = rows[: queries.PAGE], len(rows) > queries.PAGE
    older = urlencode({**params, "before": shown[-1].at.isoformat()}) if more else ""
    accounts = ChannelAccount.objects.order_by("kind", "name").values_list("pk", "name")
    context = {
        "title": "Event log",
        "rows": shown,
        "older": older,
        "params": params,
        "accounts": [(str(pk), name) for pk, name in accounts],
        "filters": _filters(params),
        "since": SINCE,
    }
    return show(request, "events/list.html", context)


def _criteria(request: HttpRequest) -> tuple[EventFilter, dict[str, str]]:
    """Return what to list, and the same as parameters for links; values that are not understood are left out."""
    raw = {name: request.GET.get(name, "").strip() for name in ("direction", "fate", "account", "since", "q")}
    account, before = uuid_or_none(raw["account"]), moment(request.GET.get("before", ""))
    params = {
        "direction": raw["direction"] if raw["direction"] in list(Direction) else "",
        "fate": raw["fate"] if raw["fate"] in list(Fate) else "",
        "account": str(account or ""),
        "since": raw["since"] if raw["since"] in SINCE else "",
        "q": raw["q"].replace("\0", "")[:300],
    }
    criteria = EventFilter(
        direction=params["direction"],
        fate=params["fate"],
        account=account,
        since=timezone.now() - SINCE[params["since"]] if params["since"] else None,
        before=before,
        ids=find_ids(params["q"], of_people=sight_of(request.user) is Sight.FULL) if params["q"] else None,
    )
    return criteria, {name: text for name, text in params.items() if text}


def _filters(params: dict[str, str]) -> list[dict[str, Any]]:
    """Return the buttons above the list, with the one that is in force marked."""
    buttons: tuple[tuple[str, dict[str, str]], ...] = (
        ("Everything", {}),
        ("Failed", {"fate": "failed"}),
        ("Waiting", {"fate": "waiting"}),
        ("From customers", {"direction": "in"}),
        ("To customers", {"direction": "out"}),
    )
    kept = {name: params[name] for name in ("account", "since") if name in params}
    here = {name: text for name, text in params.items() if name in ("fate", "direction")}
    return [{"title": title, "query": urlencode(kept | chosen), "here": chosen == here} for title, chosen in buttons]


@require_safe
def failures_page(request: HttpRequest) -> HttpResponse:
    """Show what failed lately, grouped by cause."""
    require_all(request, *SEE)
    causes = [
        (cause, explain(cause.code, kind=cause.kind, provider_code=cause.provider_code))
        for cause in causes_since(timezone.now() - timedelta(days=DAYS))
    ]
    return show(request, "events/failures.html", {"title": "Failures by cause", "causes": causes, "days": DAYS})


@require_safe
def webhook_page(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Show the trace of one webhook."""
    require_all(request, *SEE)
    trace = trace_webhook(key)
    if trace is None or trace.delivery is None:
        raise Http404
    sight = sight_of(request.user)
    context = {
        "title": f"Webhook of {trace.account.name}",
        "trace": trace,
        "raw": masked_body(bytes(trace.delivery.body).decode("utf-8", "replace"), sight)[:20_000],
        "normalised": [_json(masked_json(entry.event, sight)) for entry in trace.entries],
        "text": masked_text(trace.message.text, sight) if trace.message else "",
        "said_back": masked_text(trace.answer.text, sight) if trace.answer else "",
    }
    note_read(request.user, "webhook", [key])
    return show(request, "events/message_trace.html", context)


@require_safe
def send_page(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Show the trace of one send."""
    require_all(request, *SEE)
    trace = trace_send(key)
    if trace is None or trace.send is None or trace.message is None:
        raise Http404
    sight = sight_of(request.user)
    original = trace.message.original
    context = {
        "title": f"Send of {trace.account.name}",
        "trace": trace,
        "raw": _json(masked_json(original, sight)) if original else "",
        "normalised": [],
        "text": masked_text(trace.send.text, sight),
        "retriable": trace.send.state in (OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN),
    }
    note_read(request.user, "send", [key])
    return show(request, "events/message_trace.html", context)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)[:20_000]
