"""A simulated world that runs in a thread of the tests' process, behind a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config

from sandbox.world.run import serving
from sandbox.world.settings import Settings
from sandbox.world.world import World

REGION = "us-east-1"


@dataclass
class RunningWorld:
    """The world, its address, and real clients for it. Retries are off, so that every refusal is seen."""

    world: World
    url: str

    def client(self, service: str, **config: Any) -> Any:
        config = {"retries": {"total_max_attempts": 1}, **config}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, config=Config(**config), **keys)

    @property
    def connect(self) -> Any:
        return self.client("connect")

    @property
    def participant(self) -> Any:
        return self.client("connectparticipant", signature_version=UNSIGNED)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        response = requests.request(method, self.url + path, json=body, timeout=10)
        response.raise_for_status()
        return response.json()

    def lines(self, what: str) -> list[dict[str, Any]]:
        return [line.fields for line in list(self.world.ledger.lines) if line.what == what]


@contextmanager
def running(settings: Settings) -> Iterator[RunningWorld]:
    world = World(base_url="", settings=settings)
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with serving(world, "127.0.0.1", 0):
            ready.set()
            await stop.wait()

    def main() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=main)
    thread.start()
    assert ready.wait(20), "the simulated world did not start"
    try:
        yield RunningWorld(world, world.base_url)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


@pytest.fixture
def aws() -> Iterator[RunningWorld]:
    """A world without rates and with short waits."""
    with running(Settings(quotas=False, closing_grace=0.2)) as world:
        yield world
