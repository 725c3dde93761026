"""What all simulated services share: one ledger, one set of faults, one address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast

from aiohttp import web

from sandbox.world.faults import Faults
from sandbox.world.ledger import Ledger
from sandbox.world.settings import Settings


class Part(Protocol):
    """State that several services share. `POST /world/reset` resets it; it is closed when the server stops."""

    def reset(self) -> None: ...

    async def close(self) -> None: ...


P = TypeVar("P", bound=Part)


@dataclass(slots=True)
class World:
    """The outside world. `base_url` is where it answers, e.g. http://127.0.0.1:8999, without a final slash."""

    base_url: str
    ledger: Ledger = field(default_factory=Ledger)
    faults: Faults = field(default_factory=Faults)
    settings: Settings = field(default_factory=Settings)
    parts: dict[type, Part] = field(default_factory=dict)

    def part(self, kind: Callable[[World], P]) -> P:
        """Return this world's only `kind`; the first call makes it as `kind(world)`."""
        key = cast("type", kind)
        if key not in self.parts:
            self.parts[key] = kind(self)
        return cast("P", self.parts[key])


#: How a handler finds the world: `request.app[WORLD]`.
WORLD = web.AppKey("world", World)
