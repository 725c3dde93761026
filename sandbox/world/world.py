"""What all simulated services share: one ledger, one set of faults, one address."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiohttp import web

from sandbox.world.faults import Faults
from sandbox.world.ledger import Ledger


@dataclass(slots=True)
class World:
    """The outside world. `base_url` is where it answers, e.g. http://127.0.0.1:8999, without a final slash."""

    base_url: str
    ledger: Ledger = field(default_factory=Ledger)
    faults: Faults = field(default_factory=Faults)


#: How a handler finds the world: `request.app[WORLD]`.
WORLD = web.AppKey("world", World)
