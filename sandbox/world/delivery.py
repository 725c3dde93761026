"""Post webhooks the way the providers do: with a deadline, and again when nobody took them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from sandbox.world.world import World

#: How much of an answer is kept, in characters.
BODY_SHOWN = 2_000
NOBODY = 0  # the status when there was no HTTP answer at all


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to try again. `timeout` and `delays` are seconds; the delays are the provider's, played fast.

    `on` names what counts as not taken: "connect", "timeout", "3xx", "4xx", "5xx".
    """

    timeout: float
    delays: tuple[float, ...]
    on: frozenset[str] = frozenset({"connect", "timeout", "3xx", "4xx", "5xx"})


class Attempt(msgspec.Struct):
    """What one POST got back. `status` is 0 when there was no answer; then `body` says why. `ms`: milliseconds."""

    status: int
    ms: float
    body: str

    def failure(self) -> str:
        """Return "" if it was taken (2xx), else its class as in Schedule.on."""
        if self.status == NOBODY:
            return "timeout" if self.body.startswith("timeout") else "connect"
        return "" if self.status // 100 == 2 else f"{self.status // 100}xx"  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to a webhook. `url` is where to connect; `fields` go into the ledger line `what`."""

    what: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    schedule: Schedule
    fields: dict[str, Any] = field(default_factory=dict)


def connect_to(url: str, deliver_to: str) -> str:
    """Return where a request for `url` really goes: `deliver_to`'s origin, and its path if it has one.

    A tunnel or proxy does the same: the provider signs the public address, the connection ends elsewhere.
    """
    public = urlsplit(url)._replace(fragment="")
    if not deliver_to:
        return public.geturl()
    inner = urlsplit(deliver_to)
    path = public.path if inner.path in ("", "/") else inner.path
    return public._replace(scheme=inner.scheme, netloc=inner.netloc, path=path).geturl()


@dataclass(slots=True)
class Courier:
    """Posts deliveries over one HTTP session, and redelivers in the background until taken or given up."""

    world: World
    _session: aiohttp.ClientSession | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def reset(self) -> None:
        """Forget what is still to be redelivered."""
        for task in tuple(self._tasks):
            task.cancel()

    async def close(self) -> None:
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def idle(self) -> None:
        """Wait until nothing is left to deliver."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=256)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def later(self, *deliveries: Delivery, after: float = 0.0) -> None:
        """Deliver these one after the other, in the background, `after` seconds from now."""
        self.spawn(self._in_turn(deliveries, after))

    async def deliver(self, delivery: Delivery) -> Attempt:
        """Make the first attempt now and return it; if it was not taken, go on in the background."""
        first = await self.attempt(delivery, 1)
        if first.failure() in delivery.schedule.on and delivery.schedule.delays:
            self.spawn(self._redeliver(delivery))
        return first

    async def get(self, url: str, headers: Mapping[str, str], seconds: float) -> tuple[int, str]:
        """GET a handshake URL; return status and body, or 0 and the reason."""
        return await self._ask("GET", url, b"", headers, seconds)

    async def fetch(self, url: str, seconds: float, most: int) -> tuple[bytes, str] | None:
        """GET a file; return its bytes and MIME type, or None if it is not there or longer than `most` bytes."""
        try:
            async with self.session().get(url, timeout=aiohttp.ClientTimeout(total=seconds)) as answer:
                body = await answer.content.read(most + 1)
                while len(body) <= most and (more := await answer.content.read(most + 1 - len(body))):
                    body += more
                fine = answer.status == 200 and len(body) <= most  # noqa: PLR2004
                return (body, answer.content_type) if fine else None
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return None

    async def attempt(self, delivery: Delivery, number: int) -> Attempt:
        """POST once and write the ledger line. Never raises for what the network does."""
        started = time.perf_counter()
        status, body = await self._ask("POST", delivery.url, delivery.body, delivery.headers, delivery.schedule.timeout)
        ms = round((time.perf_counter() - started) * 1000, 2)
        self.world.ledger.append(delivery.what, **delivery.fields, attempt=number, status=status, ms=ms)
        return Attempt(status=status, ms=ms, body=body)

    async def _ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=seconds)
        ask = self.session().request(
            method, url, data=body or None, headers=headers, timeout=timeout, allow_redirects=False
        )
        try:
            async with ask as answer:
                return answer.status, (await answer.text(errors="replace"))[:BODY_SHOWN]
        except TimeoutError:
            return NOBODY, f"timeout after {seconds:g} s"
        except (aiohttp.ClientError, ValueError, OSError) as problem:
            return NOBODY, f"connect: {type(problem).__name__}: {problem}"

    async def _redeliver(self, delivery: Delivery) -> None:
        for number, delay in enumerate(delivery.schedule.delays, start=2):
            await asyncio.sleep(delay)
            attempt = await self.attempt(delivery, number)
            if attempt.failure() not in delivery.schedule.on:
                return
        self.world.ledger.append(delivery.what + ".given_up", **delivery.fields)

    async def _in_turn(self, deliveries: tuple[Delivery, ...], after: float) -> None:
        await asyncio.sleep(after)
        for delivery in deliveries:
            await self.deliver(delivery)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this in the background; `reset` and `close` cancel it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
