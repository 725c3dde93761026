"""The simulated Amazon account: what its services share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.world.chats import Chats
from sandbox.world.desk import Desk
from sandbox.world.flows import Flows
from sandbox.world.quotas import Quotas
from sandbox.world.world import World


@dataclass(slots=True)
class Amazon:
    """One account with one kind of Connect instance: any instance id is accepted and has its own rates."""

    world: World
    chats: Chats
    desk: Desk
    flows: Flows
    quotas: Quotas
    forgetters: list[Callable[[], None]] = field(default_factory=list)
    """Called when the account is emptied, for state that a service keeps to itself."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Values that replace the real-time metrics which the queue would give."""

    @classmethod
    def of(cls, world: World) -> Amazon:
        """Make an empty account in this world."""
        chats = Chats(world)
        desk = Desk(chats)
        return cls(world, chats, desk, Flows(chats, desk), Quotas(world.settings))

    def forget(self) -> None:
        """Empty everything, as a new account would be."""
        self.chats.forget()
        self.desk.forget()
        self.flows.flows.clear()
        self.quotas.buckets.clear()
        self.metrics.clear()
        for forget in self.forgetters:
            forget()
