from __future__ import annotations

import pytest
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict

from config.broker import pgmq_conninfo


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
