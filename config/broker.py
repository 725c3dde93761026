"""How the task queue reaches its broker: PostgreSQL (Kombu's pgmq transport), Redis or another one.

By the same policy as the database (`channels_app.infrastructure.db`): silence is noticed within seconds, and a broker
that is back is found within seconds, however long it was away.
"""

from __future__ import annotations

import socket
from typing import Any

import kombu.transport
from celery.app.amqp import AMQP
from django.core.exceptions import ImproperlyConfigured
from kombu.connection import Connection as KombuConnection
from kombu.transport import pgmq
from pgmq import PGMQueue
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from channels_app.infrastructure.db import POLICY, Pool

#: What pgmq-py carries over from a connection string. It drops everything else.
CARRIED = ("host", "port", "dbname", "user")
#: Seconds that Redis may take to answer.
SILENCE = 5.0
#: What the database's policy means to a socket: options of tcp(7) that this system knows.
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", POLICY["keepalives_idle"]),
        ("TCP_KEEPINTVL", POLICY["keepalives_interval"]),
        ("TCP_KEEPCNT", POLICY["keepalives_count"]),
        ("TCP_USER_TIMEOUT", POLICY["tcp_user_timeout"]),
    )
    if hasattr(socket, name)
}
#: Redis' client, in its own words.
REDIS: dict[str, Any] = {
    "socket_connect_timeout": POLICY["connect_timeout"],
    "socket_keepalive": True,
    "socket_keepalive_options": KEEPALIVE,
    "health_check_interval": 5,
}
#: Seconds between two attempts to reach a broker: Kombu's own go up to thirty.
PAUSES = {"interval_start": 1, "interval_step": 1, "interval_max": 2}


def check_url(broker: str) -> None:
    """Raise ImproperlyConfigured, which quotes nothing, for what Kombu has no transport for. Several stand with ;."""
    for url in broker.split(";"):
        if "://" not in url or url.partition("://")[0].partition("+")[0] not in kombu.transport.TRANSPORT_ALIASES:
            raise ImproperlyConfigured(
                "CELERY_BROKER_URL is no such address: give redis://, rediss://, amqp:// or sqs:// with a host"
            )


def transport_options(broker: str, visibility_timeout: int) -> dict[str, Any]:
    """Return Celery's `broker_transport_options` for a broker URL."""
    options: dict[str, Any] = {"visibility_timeout": visibility_timeout, **PAUSES}
    if broker.startswith("redis"):
        return {**options, **REDIS, "socket_timeout": SILENCE}
    if not broker.startswith("pgmq"):
        return options
    return {
        **options,
        "init_extension": False,
        "use_notify": True,
        "wait_time_seconds": 0,
        "polling_interval": 0.2,
        "notify_throttle_interval_ms": 0,
        "pool_timeout": 5,  # seconds to wait for a database that does not answer
        "conn_string": pgmq_conninfo(broker),
    }


def pgmq_conninfo(broker: str) -> str:
    """Return the `conn_string` transport option for a pgmq:// broker, such that nothing of its URL is lost.

    pgmq-py 1.1 reads a connection string into five fields and joins those, unquoted, into another one: a socket folder
    in a URL stays percent-encoded, a password with a space or quote breaks, and `sslmode` is forgotten. So every field
    is quoted once more than it needs, and all other options ride behind the last field.
    """
    params = {key: str(value) for key, value in {**POLICY, **_given(broker)}.items()}
    carried = {key: _quoted(params.pop(key)) for key in CARRIED if key in params}
    password = _quoted(params.pop("password", "unused"))  # it insists on one; a server that asks for none ignores it
    return make_conninfo(**carried, password=" ".join([password, make_conninfo(**params)]).strip())


def _given(broker: str) -> dict[str, Any]:
    return dict(conninfo_to_dict("postgresql" + broker[broker.index(":") :]))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Transport(pgmq.Transport):
    """Kombu's pgmq transport on our own pool: the library's own takes a minute to see that the database is back."""

    def _create_pgmq_client(self) -> PGMQueue:
        assert self.client is not None
        options = self.client.transport_options
        pool = Pool(
            conninfo=PGMQConfig(conn_string=options["conn_string"]).dsn,
            max_size=pgmq.Channel.default_pool_size,
            timeout=options["pool_timeout"],
            open=True,
        )
        return PGMQueue(
            conn_string=options["conn_string"], vt=options["visibility_timeout"], init_extension=False, pool=pool
        )

    def close_connection(self, connection: Any) -> None:
        """Close the pool, too: the library leaves alone one that was given to it."""
        pool = self._pgmq_client.pool if self._pgmq_client is not None else None
        try:
            super().close_connection(connection)
        finally:
            if pool is not None:
                pool.close()


class Connection(KombuConnection):
    """Tries again every second or two for as long as it is told to. Kombu's own waits up to half a minute."""

    def ensure_connection(self, *arguments: Any, **named: Any) -> Connection:
        """Return when the broker is reached."""
        super().ensure_connection(*arguments, **{**PAUSES, **named})  # type: ignore[no-untyped-call]
        return self


class Amqp(AMQP):  # type: ignore[misc] # celery is not typed
    """Makes Celery's connections ours."""

    Connection = BrokerConnection = Connection


#: pgmq:// means our transport, for whoever makes a connection.
kombu.transport.TRANSPORT_ALIASES["pgmq"] = "config.broker:Transport"
