from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from django.conf import settings

from sandbox import demo, visitors
from sandbox.tour import Tour
from sandbox.visitors import World
from sandbox.world.run import serving
from sandbox.world.world import World as SimulatedWorld


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The simulated world, with the demo accounts, whose webhooks nobody has set."""
    async with serving(SimulatedWorld(base_url=""), "127.0.0.1", 0) as url, aiohttp.ClientSession() as session:
        yield World(url, session)


async def register(world: World, webhook: str) -> None:
    for kind, (_, credentials) in demo.ACCOUNTS.items():
        body = {"kind": kind, "webhook_url": webhook, "credentials": dict(credentials), "retries": 0}
        await world.call("POST", "/phones/accounts", body)


@pytest.fixture
async def swallower() -> AsyncIterator[str]:
    """A product that answers every webhook 200 and does nothing with it."""
    app = web.Application()

    async def swallow(_request: web.Request) -> web.Response:
        return web.json_response({})

    app.router.add_route("*", "/{path:.*}", swallow)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def test_a_product_that_loses_messages_fails_the_tour_which_says_after_which_hop(
    world: World, swallower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "PATIENCE", 0.3)
    await register(world, swallower)
    printed: list[str] = []
    assert await Tour(world, printed.append).run() is False
    for kind in demo.ACCOUNTS:
        (failure,) = (line for line in printed if line.startswith(f"✗ {kind}"))
        assert f"never reached Amazon Connect; the last hop seen is webhook.{kind}" in failure
    assert printed[-1].startswith("The tour FAILED")


async def test_a_product_that_is_down_fails_the_tour_at_its_first_hop(world: World) -> None:
    await register(world, "http://127.0.0.1:9/")
    printed: list[str] = []
    assert await Tour(world, printed.append).run() is False
    assert "the webhook was answered 0" in "\n".join(printed)


async def test_a_product_that_refuses_the_handshake_is_named(
    world: World, swallower: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "HANDSHAKE", 0.1)
    with pytest.raises(visitors.Missing, match="did not answer the provider's handshake"):
        await world.introduce(dict.fromkeys(demo.ACCOUNTS, swallower))


async def test_a_product_that_is_slow_to_start_is_waited_for(world: World) -> None:
    app, asked = web.Application(), []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=503) if len(asked) < 3 else web.Response(text=request.query["hub.challenge"])

    app.router.add_route("GET", "/{path:.*}", answer)
    async with TestServer(app) as server:
        await world.introduce({"messenger": str(server.make_url("/"))})

    assert len(asked) == 3


@pytest.mark.whole
def test_every_message_of_the_tour_arrives(empty_database: str, free_port: int, tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "sandbox", "--tour", "--port", str(free_port)]
    environment = {**os.environ, "DATABASE_URL": empty_database, "PARLEY_VAR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for scene in (
        "two customers at once",
        "a transfer",
        "a sticker",
        "three times",
        "a forged",
        "goodbye",
        "after the end",
    ):
        assert done.stdout.count(f"  {scene}") + done.stdout.count(scene) >= len(demo.ACCOUNTS), scene
    for scene in ("in the morning Ana", "at noon she goes on", "attributes name both", "histories are as before"):
        assert scene in done.stdout, scene
    assert done.stdout.splitlines()[-1].startswith("✓")


def test_the_sandbox_has_no_way_to_a_real_service() -> None:
    reached = demo.environment("http://127.0.0.1:1", 8000, "postgres://x/y")
    addresses = [value for name, value in reached.items() if "URL" in name and name != "DATABASE_URL"]
    assert len(addresses) >= 10
    assert all(value.startswith("http://127.0.0.1:") for value in addresses)
