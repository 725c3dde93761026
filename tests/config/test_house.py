from __future__ import annotations

import os
import socket
import subprocess
import sys
import warnings

import pytest
from celery import shared_task
from channels.layers import get_channel_layer
from django.core.cache import caches
from django.db import connection
from kombu.transport import memory
from pytest_django.fixtures import Settings
from pytest_socket import SocketConnectBlockedError


@shared_task
def nothing() -> None: ...


def test_a_task_sent_by_a_test_stays_in_this_process() -> None:
    nothing.delay()
    assert sum(queue.qsize() for queue in memory.Channel.queues.values()) == 1


def test_the_next_test_does_not_see_it() -> None:
    assert not memory.Channel.queues


def test_a_group_message_stays_in_this_process() -> None:
    assert type(get_channel_layer()).__name__ == "InMemoryChannelLayer"


def test_the_outside_world_cannot_be_reached() -> None:
    with warnings.catch_warnings(action="ignore"), pytest.raises(SocketConnectBlockedError), socket.socket() as outside:
        outside.connect(("192.0.2.1", 80))


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


@pytest.mark.django_db
def test_migrating_brings_the_task_queue() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pgmq.create('house'), pgmq.send('house', '{}')")
        assert cursor.fetchone()[1] == 1


@pytest.mark.django_db
def test_migrating_brings_the_cache_table(settings: Settings) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"}
    }
    caches["default"].set("key", "value")
    assert caches["default"].get("key") == "value"


KNOCK = """
import asyncio, django
django.setup()
from channels.layers import get_channel_layer
async def knock():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add("house", channel)
    await layer.group_send("house", {"type": "knock"})
    print(await asyncio.wait_for(layer.receive(channel), 10))
asyncio.run(knock())
"""


@pytest.mark.django_db(transaction=True)
def test_the_channel_layer_on_postgresql_carries_a_group_message(database_url: str) -> None:
    command = [sys.executable, "-c", KNOCK]
    environment = {**os.environ, "DATABASE_URL": database_url}
    finished = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=30)
    assert "{'type': 'knock'}" in finished.stdout, finished.stderr
