"""Django's own backend, except for the pool: that one is every other process' too."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base

from channels_app.infrastructure.db import Pool


class DatabaseWrapper(base.DatabaseWrapper):
    """Reaches the database by our connection policy: `channels_app.infrastructure.db`."""

    @property
    def pool(self) -> Any:
        """Return this process' pool for the alias, made on first use; None where settings want none."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        made = self._connection_pools.get(self.alias)  # type: ignore[attr-defined] # nor are Django's pools typed
        if made is None:
            parameters = {**self.get_connection_params(), "autocommit": True}
            configure = self._configure_connection  # type: ignore[attr-defined]
            pool = Pool(kwargs=parameters, open=False, configure=configure, **options)
            # Of threads that race, the first one wins.
            made = self._connection_pools.setdefault(self.alias, pool)  # type: ignore[attr-defined]
        return made
