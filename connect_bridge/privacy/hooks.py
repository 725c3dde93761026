"""Apps above that keep something of messages' words let go of it when the words go."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection

#: Each is given the ids of messages, runs in the same transaction, and returns how many rows it emptied.
erasers: list[Callable[[Collection[uuid.UUID]], int]] = []


def forget_above(messages: Collection[uuid.UUID]) -> dict[str, int]:
    """Let all of them forget the words of these messages; return what each said."""
    return {eraser.__qualname__: eraser(messages) for eraser in erasers}
