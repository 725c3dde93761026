"""A tile: one number or list of a dashboard, with what it was computed from. Pages, API and CSV show the same one.

What does not depend on the data (title, formula, …) is declared beside the function that computes it: see registry.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from analytics import formatting

#: Under this many a number is greyed: it may be chance.
SMALL = 20
#: The column of what customers wrote. Not everybody may read it: dashboards.access.redacted goes by this name.
WORDS = "words"


class State(StrEnum):
    OK = "ok"
    EMPTY = "empty"
    """Nothing has happened in the range."""
    FILTERED = "filtered"
    """Nothing matches the filters, though something has happened."""
    OFF = "off"
    """It is not measured: analysis is off, or its source sends nothing."""
    FAILED = "failed"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a whole, e.g. chats with the bot. `mark` chooses its colour and glyph."""

    label: str
    value: float | None
    shown: str
    mark: str = ""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One bucket of a series; `partial`: it is not over yet."""

    at: datetime
    label: str
    values: tuple[float | None, ...]
    n: int = 0
    partial: bool = False


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Several lines over the same buckets. `names` belong to `values` of each point."""

    names: tuple[str, ...]
    points: tuple[Point, ...]
    unit: str
    marks: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a ranking or list. `values` belong to the columns; `link` leads to what is behind it."""

    label: str
    values: tuple[Any, ...] = ()
    shown: tuple[str, ...] = ()
    n: int = 0
    link: str = ""
    mark: str = ""
    small: bool = False


class Column(msgspec.Struct, frozen=True):
    label: str
    unit: str


class Tile(msgspec.Struct, kw_only=True):
    """`value` is in `unit`: count, share (0 … 1), points (-1 … +1) or ms. `n` of `of` is what it was computed from."""

    key: str = ""
    title: str = ""
    form: str = "number"
    unit: str = "count"
    value: float | None = None
    n: int = 0
    of: str = ""
    compared: float | None = None
    """The value of the hours that are over: what `before` is compared with."""
    before: float | None = None
    change: str = ""
    verdict: str = ""
    """better, worse, or "" where neither can be said."""
    formula: str = ""
    excludes: str = ""
    state: State = State.OK
    small: bool = False
    target: float | None = None
    parts: list[Part] = []
    splits: bool = False
    """Whether the parts make up a whole: they are also drawn as one bar."""
    series: Series | None = None
    columns: list[Column] = []
    rows: list[Row] = []
    notes: list[str] = []
    page: str = ""
    drill: str = ""
    shown: str = ""
    as_of: datetime | None = None
    """When a tile that could not be made now was made last."""

    def derive(self, *, good: str) -> None:
        """Fill in what follows from the numbers; `good`: "up" or "down" if either is better, else ""."""
        self.shown = formatting.written(self.value, self.unit)
        self.small = 0 < self.n < SMALL
        self.change = formatting.change(self.compared, self.before, self.unit)
        visible = self.change and not self.change.startswith("±")
        if good and visible and self.compared is not None and self.before is not None:
            self.verdict = "better" if (self.compared > self.before) == (good == "up") else "worse"


def share(part: float, whole: float) -> float | None:
    """Return part of whole, None of nothing."""
    return part / whole if whole else None


def row(label: str, columns: Sequence[Column], values: Sequence[Any], **more: Any) -> Row:
    """Make a row whose values are written in the units of their columns."""
    shown = tuple(
        formatting.written(value, column.unit) if column.unit != "text" else str(value)
        for value, column in zip(values, columns, strict=True)
    )
    return Row(label=label, values=tuple(values), shown=shown, **more)
