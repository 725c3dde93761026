"""Garbage collection in a long-lived process: a full collection of all that Django loads pauses it for 0.1 s."""

from __future__ import annotations

import gc

#: Ten thousand sockets' worth of long-lived objects: with the default thresholds, collections are the tail latency.
THRESHOLDS = (50_000, 20, 1000)


def tune() -> None:
    """Exempt what start-up has made from collection, and collect more rarely. Call once, when the process is up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
