"""Django's cache in the database, which forgets nothing before its time.

Rate limits are counted in it. Django's own throws away a third of everything once there are 300 entries, so that who
tries many names would wipe the count of the one they are after.
"""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.db import DatabaseCache


class SteadyCache(DatabaseCache):
    """Sweeps out what is over once there are many entries, and nothing else: every entry of ours has an end."""

    def _cull(self, db: str, cursor: Any, now: Any, num: int) -> None:  # noqa: ARG002 - Django's signature
        super()._cull(db, cursor, now, 0)  # type: ignore[misc] # as if there were few: then only what is over goes
