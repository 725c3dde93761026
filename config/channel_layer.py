"""The channel layer in PostgreSQL, using the one database connection that we have."""

from __future__ import annotations

from typing import Any

from channels_postgres.core import PostgresChannelLayer


class ChannelLayer(PostgresChannelLayer):  # type: ignore[misc] # not typed
    """Leaves groups through Django's `default` connection: the library looks for one named after itself."""

    def __init__(self, **configuration: Any) -> None:
        super().__init__(**configuration)
        self.django_db.using = "default"
