"""Faults that can be switched on in the simulated world, by name, for a share or a number of the calls."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import msgspec


class Fault(msgspec.Struct, kw_only=True):
    """One fault that is switched on.

    `target` limits it to an operation or channel ("SendMessage", "messenger"; empty: all). It fires with
    probability `share`, at most `times` times (None: no limit). `seconds` is for slow or silent faults,
    `status` and `code` shape the error that is answered.
    """

    name: str
    target: str = ""
    share: float = 1.0
    times: int | None = None
    seconds: float = 0.0
    status: int = 0
    code: str = ""


@dataclass(slots=True)
class Faults:
    """The faults that are on, and the dice. The seed makes a run replayable."""

    seed: int = 7
    on: list[Fault] = field(default_factory=list)
    _dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def reseed(self, seed: int) -> None:
        """Start the dice anew."""
        self.seed = seed
        self._dice = random.Random(seed)

    def fires(self, name: str, target: str = "", *also: str) -> Fault | None:
        """Return the fault if it strikes this call, using up one of its `times`; otherwise None.

        A call may answer to several targets: its operation, its channel, its account.
        """
        for fault in self.on:
            if fault.name != name or fault.target not in ("", target, *also):
                continue
            if fault.times == 0 or self._dice.random() >= fault.share:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None
