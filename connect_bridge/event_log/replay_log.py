"""The record of replays: who started what again, and what came of it; and the times that its options name."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from channels_app.models import ChannelAccount
from channels_app.recovery.reprocess import Reading
from connect_bridge.models import Replay
from connect_bridge.outbox import relay_again
from connect_bridge.outbox.retry_plan import Plan

_AGO = re.compile(r"(\d{1,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_time(text: str) -> datetime:
    """Return the time that 90m, 2h, 3d (ago) or a date names, local unless it has an offset; raise ValueError."""
    ago = _AGO.fullmatch(text)
    if ago:
        return timezone.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    date = datetime.fromisoformat(text)
    return timezone.make_aware(date) if timezone.is_naive(date) else date


@contextmanager
def on_record(verb: Replay.Verb, by: str, choice: dict[str, Any]) -> Iterator[Replay]:
    """Record who starts what, before it starts; afterwards, also after an error, record what was done by then."""
    entry = Replay.objects.create(at=timezone.now(), by=by[:150], verb=verb, asked=choice, counts={}, rows=[])
    try:
        yield entry
    finally:
        entry.save(update_fields=["counts", "rows"])


def retry_counts(plan: Plan) -> dict[str, Any]:
    """Return what a retry comes to, for JSON."""
    return {
        "messages": len(plan.going),
        "entries": sum(map(len, plan.going.values())),
        "by": _by_account(plan.counts),
        "left_out": {reason.name.lower(): count for reason, count in plan.left_out.most_common()},
    }


def relay_counts(plan: relay_again.Plan) -> dict[str, Any]:
    """Return what relaying again comes to, for JSON."""
    return {"messages": len(plan.going), "by": _by_account(plan.counts)}


def _by_account(counts: Counter[tuple[uuid.UUID, str]]) -> list[dict[str, Any]]:
    names = account_names(account for account, _ in counts)
    return [
        {"account": str(account), "name": names[account], "error": error, "messages": count}
        for (account, error), count in sorted(counts.items(), key=lambda item: -item[1])
    ]


def reprocess_counts(readings: Iterable[Reading]) -> dict[str, Any]:
    """Return what reading again comes to, for JSON."""
    counts = {"deliveries": 0, "readable": 0, "fresh": 0, "revived": 0, "known": 0, "messages": 0}
    problems: Counter[str] = Counter()
    for reading in readings:
        counts["deliveries"] += 1
        counts["readable"] += not reading.problem
        for name in ("fresh", "revived", "known", "messages"):
            counts[name] += getattr(reading, name)
        if reading.problem:
            problems[reading.problem] += 1
    return {**counts, "problems": dict(problems.most_common())}


def account_names(accounts: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = ChannelAccount.objects.filter(pk__in=set(accounts)).values_list("pk", "kind", "name")
    return {pk: f"{name} ({kind})" for pk, kind, name in rows}
