"""Django's cache in the database, which forgets nothing before its time.

Rate limits are counted in it: Django's own throws away a third of all entries once there are 300, so that whoever tries
many names would wipe the count of the one they are after. Every entry here has an end, and what is over goes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.db import models
from django.db.backends.utils import CursorWrapper


class SteadyCache(DatabaseCache):
    """Sweeps out what is over as soon as there are many entries, and nothing else."""

    def _cull(self, db: str, cursor: CursorWrapper, now: datetime, num: int) -> None:  # noqa: ARG002 - Django's signature
        model: type[models.Model] = self.cache_model_class
        model._meta  # noqa: B018
        super_delete(self, cursor, now)


def super_delete(cache: Any, cursor: CursorWrapper, now: datetime) -> None:
    raise NotImplementedError
