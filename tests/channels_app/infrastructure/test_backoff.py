"""Waits between attempts: below a ceiling that doubles, and never the same for all."""

from __future__ import annotations

import pytest

from channels_app.infrastructure.backoff import full_jitter, spread


@pytest.mark.parametrize(("failures", "ceiling"), [(0, 0.5), (1, 1.0), (3, 4.0), (6, 10.0), (10_000, 10.0)])
def test_a_wait_is_anywhere_below_a_ceiling_that_doubles_up_to_the_longest(failures: int, ceiling: float) -> None:
    waits = [full_jitter(failures, 0.5, 10.0) for _ in range(500)]
    assert all(0 <= wait <= ceiling for wait in waits)
    assert min(waits) < ceiling / 4
    assert max(waits) > ceiling * 3 / 4


def test_what_is_regular_is_spread_around_its_period() -> None:
    waits = [spread(100.0, 0.2) for _ in range(500)]
    assert all(80 <= wait <= 120 for wait in waits)
    assert min(waits) < 90
    assert max(waits) > 110
