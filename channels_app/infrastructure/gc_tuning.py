"""The garbage collector of a process that lives long: a full look at all that Django loads stops it for 0.1 s."""

from __future__ import annotations

import gc

#: Ten thousand sockets' worth of long-lived objects: with the default thresholds the collector is the tail latency.
THRESHOLDS = (50_000, 20, 1000)


def settle() -> None:
    """Take what start-up has made out of the collector's sight, and let it look more rarely. Call once, when up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
