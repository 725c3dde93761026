"""One asks again for all whose chats are refused because of what is set up."""

from __future__ import annotations

import pytest

from connect_bridge.connect import circuit_breaker
from connect_bridge.connect.circuit_breaker import FIRST, MOST, OPENS_AFTER, CircuitBreakers
from connect_bridge.connect.gateway import SetUp

ROUTE = ("instance", "flow")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(circuit_breaker.time, "monotonic", lambda: now[0])
    return now


def refused(breakers: CircuitBreakers, times: int) -> None:
    for _ in range(times):
        breakers.refused(ROUTE, SetUp("no such flow"))


def test_few_refusals_keep_nobody_out(clock: list[float]) -> None:
    breakers = CircuitBreakers()
    refused(breakers, OPENS_AFTER - 1)
    breakers.check(ROUTE)


def test_after_more_one_is_let_in_at_a_time_and_told_what_was_said(clock: list[float]) -> None:
    breakers = CircuitBreakers()
    refused(breakers, OPENS_AFTER)
    with pytest.raises(SetUp, match="no such flow"):
        breakers.check(ROUTE)
    breakers.check(("instance", "another flow"))
    clock[0] += FIRST
    breakers.check(ROUTE)
    with pytest.raises(SetUp):
        breakers.check(ROUTE)


def test_the_pauses_grow_up_to_the_most_and_end_with_the_first_chat(clock: list[float]) -> None:
    breakers = CircuitBreakers()
    refused(breakers, 50)
    clock[0] += MOST - 0.1
    with pytest.raises(SetUp):
        breakers.check(ROUTE)
    clock[0] += 0.2
    breakers.check(ROUTE)
    breakers.passed(ROUTE)
    breakers.check(ROUTE)
