"""Tests stay apart: from each other, from a running server, and from the outside world."""

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

from tests.isolation_kit import queues_in_memory


@shared_task
def nothing() -> None: ...


def test_a_task_sent_by_a_test_stays_in_this_process_and_the_next_test_does_not_see_it(settings: Settings) -> None:
    with queues_in_memory(settings):
        nothing.delay()
        caches["default"].set("key", "value")
        assert sum(queue.qsize() for queue in memory.Channel.queues.values()) == 1

    assert not memory.Channel.queues
    assert caches["default"].get("key") is None


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
        cursor.execute("SELECT pgmq.create('tests'), pgmq.send('tests', '{}')")
        assert cursor.fetchone()[1] == 1


@pytest.mark.django_db
def test_migrating_brings_the_cache_table(settings: Settings) -> None:
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"}
    }
    caches["default"].set("key", "value")
    assert caches["default"].get("key") == "value"


WAKE = """
import asyncio, django
django.setup()
from channels.layers import get_channel_layer
async def wake():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add("tests", channel)
    await layer.group_send("tests", {"type": "wake"})
    print(await asyncio.wait_for(layer.receive(channel), 10))
asyncio.run(wake())
"""


@pytest.mark.django_db(transaction=True)
def test_the_channel_layer_on_postgresql_carries_a_group_message(database_url: str) -> None:
    command = [sys.executable, "-c", WAKE]
    environment = {**os.environ, "DATABASE_URL": database_url}
    finished = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=30)
    assert "{'type': 'wake'}" in finished.stdout, finished.stderr
