"""What tests of the bridge share: a bridge in a thread, a customer who writes, an agent who accepts."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import psycopg
from django.db import connection
from psycopg_pool import AsyncConnectionPool

from channels_app.infrastructure.db import connect_parameters
from channels_app.models import InboundEntry, shard_of
from channels_app.types import InboundEvent, MessageReceived, Sender
from channels_app.webhooks.codec import encode_event
from connect_bridge.bridge.process import Bridge
from connect_bridge.models import OutboxEntry
from connect_bridge.outbox import db_pool
from connect_bridge.runtime import BridgeRuntime
from tests.factories import WebhookDeliveryFactory
from tests.sandbox.kit import Chatting, RunningWorld

#: Seconds that a test waits for what must happen.
PATIENCE = 30.0


@contextmanager
def bridging(*, killed: bool = False) -> Iterator[Bridge]:
    """Run a bridge in a thread. `killed`: it ends without handing anything over, as a dead process would."""
    made: list[Bridge] = []
    loops: list[asyncio.AbstractEventLoop] = []
    ready = threading.Event()

    async def work() -> None:
        bridge = Bridge()
        made.append(bridge)
        loops.append(asyncio.get_running_loop())
        if killed:
            bridge._leave = lambda: _die(bridge)
        ready.set()
        await bridge.run()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield made[0]
    finally:
        loops[0].call_soon_threadsafe(made[0].stop)
        thread.join(20)
        db_pool.close()


async def _die(bridge: Bridge) -> None:
    for relay in bridge.conversations.relays.values():
        relay.stop()
    await bridge.runtime.captures.close()
    await bridge.runtime.relays.close()
    bridge._dispatcher.stop()
    await asyncio.sleep(0.1)  # the sockets close


class Phone:
    """A customer who writes: straight into the intake's table, as the webhook would."""

    def __init__(self, account: Any, external_id: str = "4915100000001", name: str = "Ana") -> None:
        self.account, self.external_id, self.name = account, external_id, name
        self.number = 0

    def write(self, *texts: str) -> None:
        for text in texts:
            self.number += 1
            message_id = f"{self.external_id}-{self.number}"
            self.store(MessageReceived(key=f"m:{message_id}", sender=self.sender, message_id=message_id, text=text))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('parley_intake', '')")

    @property
    def sender(self) -> Sender:
        issuer = self.account.address if self.account.kind == "messenger" else ""
        return Sender(external_id=self.external_id, issuer=issuer, display_name=self.name)

    def store(self, event: InboundEvent) -> None:
        delivery = WebhookDeliveryFactory(account=self.account)
        InboundEntry.objects.create(
            account=self.account,
            delivery=delivery,
            key=event.key,
            type=str(event.__struct_config__.tag),
            sender=self.external_id,
            shard=shard_of(self.account.id, self.external_id),
            event=json.loads(encode_event(event)),
            state="pending",
            due_at=delivery.received_at,
            created_at=delivery.received_at,
        )


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {patience} s")


def accepted(aws: RunningWorld, agent: str, *, besides: tuple[str, ...] = ()) -> Chatting:
    def waiting() -> Any:
        queue = aws.call("GET", "/ccp/queue")
        return next((chat for chat in queue if chat["contact_id"] not in besides), None)

    return aws.accept(until(waiting, "a chat in the queue")["contact_id"], agent)


def said_to_customer() -> list[str]:
    return list(OutboxEntry.objects.order_by("sequence", "part").values_list("text", flat=True))


@asynccontextmanager
async def a_bridge() -> AsyncIterator[Bridge]:
    """Give a bridge that has joined and does nothing by itself."""
    parameters = {**connect_parameters(), "autocommit": True}
    async with AsyncConnectionPool(kwargs=parameters, min_size=1, max_size=4, open=False) as pool:
        bridge = Bridge()
        nothing: Any = None
        runtime = BridgeRuntime(
            bridge=bridge.id,
            pool=cast("Any", pool),
            control=nothing,
            participants=nothing,
            captures=nothing,
            relays=nothing,
            on_stored=lambda *_: None,
            on_ended=lambda *_: None,
        )
        bridge.prepare(runtime)
        await bridge.join()
        yield bridge


def with_bridge(work: Callable[[Bridge], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with a_bridge() as bridge:
            return await work(bridge)

    return asyncio.run(main())


async def claim(bridge: Bridge) -> None:
    async with bridge.runtime.pool.connection() as connection:
        await bridge.conversations.claim(connection)


def failing_once(bridge: Bridge) -> None:
    """Let the database refuse the next note that something was relayed."""
    relays = until(lambda: getattr(bridge, "runtime", None), "the bridge").relays
    run_batch = relays.run_batch

    async def refuse(_connection: Any, _items: Any) -> Any:
        relays.run_batch = run_batch
        raise psycopg.OperationalError

    relays.run_batch = refuse


@contextmanager
def database_away(bridge: Bridge) -> Iterator[None]:
    """Let every capture fail for a while."""
    captures = bridge.runtime.captures
    run_batch = captures.run_batch

    async def refuse(_connection: Any, _items: Any) -> Any:
        raise psycopg.OperationalError

    captures.run_batch = refuse
    yield
    captures.run_batch = run_batch
