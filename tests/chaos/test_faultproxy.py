"""The proxy that misbehaves must misbehave exactly as told, or the chaos run proves nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.chaos.faultproxy import FaultProxy, Toxic


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    made = FaultProxy(server.sockets[0].getsockname()[:2])
    await made.up()
    yield made
    await made.down()
    server.close()
    await asyncio.sleep(0.02)


async def _ask(proxy: FaultProxy, said: bytes, most: float = 5.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        async with asyncio.timeout(most):
            writer.write(said)
            return await reader.readexactly(len(said))
    finally:
        writer.close()


async def test_without_toxics_every_byte_passes_both_ways(proxy: FaultProxy):
    said = bytes(range(256)) * 2000
    assert await _ask(proxy, said) == said


async def test_latency_delays_what_passes(proxy: FaultProxy):
    proxy.toxics.append(Toxic("latency", seconds=0.2))
    began = time.monotonic()
    assert await _ask(proxy, b"hello") == b"hello"
    assert time.monotonic() - began >= 0.2


async def test_bandwidth_lets_so_many_bytes_through_a_second(proxy: FaultProxy):
    proxy.toxics.append(Toxic("bandwidth", "upstream", rate=10_000))
    began = time.monotonic()
    await _ask(proxy, b"x" * 3000)
    assert time.monotonic() - began >= 0.25


async def test_slow_close_holds_the_end_back(proxy: FaultProxy):
    proxy.toxics.append(Toxic("slow_close", "upstream", seconds=0.3))
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    began = time.monotonic()
    writer.write_eof()
    assert await reader.read() == b""
    assert time.monotonic() - began >= 0.25
    writer.close()


async def test_timeout_lets_nothing_through_and_closes_in_the_end(proxy: FaultProxy):
    proxy.toxics.append(Toxic("timeout", seconds=0.2))
    with pytest.raises(asyncio.IncompleteReadError):
        await _ask(proxy, b"hello")


async def test_timeout_zero_is_a_black_hole(proxy: FaultProxy):
    proxy.toxics.append(Toxic("timeout"))
    with pytest.raises(TimeoutError):
        await _ask(proxy, b"hello", most=0.3)


async def test_reset_peer_resets(proxy: FaultProxy):
    proxy.toxics.append(Toxic("reset_peer"))
    with pytest.raises(ConnectionResetError):
        await _ask(proxy, b"hello")


async def test_slicer_cuts_chunks_small_and_loses_nothing(proxy: FaultProxy):
    proxy.toxics.append(Toxic("slicer", size=3))
    assert await _ask(proxy, b"hello, world") == b"hello, world"


async def test_limit_data_closes_after_so_many_bytes(proxy: FaultProxy):
    proxy.toxics.append(Toxic("limit_data", size=4))
    with pytest.raises(asyncio.IncompleteReadError) as failure:
        await _ask(proxy, b"hello")
    assert failure.value.partial == b"hell"


async def test_down_refuses_and_cuts_until_it_is_up_again_on_the_same_port(proxy: FaultProxy):
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hi")
    await reader.readexactly(2)
    port = proxy.port
    await proxy.down()
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await _ask(proxy, b"hello")
    assert await proxy.up() == port
    assert await _ask(proxy, b"hello") == b"hello"


async def test_a_toxic_strikes_its_share_of_connections_and_the_seed_decides_which(proxy: FaultProxy):
    proxy.toxics.append(Toxic("reset_peer", toxicity=0.5))

    async def outcome() -> bool:
        try:
            return await _ask(proxy, b"x") == b"x"
        except ConnectionResetError:
            return False

    proxy.dice.seed(3)
    first = [await outcome() for _ in range(20)]
    proxy.dice.seed(3)
    assert [await outcome() for _ in range(20)] == first
    assert 0 < sum(first) < 20
