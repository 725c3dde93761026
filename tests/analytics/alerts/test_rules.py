"""When alerts fire and clear, and what they would have said last week."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from analytics.alerts.metrics import METRICS, current
from analytics.alerts.rules import Bounds, Standing, State, backtest, bounds_of, evaluate, step
from analytics.models import AlertEvent, AlertRule
from analytics.queries.filters import parse
from analytics.rollups.time_buckets import HOUR, hour_of
from tests.analytics.alerts.kit import chats, rule_of
from tests.analytics.kit import BAD, GOOD
from tests.factories import MessageFactory

pytestmark = pytest.mark.django_db


BOUNDS = Bounds(above=True, threshold=0.3, clears_at=0.22, minimum=10, deviations=0, evaluations=2)


NORMAL = Standing(State.NORMAL)


def states(bounds: Bounds, values: list[tuple[float | None, int]], usual: list[float] | None = None) -> list[str]:
    standing, reached = NORMAL, []
    for value in values:
        standing = step(bounds, standing, value, usual or [])
        reached.append(standing.state)
    return reached


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(0.4, 20), (0.4, 20)], ["pending", "firing"]),
        ([(0.4, 20), (0.2, 20), (0.4, 20)], ["pending", "normal", "pending"]),
        ([(0.4, 9), (0.4, 9)], ["normal", "normal"]),
        ([(0.4, 20), (0.4, 20), (0.25, 20), (0.21, 20)], ["pending", "firing", "firing", "normal"]),
        ([(None, 0), (0.1, 20)], ["no_data", "normal"]),
        ([(0.4, 20), (0.4, 20), (None, 0), (0.4, 3)], ["pending", "firing", "firing", "firing"]),
    ],
)
def test_a_rule_fires_after_enough_in_a_row_and_clears_at_its_own_bound(values: Any, expected: list[str]) -> None:
    assert states(BOUNDS, values) == expected


def test_a_rule_may_fire_below() -> None:
    below = Bounds(above=False, threshold=-0.2, clears_at=-0.1, minimum=1, deviations=0, evaluations=1)
    assert states(below, [(-0.25, 5), (-0.15, 5), (-0.05, 5)]) == ["firing", "firing", "normal"]


def test_what_is_usual_for_the_hour_of_the_week_does_not_fire() -> None:
    robust = Bounds(above=True, threshold=0.3, clears_at=0.22, minimum=10, deviations=3, evaluations=1)
    assert states(robust, [(0.4, 20)], [0.38, 0.41, 0.4, 0.36]) == ["normal"]
    assert states(robust, [(0.4, 20)], [0.1, 0.11, 0.12, 0.1]) == ["firing"]
    assert states(robust, [(0.4, 20)], [0.38]) == ["firing"], "too little is known to call it usual"


def test_a_rule_sees_the_numbers_and_tells_once(django_assert_max_num_queries: Any) -> None:
    rule = rule_of(emails="ana@example.com", evaluations=2)
    chats(3, BAD)
    assert [evaluate(rule.pk, timezone.now()) for _ in range(4)] == [False, True, False, False]
    rule.refresh_from_db()
    assert (rule.state, rule.value, rule.n) == ("firing", 1.0, 3)
    chats(30, GOOD)
    assert evaluate(rule.pk, timezone.now()) is True
    rule.refresh_from_db()
    assert rule.state == "normal"
    assert [event.state for event in AlertEvent.objects.order_by("at")] == ["firing", "normal"]


def test_filters_narrow_what_a_rule_sees() -> None:
    rule = rule_of(query="channel=twitter")
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())
    rule.refresh_from_db()
    assert rule.state == "no_data"


def test_a_rule_that_cannot_be_evaluated_says_so() -> None:
    rule = rule_of(query="range=nonsense")
    assert evaluate(rule.pk, timezone.now()) is True
    rule.refresh_from_db()
    assert rule.state == "error"


def test_a_muted_rule_keeps_watch_and_says_nothing() -> None:
    rule = rule_of(emails="ana@example.com", muted_until=timezone.now() + HOUR)
    chats(3, BAD)
    assert evaluate(rule.pk, timezone.now()) is False
    assert AlertEvent.objects.get().due_at is None


def test_the_form_says_when_the_rule_would_have_fired_last_week() -> None:
    for hours_ago in (30, 31, 80):
        chats(3, BAD, hours_ago)
    chats(3, GOOD, 60)
    rule = rule_of()
    now = timezone.now()
    assert backtest(rule, now) == [hour_of(now - timedelta(hours=hours)) for hours in (80, 31)]


def test_an_alert_may_watch_what_connect_does_not_take() -> None:
    ago = timezone.now() - timedelta(minutes=20)
    chosen = parse({}, timezone.now())
    assert current(METRICS["untaken"], chosen, 1)[0] == 0.0
    MessageFactory(created_at=ago, error_code="connect_set_up")
    MessageFactory(created_at=ago - HOUR, error_code="paused")
    value, count = current(METRICS["untaken"], chosen, 1)
    assert value is not None
    assert 19 * 60_000 < value < 21 * 60_000
    assert count >= bounds_of(AlertRule(metric="untaken", side="above", threshold=0, minimum=10)).minimum
