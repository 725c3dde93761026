"""What every test stands on: a private PostgreSQL, queues in memory, no way out of this machine."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection, connections
from django.test import TransactionTestCase
from pytest_django.fixtures import Settings
from pytest_django.plugin import DjangoDbBlocker

from config import embedded
from tests import markers
from tests.isolation_kit import queues_in_memory

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile(
    "any machine", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

IN_CI = os.environ.get("CI", "").lower() in ("1", "true")
_missed: dict[str, int] = {}


@pytest.hookimpl(tryfirst=True)  # before those with the markers not asked for are left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    markers.mark(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (_, fix) in markers.TOOLS.items():
        if item.get_closest_marker(marker) is None or markers.tool(marker):
            continue
        _missed[marker] = _missed.get(marker, 0) + 1
        if IN_CI:
            pytest.fail(f"this is CI, where no {marker} test may be skipped: {fix}", pytrace=False)
        pytest.skip(f"NOT TESTED: no {marker} here. To run it: {fix}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for marker, (_, fix) in markers.TOOLS.items():
        if missed := sum(f"no {marker} here" in reason for reason in skipped):
            terminalreporter.section(f"{missed} {marker} test(s) DID NOT RUN: {fix}", sep="!", yellow=True, bold=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Give the address of the database server: DATABASE_URL's, or the private one, which all workers share."""
    if os.environ.get("DATABASE_URL"):
        yield os.environ["DATABASE_URL"]
        return
    with embedded.running(django_settings.VAR_DIR) as server:
        if django_settings.VAR_DIR.name == "tests":
            _careless(server.url("postgres"))
        yield server.url()


def _careless(server: str) -> None:
    """Let a server of the tests' own (`make test`) not wait for the disk: a power failure may have what it holds."""
    with psycopg.connect(server, autocommit=True) as connected:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            connected.execute(f"ALTER SYSTEM SET {name} = off")
        connected.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(postgres: str, django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Make pytest-django wait for the server."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """At the end, break off whatever still talks to the test database: a pool that closes slowly must not keep it."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


#: What migrations and start-up put there. No test needs it made anew, unless one has changed it.
UNCHANGED = ("django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions")
_counts: list[tuple[int, ...]] = []


def _count_rows() -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in UNCHANGED))
        return cursor.fetchone()


@pytest.fixture(scope="session", autouse=True)
def _swift_flush() -> Iterator[None]:
    """After a test that commits, empty what holds rows: Django empties all and fills much of it again, for 0.3 s."""
    slow = TransactionTestCase._fixture_teardown

    def swift(self: TransactionTestCase) -> None:
        if not _counts or _count_rows() != _counts[0]:
            slow(self)
            _counts[:] = [_count_rows()]
            return
        tables = set(connection.introspection.table_names()) - {*UNCHANGED}
        with connection.cursor() as cursor:
            cursor.execute(
                " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in tables)
            )
            if filled := ", ".join(row[0] for row in cursor.fetchall()):
                cursor.execute(f"TRUNCATE {filled} CASCADE")

    TransactionTestCase._fixture_teardown = swift
    yield
    TransactionTestCase._fixture_teardown = slow


@pytest.fixture(scope="module", autouse=True)
def _pool_of_its_own() -> Iterator[None]:
    """Give each file of tests a pool of its own: what a thread borrowed that a test started and let end stays away."""
    yield
    ours = connections["default"]
    if ours.alias in type(ours)._connection_pools:
        ours.close()
        ours.close_pool()


def _with_database(address: str, name: str) -> str:
    return urlunsplit(urlsplit(address)._replace(path=f"/{name}", query=""))


@pytest.fixture
def database_url(postgres: str, db: None) -> str:
    """Give the DATABASE_URL of the test database, for a process that a test starts."""
    return _with_database(postgres, connection.settings_dict["NAME"])


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """Give the DATABASE_URL of a database that nobody else uses and nobody has migrated; drop it afterwards."""
    name = f"parley_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_with_database(postgres, "postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield _with_database(postgres, name)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of the browser to tests marked `browser`."""
    path = markers.tool("browser")
    assert path, "mark the test with @pytest.mark.browser"
    return path


@pytest.fixture(autouse=True)
def _queues_in_memory(settings: Settings) -> Iterator[None]:
    with queues_in_memory(settings):
        yield
