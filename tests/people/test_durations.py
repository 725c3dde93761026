from __future__ import annotations

from datetime import timedelta

import pytest

from people.durations import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (119.9, "119 s"),
        (120, "2 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (4 * 3600 - 1, "3 h 59 min"),
        (86_400, "1 d 0 h"),
        (9 * 86_400 + 5 * 3600 + 1800, "9 d 5 h"),
    ],
)
def test_a_duration_is_rounded_down_to_two_units(seconds: float, words: str) -> None:
    assert duration(timedelta(seconds=seconds)) == words
