"""Two hundred clients who send a byte a second neither hold up a webhook nor fill the memory. Rows 5 and 6."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from config.http_limits import BODY_SECONDS, HEAD_SECONDS
from tests.config.web_kit import PATIENCE, Product, Said, product, request, talk, whatsapp

EACH = 100
BASE = "http://127.0.0.1:8000"
MEBI = 1024 * 1024
#: Webhooks that must be answered while every slow client is still there.
ENOUGH = 3


async def creep(port: int, first: bytes, then: bytes, arrived: asyncio.Queue[None]) -> tuple[bytes, float]:
    """Send, a piece a second, until there is an answer. Return it, and after how many seconds it came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()
    writer.write(first)
    await writer.drain()
    arrived.put_nowait(None)
    answer = asyncio.ensure_future(reader.read())
    while not (await asyncio.wait([answer], timeout=1))[0] and time.monotonic() - began < PATIENCE:
        writer.write(then)
    took = time.monotonic() - began
    writer.close()
    return await answer, took


async def lay_siege(parley: Product) -> tuple[list[tuple[bytes, float]], list[tuple[Said, bool]], float]:
    """Return what the slow were told, what webhooks were, and whether all the slow were there yet, and the growth."""
    process = psutil.Process(parley.web.process.pid)
    before, most = process.memory_info().rss, 0
    here: asyncio.Queue[None] = asyncio.Queue()
    port, path = parley.web.port, parley.whatsapp
    kinds = [(request(f"GET {path}?")[:-2] + b"X-Slow: ", b"x")] * EACH
    kinds += [(request(f"POST {path}", "Content-Length: 200000"), b"x")] * (EACH // 2)
    kinds += [(request(f"POST {path}", "Transfer-Encoding: chunked"), b"1\r\nx\r\n")] * (EACH // 2)
    slow = [asyncio.create_task(creep(port, first, then, here)) for first, then in kinds]
    for _ in slow:
        await asyncio.wait_for(here.get(), PATIENCE)
    normal = []
    while not all(task.done() for task in slow):
        message = whatsapp(BASE, path, 1000 + len(normal), "Connection: close")
        said = await asyncio.to_thread(talk, port, message)
        normal.append((said, not any(task.done() for task in slow)))
        most = max(most, process.memory_info().rss)
        await asyncio.sleep(0.2)
    return [task.result() for task in slow], normal, (most - before) / MEBI


@pytest.mark.whole
def test_5_6_two_hundred_slow_clients_hold_up_nobody(tmp_path: Path, empty_database: str) -> None:
    with product(tmp_path, empty_database, PUBLIC_BASE_URL=BASE) as parley:
        for number in range(50):  # so that whatever is loaded on first use is there
            assert talk(parley.web.port, whatsapp(BASE, parley.whatsapp, number, "Connection: close")).status == 200
        slow, normal, growth = asyncio.run(lay_siege(parley))
        stored = parley.stored()

    assert [said.headers["x-parley-status"] for said, _ in normal] == ["accepted"] * len(normal)
    assert sum(all_there for _, all_there in normal) >= ENOUGH
    assert len(stored) == 50 + len(normal)  # and nothing of the slow
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer, _ in slow)
    assert min(took for _, took in slow[:EACH]) >= HEAD_SECONDS - 0.1
    assert min(took for _, took in slow[EACH:]) >= BODY_SECONDS - 0.1
    assert growth < 10, f"{growth:.1f} MiB"
