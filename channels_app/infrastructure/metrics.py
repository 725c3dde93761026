"""Counters of this process, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

#: `result` is what the provider was told: accepted, duplicate, ignored, quarantined, handshake or an error's code.
WEBHOOKS = Counter("parley_webhooks_received", "Webhooks by answer.", ["channel", "result"])
STAGE_SECONDS = Histogram(
    "parley_stage_duration_seconds",
    "How long each stage of a message's way takes.",
    ["stage"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
