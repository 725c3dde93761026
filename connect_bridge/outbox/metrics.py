"""Counters of a worker process, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter

#: `state` is what a message came to: accepted, failed or uncertain.
MESSAGES = Counter("parley_messages", "Messages that came to an end.", ["channel", "direction", "state"])
#: Attempts, not messages: `code` is ours, so that "throttled" and "auth" mean the same on every channel.
DELIVERY_FAILURES = Counter(
    "parley_delivery_failures", "Attempts that the messenger did not take.", ["channel", "code"]
)
