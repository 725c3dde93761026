"""Brings the database up to date, once, however many processes start together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection

from channels_app.models import ChannelAccount

#: Any number that nothing else in this database locks by.
MIGRATING = 7_027_539
#: Seconds between two looks at whether another process is done.
LOOK_AGAIN = 0.2


def migrate() -> None:
    """Apply what is missing; whoever comes second waits and finds nothing left to do. Raises OperationalError."""
    with _alone():
        _apply()


def migrate_if_new() -> None:
    """Migrate a database that has none of our tables yet; leave any other as it is. Raises OperationalError.

    While another process migrates, the first tables are there and the last columns are not: that one is waited for.
    """
    with _alone():
        if ChannelAccount._meta.db_table not in connection.introspection.table_names():
            _apply()


def _apply() -> None:
    call_command("migrate", interactive=False, verbosity=0)


@contextmanager
def _alone() -> Iterator[None]:
    # Asked for again and again: a session that waits inside pg_advisory_lock would hold up CREATE INDEX CONCURRENTLY.
    while not _ask("SELECT pg_try_advisory_lock(%s)"):
        time.sleep(LOOK_AGAIN)
    try:
        yield
    finally:
        _ask("SELECT pg_advisory_unlock(%s)")


def _ask(query: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(query, [MIGRATING])
        (answer,) = cursor.fetchone()
        return bool(answer)
