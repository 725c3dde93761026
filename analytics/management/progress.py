"""A bar on standard error with rate and time left; silent where nobody watches."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

WIDTH = 30
#: Seconds between two pictures.
EVERY = 0.2


class Progress:
    """Counts steps of a known whole: `with Progress(100, "chats") as bar: bar.step()`."""

    def __init__(self, whole: int, what: str, *, shown: bool) -> None:
        self._whole, self._what, self._shown = max(1, whole), what, shown
        self._done = 0
        self._began = self._drawn = time.monotonic()

    def step(self, number: int = 1) -> None:
        self._done += number
        if self._shown and time.monotonic() - self._drawn >= EVERY:
            self._draw()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._draw()
            sys.stderr.write("\n")

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        rate = self._done / max(0.001, self._drawn - self._began)
        left = max(0, self._whole - self._done) / rate if rate else 0
        filled = min(WIDTH, WIDTH * self._done // self._whole)
        bar = "█" * filled + "·" * (WIDTH - filled)
        sys.stderr.write(f"\r{bar} {self._done:,} of {self._whole:,} {self._what}, {rate:,.0f}/s, {left:,.0f} s left ")
        sys.stderr.flush()
