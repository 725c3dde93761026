"""How fast Connect is called, and what its 429s teach."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from connect_bridge.pace import FLOORS, Pace, Paces


async def seconds(work: Coroutine[Any, Any, Any]) -> float:
    began = time.monotonic()
    await work
    return time.monotonic() - began


async def turns(pace: Pace, number: int) -> Sequence[int]:
    """Take turns at once, and return the order in which they came."""
    came: list[int] = []

    async def turn(mine: int) -> None:
        await pace.turn()
        came.append(mine)

    await asyncio.gather(*map(turn, range(number)))
    return came


async def test_there_is_no_limit_before_the_first_refusal() -> None:
    assert await seconds(turns(Pace(floor=1.0), 500)) < 0.5


async def test_turns_come_in_order_and_no_faster_than_the_rate() -> None:
    pace = Pace(floor=50.0, rate=50.0)
    began = time.monotonic()
    assert await turns(pace, 11) == list(range(11))
    assert time.monotonic() - began >= 10 / 60  # it grows a little meanwhile


async def test_a_refusal_slows_down_but_never_below_the_documented_rate() -> None:
    pace = Pace(floor=10.0)
    await turns(pace, 100)
    pace.throttled()
    assert pace.rate == pytest.approx(70.0)
    for _ in range(20):
        pace.throttled()
    assert pace.rate == 10.0


async def test_who_waits_already_obeys_a_longer_wait_too() -> None:
    pace = Pace(floor=50.0, rate=50.0)
    waiting = asyncio.create_task(turns(pace, 3))
    await asyncio.sleep(0.001)
    pace.throttled(retry_after=0.3)
    assert await seconds(asyncio.wait_for(waiting, 2)) >= 0.25


async def test_who_waits_already_gains_from_a_faster_rate() -> None:
    pace = Pace(floor=0.5, rate=100.0)
    waiting = asyncio.create_task(turns(pace, 200))
    await asyncio.sleep(0.01)
    pace.rate = None
    assert await seconds(asyncio.wait_for(waiting, 2)) < 0.5


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    pace = Pace(floor=20.0, rate=20.0)
    await pace.turn()
    impatient = asyncio.create_task(pace.turn())
    patient = asyncio.create_task(pace.turn())
    await asyncio.sleep(0.001)
    impatient.cancel()
    await asyncio.wait_for(patient, 1)


async def test_without_refusals_the_limit_grows_until_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("connect_bridge.pace.time.monotonic", lambda: now)
    pace = Pace(floor=10.0, rate=10.0)
    for _ in range(40):
        now += 1.1
        await pace.turn()
    assert pace.rate is None


def test_every_instance_and_operation_has_a_pace_of_its_own() -> None:
    paces = Paces()
    assert paces.of("a", "connect") is paces.of("a", "connect")
    assert len({id(paces.of(instance, operation)) for instance in "ab" for operation in FLOORS}) == 2 * len(FLOORS)
