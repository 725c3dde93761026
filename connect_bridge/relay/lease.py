"""Whether this bridge may still act for a conversation."""

from __future__ import annotations

from dataclasses import dataclass

from connect_bridge.connect.gateway import Unreachable
from connect_bridge.runtime import BridgeRuntime


@dataclass(slots=True, eq=False)
class Lease:
    """One conversation's lease, as this bridge sees it. Once `given_up`, it stays so."""

    runtime: BridgeRuntime
    given_up: bool = False

    def check(self) -> None:
        """Raise Unreachable unless the conversation is ours: asked before every call that others could repeat."""
        if self.given_up or not self.runtime.owns:
            raise Unreachable("this bridge stops or was away: another may own the conversation now")
