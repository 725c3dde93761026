"""Who else keeps something of what was said, and must let go of it with the words."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection

#: Apps above that keep something of messages let it go here, when a person is erased and when words have been kept long
#: enough: given the messages' ids, in the same transaction, each returns how many rows it emptied.
erasers: list[Callable[[Collection[uuid.UUID]], int]] = []
