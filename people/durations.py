"""Durations in words, short enough for a badge or a line of a terminal.

The humanize library was tried and not taken: its short form says "4 hours" for 3 h 59 min that are left to answer, its
exact form is long (3 hours and 59 minutes) and cannot stop at two units, and it has no short units (h, min).
"""

from __future__ import annotations

from datetime import timedelta

#: Below this many seconds a duration is written in seconds alone.
_IN_SECONDS = 120


def duration(length: timedelta) -> str:
    """Return `90 s`, `15 min`, `3 h 59 min` or `2 d 3 h`, rounded down; a negative duration counts as none."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < _IN_SECONDS:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    days, hours_of_day = divmod(hours, 24)
    if days:
        return f"{days} d {hours_of_day} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
