"""Apps above that keep something of messages' texts delete it when the texts are deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection

#: Each is given the ids of messages, runs in the same transaction, and returns how many rows it emptied.
erasers: list[Callable[[Collection[uuid.UUID]], int]] = []


def erase_above(messages: Collection[uuid.UUID]) -> dict[str, int]:
    """Let all of them delete what they keep of these messages; return how many rows each emptied."""
    return {eraser.__qualname__: eraser(messages) for eraser in erasers}
