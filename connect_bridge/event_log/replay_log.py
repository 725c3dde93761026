"""What `manage.py replay` asks for and tells: times as people write them, an account of what was done, words."""

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


def moment(text: str) -> datetime:
    """Return the time that somebody means by 90m, 2h, 3d (ago) or by a date, local unless it says; raise ValueError."""
    ago = _AGO.fullmatch(text)
    if ago:
        return timezone.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    said = datetime.fromisoformat(text)
    return timezone.make_aware(said) if timezone.is_naive(said) else said


@contextmanager
def on_record(verb: Replay.Verb, by: str, asked: dict[str, Any]) -> Iterator[Replay]:
    """Write down who sets what going before it goes; at the end, also a bad one, what was done by then."""
    entry = Replay.objects.create(at=timezone.now(), by=by[:150], verb=verb, asked=asked, counts={}, rows=[])
    try:
        yield entry
    finally:
        entry.save(update_fields=["counts", "rows"])


def retry_counts(made: Plan) -> dict[str, Any]:
    """Return what a retry comes to, for JSON."""
    return {
        "messages": len(made.going),
        "entries": sum(map(len, made.going.values())),
        "by": _by_account(made.counts),
        "left_out": {reason.name.lower(): count for reason, count in made.left_out.most_common()},
    }


def relay_counts(made: relay_again.Plan) -> dict[str, Any]:
    """Return what relaying again comes to, for JSON."""
    return {"messages": len(made.going), "by": _by_account(made.counts)}


def _by_account(counts: Counter[tuple[uuid.UUID, str]]) -> list[dict[str, Any]]:
    names = account_names(account for account, _ in counts)
    return [
        {"account": str(account), "name": names[account], "error": error, "messages": count}
        for (account, error), count in sorted(counts.items(), key=lambda one: -one[1])
    ]


def reprocess_counts(readings: Iterable[Reading]) -> dict[str, Any]:
    """Return what reading again comes to, for JSON."""
    counts = {"deliveries": 0, "readable": 0, "fresh": 0, "revived": 0, "known": 0, "messages": 0}
    problems: Counter[str] = Counter()
    for one in readings:
        counts["deliveries"] += 1
        counts["readable"] += not one.problem
        for name in ("fresh", "revived", "known", "messages"):
            counts[name] += getattr(one, name)
        if one.problem:
            problems[one.problem] += 1
    return {**counts, "problems": dict(problems.most_common())}


def account_names(accounts: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = ChannelAccount.objects.filter(pk__in=set(accounts)).values_list("pk", "kind", "name")
    return {pk: f"{name} ({kind})" for pk, kind, name in rows}
