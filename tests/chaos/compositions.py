"""On what the product stands in a run: the embedded PostgreSQL, or PostgreSQL with Redis or RabbitMQ."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from config import embedded, postmaster
from tests.chaos.servers import Disk, Pair, pair, small_disk

ROOT = Path(__file__).resolve().parents[2]
VAR = ROOT / "var" / "chaos"
COMPOSITIONS = ("embedded", "redis", "rabbitmq", "disk", "pair", "lagging")
#: Everybody but us, also what waits inside a pool.
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()
"""
#: The chats that the bridge with this process id listens to.
OPEN_CHATS = """
SELECT t.initial_contact_id FROM connect_bridge_contact t JOIN connect_bridge_conversation c ON c.id = t.conversation_id
 WHERE t.state = 'connected'
   AND c.owner_id = (SELECT id FROM connect_bridge_bridge WHERE pid = %s ORDER BY started_at DESC LIMIT 1)
"""

#: Seconds that a crashed server stays down: long enough for a few webhooks to find it so.
POWERLESS = 2.0
HOLD = "SELECT 1 FROM channels_app_channelaccount ORDER BY random() LIMIT 1 FOR UPDATE"


@dataclass(frozen=True, slots=True)
class Ground:
    """A fresh database and a broker, as the rig reaches them; `environment` is how the product does.

    `restart` crashes the database server and starts it again, where it is ours alone. `disk` is what it lies on, where
    that may be filled; `pair` it and its standby, where it has one.
    """

    url: str
    environment: Mapping[str, str]
    restart: Callable[[], Any] | None = None
    broker: str = ""
    disk: Disk | None = None
    pair: Pair | None = None

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def open_chats(self, pid: int) -> list[str]:
        with self.connect() as connection:
            return [row[0] for row in connection.execute(OPEN_CHATS, [pid]).fetchall()]

    def kill_backends(self) -> int:
        """Break every connection of the product to the database."""
        name = urlsplit(self.url).path.lstrip("/")
        with psycopg.connect(_beside(self.url, "postgres"), autocommit=True) as connection:
            row = connection.execute(TERMINATE, [name]).fetchone()
        return row[0] if row else 0

    def hold_an_account(self, seconds: float) -> None:
        """Keep one account's row locked: what refers to it is written, numbered, and commits only afterwards."""
        with psycopg.connect(self.url) as connection:
            connection.execute(HOLD)
            time.sleep(seconds)

    def lose_tasks(self) -> str:
        """Empty the broker, where it is one that can be emptied; return what was emptied."""
        if self.broker.startswith("redis"):
            redis.Redis.from_url(self.broker).flushdb()
            return "redis"
        if not self.broker:
            with self.connect() as connection:
                for (queue,) in connection.execute("SELECT queue_name FROM pgmq.list_queues()").fetchall():
                    connection.execute("SELECT pgmq.purge_queue(%s)", [queue])
            return "pgmq"
        return ""


@contextmanager
def ground(composition: str, name: str) -> Iterator[Ground]:
    """Give the ground for one run, under this name; drop its database afterwards."""
    VAR.mkdir(parents=True, exist_ok=True)
    if composition == "embedded":
        with embedded.running(VAR / "embedded") as place, _fresh(place.url(), name) as url:
            yield Ground(url, {}, lambda: _crash(place))
        return
    if composition == "disk":
        with small_disk(VAR / "disk") as (place, disk), _fresh(place.url(), name) as url:
            yield Ground(url, {}, lambda: _crash(place), disk=disk)
        return
    if composition in ("pair", "lagging"):
        ports = (free_port(), free_port())
        with (
            pair(VAR / "embedded", ports, synchronous=composition == "pair") as two,
            _fresh(two.primary.url, name) as url,
        ):
            # What is lost must be found, not fetched by the way.
            environment = {} if composition == "pair" else {"INBOUND_POLL_SECONDS": "0"}
            yield Ground(url, environment, pair=two)
        return
    with _services(composition) as services, _fresh(services["DATABASE_URL"], name) as url:
        environment = {key: value for key, value in services.items() if key != "DATABASE_URL"}
        yield Ground(url, environment, None, environment.get("CELERY_BROKER_URL", ""))


@contextmanager
def _services(composition: str) -> Iterator[Mapping[str, str]]:
    """Bring the services up through the script that anybody may use, and down again."""
    script, state = str(ROOT / "deploy" / "services"), str(VAR / f"services-{composition}")
    up = subprocess.run([script, "up", composition, state], check=True, stdout=subprocess.PIPE, text=True)
    try:
        yield dict(word.split("=", 1) for word in shlex.split(up.stdout, comments=True) if "=" in word)
    finally:
        subprocess.run([script, "down", state], check=False, stdout=subprocess.DEVNULL)


@contextmanager
def _fresh(server: str, name: str) -> Iterator[str]:
    with psycopg.connect(_beside(server, "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield _beside(server, name)
    finally:
        if not os.environ.get("CHAOS_KEEP"):
            with psycopg.connect(_beside(server, "postgres"), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _beside(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _crash(place: embedded.Place) -> None:
    """Stop the server as if the power had failed, and start it again after a while: it recovers from its log."""
    with embedded._alone(place):  # whoever needs the server would start it again at once
        postmaster.run_program(place, "pg_ctl", "-D", str(place.data), "-m", "immediate", "-w", "stop")
        time.sleep(POWERLESS)
        postmaster.start(place)
