"""Request rates, as token buckets: a steady rate and a burst for each operation."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sandbox.world.settings import Settings

#: Requests a second and burst (Amazon Connect administrator guide, service quotas). SendMessage and SendEvent are
#: listed together, so they share one bucket here.
RATES: dict[str, tuple[float, float]] = {
    "StartChatContact": (5, 8),
    "StartContactStreaming": (5, 8),
    "StopContactStreaming": (5, 8),
    "CreateParticipant": (5, 8),
    "CreatePersistentContactAssociation": (5, 8),
    "UpdateParticipantRoleConfig": (5, 8),
    "GetCurrentMetricData": (5, 8),
    "GetContactAttributes": (10, 15),
    "UpdateContactAttributes": (10, 15),
    "DescribeContact": (10, 15),
    "StopContact": (10, 15),
    "GetMetricDataV2": (10, 10),
    "UpdateContactRoutingData": (20, 20),
    "CreateParticipantConnection": (6, 9),
    "SendMessage": (10, 15),
    "GetTranscript": (8, 12),
    "GetAttachment": (8, 12),
    "DisconnectParticipant": (3, 5),
    # Comprehend: about twenty documents a second one by one, ten batches a second (developer guide of 2022).
    "DetectSentiment": (20, 20),
    "BatchDetectSentiment": (10, 10),
    "DetectDominantLanguage": (20, 20),
    "RecognizeText": (25, 25),
}
OTHERS: tuple[float, float] = (2, 5)
SHARED = {"SendEvent": "SendMessage"}


@dataclass(slots=True)
class Bucket:
    """Tokens that refill at `rate` a second up to `burst`."""

    rate: float
    burst: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        """Use one token if there is one. `now` is a monotonic time in seconds."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Quotas:
    """The buckets of every (scope, operation); the scope is an instance, or the account."""

    settings: Settings
    buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)

    def admits(self, operation: str, scope: str) -> bool:
        """Say whether this request is within its rate, and count it if so."""
        if not self.settings.quotas:
            return True
        name = SHARED.get(operation, operation)
        now = time.monotonic()
        bucket = self.buckets.get((scope, name))
        if bucket is None:
            rate, burst = self.settings.rates.get(name, RATES.get(name, OTHERS))
            rate, burst = rate * self.settings.raised, burst * self.settings.raised
            bucket = self.buckets[scope, name] = Bucket(rate, burst, burst, now)
        return bucket.take(now)
