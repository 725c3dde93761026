from __future__ import annotations

import socket
from typing import Any

import psycopg
import pytest
from kombu.transport.virtual import Transport as VirtualTransport
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict

from config import celery_app
from config.broker import Amqp, Transport, pgmq_conninfo, transport_options


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("pgmq://me@%2Fvar%2Fa%20b/parley", {"host": "/var/a b", "user": "me", "dbname": "parley"}),
        ("pgmq://me:it%27s%20%5C@db:6432/x", {"host": "db", "port": "6432", "password": "it's \\"}),
        ("pgmq://me:p@db/x?sslmode=verify-full&connect_timeout=3", {"sslmode": "verify-full", "connect_timeout": "3"}),
    ],
)
def test_everything_in_a_broker_url_reaches_libpq(url: str, expected: dict[str, str]) -> None:
    reached = conninfo_to_dict(PGMQConfig(conn_string=pgmq_conninfo(url)).dsn)
    assert {key: str(reached[key]) for key in expected} == expected


class Away(Transport):
    """A broker that cannot be reached, a few times."""

    asked, times = 0, 12

    def establish_connection(self) -> Any:
        type(self).asked += 1
        if self.asked <= self.times:
            raise psycopg.OperationalError("not there")
        return VirtualTransport.establish_connection(self)


def test_a_broker_that_is_away_is_asked_every_other_second_however_long_it_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept = [0.0]
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda seconds: slept.__setitem__(0, slept[0] + seconds))
    monkeypatch.setattr(Away, "asked", 0)
    options = transport_options("pgmq://me@db/x", 30)
    with Amqp.Connection("pgmq://me@db/x", transport=Away, transport_options=options) as connection:
        connection.ensure_connection(None, None)
    assert Away.asked == 13
    assert slept[0] <= 2 * Away.times


def test_every_connection_to_redis_notices_silence() -> None:
    options = transport_options("redis://me@db/1", 30)
    assert options["socket_timeout"] <= 5
    assert options["socket_connect_timeout"] <= 5
    assert options["health_check_interval"] <= 5
    assert socket.TCP_USER_TIMEOUT in options["socket_keepalive_options"]


def test_celerys_connections_are_ours() -> None:
    with celery_app.connection_for_read() as reading, celery_app.connection_for_write() as writing:
        assert {type(reading), type(writing)} == {Amqp.Connection}
