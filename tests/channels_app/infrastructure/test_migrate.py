from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.conf import settings
from psycopg.sql import SQL, Identifier

from channels_app.infrastructure.db import connect_parameters
from channels_app.infrastructure.migrate import LOCK

NEW = "parley_test_never_migrated"
#: Sessions that ask whether it is their turn to migrate.
ASKS = """
SELECT 1 FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'"""
ADD = ("addaccount", "whatsapp", "--json", "--set=account_sid=AC1", "--set=auth_token=t")


@pytest.fixture
def new_database(db: None) -> Iterator[str]:
    with psycopg.connect(**connect_parameters(), autocommit=True) as server:
        server.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(NEW)))
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(NEW)))
        yield address(server.info)
        server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(NEW)))


def address(info: Any) -> str:
    who = quote(info.user) + (f":{quote(info.password)}" if info.password else "")
    return f"postgres://{who}@{quote(info.host, safe='')}:{info.port}/{NEW}"


def manage(database_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    return subprocess.run(
        command,
        env=os.environ | {"DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_who_comes_while_another_migrates_waits_until_that_one_is_done(new_database: str) -> None:
    with psycopg.connect(new_database, autocommit=True) as other, ThreadPoolExecutor() as threads:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        other.execute("CREATE TABLE channels_app_channelaccount (id uuid)")  # its first table, and no more yet
        waits = threads.submit(manage, new_database, *ADD, "N1", "--set=number=+34600000001")
        while not waits.done() and not other.execute(ASKS).fetchall():
            time.sleep(0.05)
        other.execute("DROP TABLE channels_app_channelaccount")
        other.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        done = waits.result()

    assert done.returncode == 0, done.stderr


def test_accounts_can_be_added_to_a_database_that_nobody_migrated_even_several_at_once(new_database: str) -> None:
    with ThreadPoolExecutor() as threads:
        one, other = threads.map(
            lambda number: manage(new_database, *ADD, f"N{number}", f"--set=number=+3460000000{number}"), (1, 2)
        )
    assert (one.returncode, other.returncode) == (0, 0), one.stderr + other.stderr
