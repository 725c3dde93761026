"""Brings the database up to date, once, however many processes start together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection

from channels_app.models import ChannelAccount

#: The advisory lock: a number that nothing else in this database locks by.
LOCK = 7_027_539
#: Seconds between two attempts to get the lock while another process migrates.
RETRY_SECONDS = 0.2


def migrate() -> None:
    """Apply missing migrations; a second process waits and finds nothing left to do. Raises OperationalError."""
    with _alone():
        _apply()


def migrate_if_new() -> None:
    """Migrate a database that has none of our tables yet; leave any other as it is. Raises OperationalError.

    It waits for another process that migrates: meanwhile the first tables exist and the last columns do not.
    """
    with _alone():
        if ChannelAccount._meta.db_table not in connection.introspection.table_names():
            _apply()


def _apply() -> None:
    call_command("migrate", interactive=False, verbosity=0)


@contextmanager
def _alone() -> Iterator[None]:
    # Tried again and again: a session that waits inside pg_advisory_lock would hold up CREATE INDEX CONCURRENTLY.
    while not _query("SELECT pg_try_advisory_lock(%s)"):
        time.sleep(RETRY_SECONDS)
    try:
        yield
    finally:
        _query("SELECT pg_advisory_unlock(%s)")


def _query(query: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, [LOCK])
        (answer,) = cursor.fetchone()
        return bool(answer)
