"""The ASGI endpoint: takes webhooks in front of Django and stores them without it.

Its twin in Django is views.py; both stand on the same rules (guard.py, intake.py, store.py) and pass the same tests.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

import psycopg
from django.conf import settings

from channels_app.account import Account
from channels_app.infrastructure.db import connect_parameters, with_options
from channels_app.infrastructure.group_commit import GroupCommitter
from channels_app.webhooks.account_cache import AccountCache, Row, look_up
from channels_app.webhooks.guard import PREFIX, Address, RawRequest, RequestGuard, not_found, read_headers, too_large
from channels_app.webhooks.intake import ParsedDelivery, receive_webhook
from channels_app.webhooks.rejection_log import WORTH_RECORDING, RejectionLog, write_rejections
from channels_app.webhooks.responses import Refused, Reply, RequestLog, request_log_of, unavailable
from channels_app.webhooks.store import refusal_of, store_batch

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Seconds for the database to answer, below the shortest time-out of a provider (X: 10 s): nobody hears a later 503.
DATABASE_TIMEOUT = 8.0
#: A statement that nobody waits for any more is cancelled: it would hold up those that come after it.
STATEMENT_TIMEOUT = f"-c statement_timeout={DATABASE_TIMEOUT + 2:.0f}s"
CONNECTIONS = 2


class Disconnected(Exception):
    """The provider hung up before its body was complete: there is nobody to answer."""


class WebhookASGI:
    """An ASGI application: takes POSTs to /webhooks/, hands everything else to `inner`. Belongs to one event loop."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._guard = RequestGuard(
            tuple(settings.ALLOWED_HOSTS), settings.WEBHOOK_REQUIRE_HTTPS, settings.PUBLIC_BASE_URL
        )
        self._account_cache = AccountCache()
        parameters = with_options(connect_parameters(), STATEMENT_TIMEOUT)
        self._look_ups: GroupCommitter[uuid.UUID, Row | None] = GroupCommitter(look_up, parameters, connections=1)
        self._writes: GroupCommitter[ParsedDelivery, str] = GroupCommitter(
            store_batch, parameters, connections=CONNECTIONS
        )
        self._rejections: GroupCommitter[tuple[uuid.UUID, str], None] = GroupCommitter(write_rejections, parameters)
        self._rejection_log = RejectionLog()
        self._background: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith(PREFIX):
            await self._inner(scope, receive, send)
            return
        raw = _raw_request(scope)
        request_log = request_log_of(raw.headers)
        try:
            reply = await self._reply(raw, request_log, receive)
        except Disconnected:
            return
        await _answer(send, reply)

    async def close(self) -> None:
        """Wait for what is under way and close the database connections."""
        await asyncio.gather(*self._background)
        for committer in (self._look_ups, self._writes, self._rejections):
            await committer.close()

    async def _reply(self, raw: RawRequest, request_log: RequestLog, receive: Receive) -> Reply:
        try:
            address = self._guard.check(raw)
            request_log.kind, request_log.account = address.kind, str(address.account)
            body = await _body(receive, address.channel.max_body)
            async with asyncio.timeout(DATABASE_TIMEOUT):
                account = await self._account(address)
                parsed = receive_webhook(account, self._guard.request(raw, body), request_log.request_id)
                return request_log.accepted(account.channel, await self._stored(parsed))
        except Disconnected:
            raise
        except Refused as refusal:
            self._record_rejection(request_log, refusal.code)
            return request_log.refused(refusal)
        except (psycopg.Error, TimeoutError) as problem:
            log.warning("webhook %s: not stored (%s)", request_log.request_id, type(problem).__name__)
            return request_log.refused(unavailable() if isinstance(problem, TimeoutError) else refusal_of(problem))
        except Exception as problem:  # noqa: BLE001 - our own fault: the provider shall deliver again
            # No trace: it could quote the message.
            log.error("webhook %s: our own fault (%s)", request_log.request_id, type(problem).__name__)  # noqa: TRY400
            return request_log.refused(unavailable())

    def _record_rejection(self, request_log: RequestLog, code: str) -> None:
        """Record, in the background, a request whose signature does not match: a setting may be wrong."""
        if code in WORTH_RECORDING and self._rejection_log.is_new(account := uuid.UUID(request_log.account), code):
            task = asyncio.create_task(self._write_rejection(account, code))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _write_rejection(self, account: uuid.UUID, code: str) -> None:
        with suppress(psycopg.Error, TimeoutError):
            await self._rejections.add((account, code))

    async def _account(self, address: Address) -> Account:
        try:
            account = self._account_cache.cached(address.account)
        except KeyError:
            row = await self._look_ups.add(address.account)
            account = self._account_cache.remember(address.account, row)
        if account is None or account.kind != address.kind:
            raise not_found()
        return account

    async def _stored(self, parsed: ParsedDelivery) -> str:
        try:
            return await self._writes.add(parsed)
        except psycopg.DataError as problem:
            return await self._writes.add(parsed.set_aside(f"could not be stored: {type(problem).__name__}"))


def _raw_request(scope: Scope) -> RawRequest:
    headers, repeated = read_headers(scope["headers"])
    query: bytes = scope.get("query_string", b"")
    client = scope.get("client") or ("",)
    return RawRequest(scope["method"], scope["path"], query.decode("latin-1"), headers, repeated, client[0])


async def _body(receive: Receive, most: int) -> bytes:
    """Return the whole body; raise Refused as soon as it exceeds `most` bytes."""
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise too_large()
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _answer(send: Send, reply: Reply) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    headers.append((b"Content-Type", reply.content_type.encode("latin-1")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
