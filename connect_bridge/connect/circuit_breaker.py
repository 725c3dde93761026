"""Where Connect refuses every chat because of what is set up: one asks again for all, the others wait with it.

Otherwise the conversations of one account with a wrong flow would use up the chats a second that the whole instance may
start. Belongs to one bridge.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from connect_bridge.connect.gateway import SetUp

#: Refusals in a row, without a chat that was started, after which it is not one request's fault.
CLOSES_AFTER = 5
#: Seconds between two attempts once it is closed: doubling up to the most.
FIRST, MOST = 1.0, 15.0


@dataclass(slots=True)
class _Gate:
    refusals: int = 0
    until: float = 0.0
    refusal: SetUp | None = None


@dataclass(slots=True)
class Gates:
    """By route: the instance and the flow."""

    _gates: dict[tuple[str, str], _Gate] = field(default_factory=dict)

    def enter(self, route: tuple[str, str]) -> None:
        """Raise the latest refusal, as SetUp, while nobody is to ask; whoever may ask is the only one for a while."""
        gate = self._gates.get(route)
        if gate is None or gate.refusal is None or gate.refusals < CLOSES_AFTER:
            return
        now = time.monotonic()
        if now < gate.until:
            raise SetUp(str(gate.refusal))
        gate.until = now + _pause(gate)

    def refused(self, route: tuple[str, str], refusal: SetUp) -> None:
        gate = self._gates.setdefault(route, _Gate())
        gate.refusals, gate.refusal = gate.refusals + 1, refusal
        gate.until = time.monotonic() + _pause(gate)

    def passed(self, route: tuple[str, str]) -> None:
        """Note that a chat was started: whatever was wrong is mended."""
        self._gates.pop(route, None)


def _pause(gate: _Gate) -> float:
    return min(MOST, FIRST * 2.0 ** min(10, max(0, gate.refusals - CLOSES_AFTER)))
