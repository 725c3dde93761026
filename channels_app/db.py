"""Straight to PostgreSQL for what runs once per message: psycopg, without the ORM."""

from __future__ import annotations

from typing import Any

from django.db import connections

#: libpq's own words. A server that vanished without a word is noticed within half a minute, not when TCP gives up.
KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}


def connect_parameters() -> dict[str, Any]:
    """Return what psycopg.connect() needs to reach Django's default database, the test database under tests."""
    parameters = KEEPALIVE | dict(connections["default"].get_connection_params())
    for django_only in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(django_only, None)
    return parameters
