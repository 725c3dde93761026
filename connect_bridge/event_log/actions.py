"""Trying again what failed: sends, and webhooks that were set aside. The first press shows what a second would do."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from channels_app.recovery import reprocess
from connect_bridge.event_log.pages import REPROCESS, RETRY, SEE, require_all, show, uuid_or_none
from connect_bridge.event_log.replay_log import on_record, reprocess_counts, retry_counts
from connect_bridge.models import OutboxEntry, Replay
from connect_bridge.outbox import retry_plan

#: How many rows one press of a button starts again.
MOST_AT_ONCE = 1_000


@require_POST
def retry_page(request: HttpRequest) -> HttpResponse:
    """Say what a retry of the chosen sends would do; do it if that was confirmed."""
    require_all(request, *SEE, RETRY)
    retry_request = retry_plan.RetryRequest(
        states=(OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN),
        ids=_chosen(request),
        may_arrive_twice="may_arrive_twice" in request.POST,
        closed_windows="closed_windows" in request.POST,
    )
    plan = retry_plan.plan(retry_request) if retry_request.ids else retry_plan.Plan()
    if "confirmed" in request.POST and plan.going:
        with on_record(
            Replay.Verb.RETRY, request.user.get_username(), {"id": [str(key) for key in retry_request.ids]}
        ) as entry:
            for batch in retry_plan.carry_out(plan):
                entry.rows += map(str, batch)
            entry.counts = retry_counts(plan)
        messages.success(request, f"{len(plan.going)} on their way to customers again.")
        return HttpResponseRedirect(reverse("events"))
    context = {
        "title": "Retry delivery?",
        "counts": retry_counts(plan),
        "left_out": [(reason.value.partition("; --")[0], count) for reason, count in plan.left_out.most_common()],
        "ids": retry_request.ids,
        "retry_request": retry_request,
    }
    return show(request, "events/retry.html", context)


@require_POST
def reprocess_page(request: HttpRequest) -> HttpResponse:
    """Say what reading the chosen webhooks again would do; do it if that was confirmed."""
    require_all(request, *SEE, REPROCESS)
    ids, confirmed = _chosen(request), "confirmed" in request.POST
    chosen = reprocess.choose([], ids=ids).model.objects.filter(pk__in=ids).order_by("received_at", "pk")
    if confirmed and ids:
        choice = {"id": [str(key) for key in ids]}
        with on_record(Replay.Verb.REPROCESS, request.user.get_username(), choice) as entry:
            readings = list(reprocess.read_again(chosen, act=True))
            entry.rows += [str(reading.delivery) for reading in readings if reading.helps]
            entry.counts = reprocess_counts(readings)
        messages.success(request, f"Read again: {entry.counts['messages']} messages are on their way to agents.")
        return HttpResponseRedirect(reverse("events"))
    counts = reprocess_counts(reprocess.read_again(chosen, act=False))
    return show(request, "events/reprocess.html", {"title": "Reprocess?", "counts": counts, "ids": ids})


def _chosen(request: HttpRequest) -> Sequence[uuid.UUID]:
    keys = (uuid_or_none(text) for text in request.POST.getlist("id")[:MOST_AT_ONCE])
    return list(dict.fromkeys(key for key in keys if key is not None))
