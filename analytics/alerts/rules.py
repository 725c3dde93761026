"""When an alert fires: Normal → Pending → Firing and back, plus No data and Error.

A rule fires if its value is out of bounds, from enough chats or messages, and (where it says so) far off what this hour
of the week usually brings, so many evaluations in a row. It clears when the value is back inside the clearing bound.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

import msgspec
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone

from analytics.alerts import metrics
from analytics.alerts.metrics import METRICS
from analytics.dashboards.access import allowed
from analytics.models import AlertEvent, AlertRule
from analytics.queries.filters import Filter, parse
from analytics.rollups.time_buckets import HOUR, hour_of, local, zone
from analytics.tiles.metric import Value

log = logging.getLogger(__name__)

State = AlertRule.State
#: Weeks of which the usual value of an hour of the week is learnt, and how many of them must have one.
WEEKS, LEAST_WEEKS = 8, 3
#: A normal distribution's standard deviation for one median absolute deviation.
ROBUST = 1.4826
WEEK = BACKTEST = timedelta(days=7)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a rule, in the metric's unit."""

    above: bool
    threshold: float
    clears_at: float
    minimum: int
    deviations: float
    evaluations: int


class Standing(msgspec.Struct, frozen=True):
    """A rule's state and how many evaluations in a row were out of bounds."""

    state: str
    streak: int = 0


def bounds_of(rule: AlertRule) -> Bounds:
    return Bounds(
        above=rule.side == AlertRule.Side.ABOVE,
        threshold=rule.threshold,
        clears_at=rule.threshold if rule.clears_at is None else rule.clears_at,
        minimum=0 if METRICS[rule.metric].however_few else rule.minimum,
        deviations=rule.deviations,
        evaluations=rule.evaluations,
    )


def step(bounds: Bounds, standing: Standing, seen: Value, usual: Sequence[float]) -> Standing:
    """Return where a rule stands after one more evaluation."""
    value, n = seen
    if value is None or n < bounds.minimum:
        return (
            standing if standing.state == State.FIRING else Standing(State.NO_DATA if value is None else State.NORMAL)
        )
    if standing.state == State.FIRING:
        return standing if _beyond(value, bounds.clears_at, above=bounds.above) else Standing(State.NORMAL)
    if not (_beyond(value, bounds.threshold, above=bounds.above) and _unusual(bounds, value, usual)):
        return Standing(State.NORMAL)
    streak = standing.streak + 1
    return Standing(State.FIRING if streak >= bounds.evaluations else State.PENDING, streak)


def _beyond(value: float, limit: float, *, above: bool) -> bool:
    return value >= limit if above else value <= limit


def _unusual(bounds: Bounds, value: float, usual: Sequence[float]) -> bool:
    """Return whether a value is far off the usual one; with too few weeks to compare with, every value is."""
    if bounds.deviations <= 0 or len(usual) < LEAST_WEEKS:
        return True
    middle = median(usual)
    spread = ROBUST * median(abs(past - middle) for past in usual)
    off = value - middle if bounds.above else middle - value
    return off > bounds.deviations * spread


def usual_values(history: Mapping[datetime, Value], at: datetime, minimum: int) -> list[float]:
    """Return the values of this hour of the week in the weeks before."""
    moment = local(at)
    values = []
    for week in range(1, WEEKS + 1):
        then = datetime.combine(moment.date() - week * WEEK, moment.time(), zone())  # the same time on the wall clock
        value, n = history.get(hour_of(then), (None, 0))
        if value is not None and n >= minimum:
            values.append(value)
    return values


# ── the past ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def backtest(rule: AlertRule, now: datetime) -> list[datetime]:
    """Return when the rule would have begun to fire last week, had it been evaluated every hour."""
    metric, bounds = METRICS[rule.metric], bounds_of(rule)
    start = hour_of(now - BACKTEST)
    weeks = timedelta(weeks=WEEKS) if bounds.deviations > 0 else timedelta()
    history = metrics.history(metric, filter_of(rule, now), rule.hours, start - weeks)
    standing, fired = Standing(State.NORMAL), []
    for at in sorted(hour for hour in history if hour >= start):
        after = step(bounds, standing, history[at], usual_values(history, at, bounds.minimum))
        if after.state == State.FIRING and standing.state != State.FIRING:
            fired.append(at)
        standing = after
    return fired


def filter_of(rule: AlertRule, now: datetime) -> Filter:
    """Return the rule's filter, as its owner may use it. Raises BadFilter if it cannot be read any more."""
    return allowed(rule.owner, parse(QueryDict(rule.query).dict(), now))


# ── now ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def evaluate_all() -> int:
    """Evaluate every rule once; return for how many somebody is to be notified."""
    changed = 0
    for rule in AlertRule.objects.filter(enabled=True).values_list("pk", flat=True):
        changed += evaluate(rule, timezone.now())
    return changed


def evaluate(rule_id: uuid.UUID, now: datetime) -> bool:
    """Evaluate one rule, unless another worker does; return whether somebody is to be notified."""
    with transaction.atomic():
        rule = AlertRule.objects.select_for_update(skip_locked=True).filter(pk=rule_id, enabled=True).first()
        if rule is None:
            return False
        before = rule.state
        standing = _standing(rule, now)
        if standing.state != before:
            rule.since = now
        rule.state, rule.streak, rule.evaluated_at = standing.state, standing.streak, now
        rule.save()
        if not _is_notable(rule, before):
            return False
        muted = rule.muted_until is not None and rule.muted_until > now
        AlertEvent.objects.create(
            rule=rule, at=now, state=rule.state, value=rule.value, n=rule.n, due_at=None if muted else now
        )
        return not muted


def _standing(rule: AlertRule, now: datetime) -> Standing:
    metric, bounds = METRICS[rule.metric], bounds_of(rule)
    try:
        chosen = filter_of(rule, now)
        with transaction.atomic():
            rule.value, rule.n = metrics.current(metric, chosen, rule.hours)
            usual = _usual(rule, chosen, now) if bounds.deviations > 0 else []
    except Exception as failure:  # noqa: BLE001 - a rule that cannot be evaluated says so, and the others go on
        log.error("alert rule %s cannot be evaluated: %s", rule.pk, type(failure).__name__)  # noqa: TRY400 - no text
        return Standing(State.ERROR)
    before = Standing(rule.state, rule.streak)
    return step(bounds, before, (rule.value, rule.n), usual)


def _usual(rule: AlertRule, chosen: Filter, now: datetime) -> list[float]:
    start = hour_of(now - timedelta(weeks=WEEKS) - 2 * HOUR)
    history = metrics.history(METRICS[rule.metric], chosen, rule.hours, start)
    return usual_values(history, hour_of(now), rule.minimum)


def _is_notable(rule: AlertRule, before: str) -> bool:
    """Return whether a change of state is worth a notification: it fires, it stopped, it failed, or it has no data."""
    if rule.state == before:
        return False
    if State.FIRING in (rule.state, before):
        return True
    return rule.state == State.ERROR or (rule.state == State.NO_DATA and rule.tell_no_data)
