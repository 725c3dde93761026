"""One policy for every way to the database: silence is noticed, pools keep trying, none gives out a dead connection."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection as django_connection
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict

from channels_app.infrastructure.db import POLICY, AsyncPool, Pool, Seldom, connect_parameters
from config import celery_app
from config.broker import Transport, pgmq_conninfo, transport_options
from connect_bridge.outbox import db_pool

pytestmark = pytest.mark.django_db(transaction=True)

#: Rounds of connecting during an outage, and seconds that they may take on a busy machine. With pauses that double, the
#: eighth would come after two minutes.
ROUNDS, PATIENCE = 8, 60.0


def obeys(parameters: dict[str, Any]) -> bool:
    return {name: str(parameters.get(name)) for name in POLICY} == {name: str(value) for name, value in POLICY.items()}


def of_django() -> dict[str, Any]:
    django_connection.ensure_connection()
    return dict(django_connection.connection.info.get_parameters())


def of_workers() -> dict[str, Any]:
    with db_pool.connection() as connection:
        parameters = connection.info.get_parameters()
    db_pool.close()
    return dict(parameters)


def of_broker() -> dict[str, Any]:
    return dict(conninfo_to_dict(PGMQConfig(conn_string=pgmq_conninfo("pgmq://me:p@db/x")).dsn))


@pytest.mark.parametrize("ask", [of_django, of_workers, of_broker, connect_parameters])
def test_every_way_to_the_database_has_the_same_policy(ask: Callable[[], dict[str, Any]]) -> None:
    assert obeys(ask())


@pytest.fixture
def set_up_in_tokyo() -> Iterator[None]:
    name = django_connection.settings_dict["NAME"]
    with django_connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET timezone TO 'Asia/Tokyo'")
        yield
        cursor.execute(f"ALTER DATABASE {name} RESET timezone")


@pytest.mark.usefixtures("set_up_in_tokyo")
def test_moments_are_read_in_utc_whatever_zone_the_server_was_set_up_in() -> None:
    with psycopg.connect(**connect_parameters()) as connection:
        row = connection.execute("SELECT timestamptz '2026-11-30 00:00:03+01'").fetchone()
    assert row is not None
    assert row[0].isoformat() == "2026-11-29T23:00:03+00:00"


def test_who_gives_a_value_in_the_address_keeps_it() -> None:
    assert "tcp_user_timeout=1234" in pgmq_conninfo("pgmq://me:p@db/x?tcp_user_timeout=1234")


def test_celery_reaches_postgresql_by_our_transport_and_pool(database_url: str) -> None:
    broker = "pgmq" + database_url[database_url.index(":") :]
    options = transport_options(broker, visibility_timeout=30)
    with celery_app.connection_for_write(broker, transport_options=options) as connection:
        assert isinstance(connection.transport, Transport)
        reached = connection.transport.establish_connection()
        pool = connection.transport._get_pgmq_client().pool
        assert isinstance(pool, Pool)
        with pool.connection() as one:
            assert obeys(one.info.get_parameters())
        connection.transport.close_connection(reached)
        assert pool.closed


def test_a_pool_tries_again_and_again_at_the_same_pace_and_finds_the_database_again() -> None:
    rounds, back, away = [0], threading.Event(), threading.Event()

    def address() -> dict[str, Any]:
        rounds[0] += 1
        if rounds[0] >= ROUNDS:
            away.set()
        return connect_parameters() if back.is_set() else {"host": "/nowhere/at/all"}

    with Pool(kwargs=address, max_size=2, open=True) as pool:
        with pytest.raises(psycopg.OperationalError):
            pool.getconn(timeout=0.5)
        assert away.wait(PATIENCE), f"{rounds[0]} rounds in {PATIENCE:g} s"
        back.set()
        with pool.connection(timeout=PATIENCE) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_so_does_one_for_asyncio() -> None:
    parameters = await asyncio.to_thread(connect_parameters)
    rounds, back = [0], asyncio.Event()

    async def address() -> dict[str, Any]:
        rounds[0] += 1
        return parameters if back.is_set() else {"host": "/nowhere/at/all"}

    async with AsyncPool(kwargs=address, max_size=2, open=False) as pool:
        async with asyncio.timeout(PATIENCE):
            while rounds[0] < ROUNDS:  # noqa: ASYNC110 - the pool tells nobody
                await asyncio.sleep(0.05)
        back.set()
        async with pool.connection(timeout=PATIENCE) as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


def _end(pids: list[int]) -> None:
    with psycopg.connect(**connect_parameters(), autocommit=True) as server:
        for pid in pids:
            server.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


def test_of_five_dead_connections_none_is_given_out() -> None:
    with Pool(kwargs=connect_parameters(), min_size=5, max_size=5, open=True) as pool:
        pool.wait(PATIENCE)
        held = [pool.getconn() for _ in range(5)]
        pids = [one.info.backend_pid for one in held]
        for one in held:
            pool.putconn(one)
        _end(pids)
        for _ in range(5):
            with pool.connection(timeout=PATIENCE) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_nor_by_one_for_asyncio() -> None:
    parameters = await asyncio.to_thread(connect_parameters)
    async with AsyncPool(kwargs=parameters, min_size=3, max_size=3, open=False) as pool:
        await pool.wait(PATIENCE)
        held = [await pool.getconn() for _ in range(3)]
        pids = [one.info.backend_pid for one in held]
        for one in held:
            await pool.putconn(one)
        await asyncio.to_thread(_end, pids)
        for _ in range(3):
            async with pool.connection(timeout=PATIENCE) as connection:
                assert await (await connection.execute("SELECT 1")).fetchone() == (1,)


def test_pages_do_not_notice_that_the_database_ended_their_connection(client: Any) -> None:
    assert client.get("/-/health/").status_code == 200
    django_connection.close()
    pool = django_connection.pool
    with pool.connection() as idle:
        pid = idle.info.backend_pid
    _end([pid])
    assert client.get("/-/health/").status_code == 200


def test_an_outage_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("channels_app.infrastructure.db.time.monotonic", lambda: now[0])
    seldom, said = Seldom(), []
    for _ in range(25):
        record = logging.LogRecord("psycopg.pool", logging.WARNING, "", 0, "error connecting", (), None)
        said.append(seldom.filter(record))
        now[0] += 1
    assert said.count(True) == 3
    assert said[0]
