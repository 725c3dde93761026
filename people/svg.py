"""Coordinates of the small drawings on pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def polyline(values: Sequence[float], width: float, y: Callable[[float], float]) -> str:
    """Return the `points` of a polyline whose values stand at equal steps over the width; `y` places each of them."""
    step = width / max(1, len(values) - 1)
    return " ".join(f"{place * step:.1f},{y(value):.1f}" for place, value in enumerate(values))
