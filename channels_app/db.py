"""Straight to PostgreSQL for what runs once per message: psycopg, without the ORM."""

from __future__ import annotations

from typing import Any

from django.db import connections


def connect_parameters() -> dict[str, Any]:
    """Return what psycopg.connect() needs to reach Django's default database, the test database under tests."""
    parameters = dict(connections["default"].get_connection_params())
    for django_only in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(django_only, None)
    return parameters
