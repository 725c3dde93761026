"""The channel layer in PostgreSQL: it hears again after its connection died, and leaves nothing in the database."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async

from channels_app.infrastructure.db import connect_parameters
from config import embedded
from config.channel_layer import STREAM, ChannelLayer
from tests.config.embedded_kit import remove

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60.0
LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE query = %s AND datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
async def layer() -> AsyncIterator[ChannelLayer]:
    made = ChannelLayer()
    yield made
    await made.close()


@pytest.fixture
async def other() -> AsyncIterator[ChannelLayer]:
    """Give the layer of another process."""
    made = ChannelLayer()
    yield made
    await made.close()


async def next_message(layer: ChannelLayer, channel: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        return await layer.receive(channel)


def _ask(query: str, params: Any = ()) -> list[tuple[Any, ...]]:
    with psycopg.connect(**connect_parameters(), autocommit=True) as server:
        return server.execute(query.encode(), params).fetchall()


async def ask(query: str, params: Any = ()) -> list[tuple[Any, ...]]:
    return await sync_to_async(_ask)(query, params)


@pytest.mark.parametrize("size", [1, 7_000, 8_192, 1_000_000])
async def test_a_message_of_any_size_reaches_the_group_in_another_process(
    layer: ChannelLayer, other: ChannelLayer, size: int
) -> None:
    channel = await layer.new_channel()
    await layer.group_add("pages", channel)
    message = {"type": "wake", "text": "ü" * size, "bytes": b"\0", "number": 1.5}
    await other.group_send("pages", message)
    assert await next_message(layer, channel) == message


async def test_who_left_the_group_hears_nothing_more(layer: ChannelLayer, other: ChannelLayer) -> None:
    gone, there = await layer.new_channel(), await layer.new_channel()
    for channel in (gone, there):
        await layer.group_add("pages", channel)
    await layer.group_discard("pages", gone)
    await other.group_send("pages", {"type": "first"})
    await other.send(gone, {"type": "second"})
    assert (await next_message(layer, there), await next_message(layer, gone)) == (
        {"type": "first"},
        {"type": "second"},
    )


async def test_it_listens_again_when_its_connection_died(layer: ChannelLayer, other: ChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.group_add("pages", channel)
    ((pid,),) = await ask(LISTENERS, [f"LISTEN {STREAM}"])
    await ask("SELECT pg_terminate_backend(%s, 10000)", [pid])
    async with asyncio.timeout(PATIENCE):
        while await ask(LISTENERS, [f"LISTEN {STREAM}"]) in ([], [(pid,)]):  # noqa: ASYNC110 - the server's event
            await asyncio.sleep(0.05)
    await other.group_send("pages", {"type": "wake"})
    assert await next_message(layer, channel) == {"type": "wake"}


@pytest.mark.parametrize("odd", ["", "nothing of ours", "a:b:c", "a:0:no base 85 \u00fc", "a:0:00000"])
async def test_what_is_none_of_ours_makes_nobody_deaf(layer: ChannelLayer, other: ChannelLayer, odd: str) -> None:
    channel = await layer.new_channel()
    await layer.group_add("pages", channel)
    await ask("SELECT pg_notify(%s, %s)", [STREAM, odd])
    await other.group_send("pages", {"type": "wake"})
    assert await next_message(layer, channel) == {"type": "wake"}


async def test_it_sends_again_when_its_connection_died(layer: ChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.group_add("pages", channel)
    await layer.group_send("pages", {"type": "first"})
    assert await next_message(layer, channel) == {"type": "first"}
    speaking = await ask(
        "SELECT pid, pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE query LIKE 'SELECT pg_notify%%' AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    assert len(speaking) == 1
    await layer.group_send("pages", {"type": "second"})
    assert await next_message(layer, channel) == {"type": "second"}


async def test_it_leaves_no_rows_and_keeps_nothing_of_a_page_that_closed(layer: ChannelLayer) -> None:
    for number in range(3):
        channel = await layer.new_channel()
        await layer.group_add("pages", channel)
        await layer.group_send("pages", {"type": "wake", "number": number})
        await next_message(layer, channel)
        await layer.group_discard("pages", channel)
    here = layer._here()
    assert (dict(here.groups), here.queues, here._unfinished) == ({}, {}, {})
    for (table,) in await ask("SELECT tablename FROM pg_tables WHERE tablename LIKE 'channels_postgres%%'"):
        assert await ask(f"SELECT count(*) FROM {table}") == [(0,)]


async def test_a_group_that_is_joined_while_the_database_is_away_is_heard_later(
    layer: ChannelLayer, other: ChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = True

    def address() -> dict[str, Any]:
        return {"host": "/nowhere/at/all"} if away else connect_parameters()

    monkeypatch.setattr("config.channel_layer.connect_parameters", address)
    monkeypatch.setattr("config.channel_layer.PATIENCE", 0.1)
    channel = await layer.new_channel()
    await layer.group_add("pages", channel)
    away = False
    async with asyncio.timeout(PATIENCE):
        while not await ask(LISTENERS, [f"LISTEN {STREAM}"]):  # noqa: ASYNC110 - the server's event
            await asyncio.sleep(0.05)
    await other.group_send("pages", {"type": "wake"})
    assert await next_message(layer, channel) == {"type": "wake"}


@pytest.mark.whole
@pytest.mark.timeout(3 * PATIENCE)
async def test_both_ways_come_back_when_the_server_itself_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    var = tmp_path / "var"
    try:
        with embedded.running(var) as place:
            monkeypatch.setattr("config.channel_layer.connect_parameters", lambda: {"conninfo": place.url()})
            layer = ChannelLayer()
            channel = await layer.new_channel()
            await layer.group_add("pages", channel)
            await layer.group_send("pages", {"type": "before"})
            assert await next_message(layer, channel) == {"type": "before"}
            os.kill(int((place.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            async with asyncio.timeout(PATIENCE):
                while await _knock(layer, channel) != {"type": "after"}:  # noqa: ASYNC110 - the server's event
                    await asyncio.sleep(0.1)
            await layer.close()
    finally:
        remove(var)


async def _knock(layer: ChannelLayer, channel: str) -> dict[str, Any] | None:
    """Send one message and return it if it arrives within a second."""
    with suppress(psycopg.Error, TimeoutError):
        await layer.group_send("pages", {"type": "after"})
        return await asyncio.wait_for(layer.receive(channel), 1)
    return None
