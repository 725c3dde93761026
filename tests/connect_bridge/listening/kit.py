"""A Connect with one chat, and a store that takes what it hears, in memory; either fails when a test says so."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from channels_app.toolkit.text import TextLimit
from connect_bridge.connect.gateway import Connection, Item, Transcript
from connect_bridge.connect.items import EVENT
from connect_bridge.connect.rate_limit import RateLimiters
from connect_bridge.connect.websocket import ChatSocket, HeartbeatWheel
from connect_bridge.listening.listener import Listener
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.capture import Batch
from connect_bridge.storage.chats import Chat

#: When the chat of these tests began.
START = datetime(2026, 1, 1, tzinfo=UTC)
#: Items in a page of this Connect's transcript.
PAGE = 100
#: Seconds that anything that must happen gets, however busy the machine is.
PATIENCE = 20.0


class Line:
    """A websocket that is open until a test cuts it."""

    def __init__(self, on_item: Callable[[Item], None], on_lost: Callable[[Any], None]) -> None:
        self.bring, self._on_lost = on_item, on_lost
        self.alive = True
        self.missed = 0

    def close(self) -> None:
        self.alive = False

    def cut(self) -> None:
        self.alive = False
        self._on_lost(self)


class OneChat:
    """Means of a bridge. `trouble` are the errors of the next calls, by name; `transcript_` is what Connect knows."""

    def __init__(self, *transcript: Item) -> None:
        self.transcript_: list[Item] = list(transcript)
        self.trouble: dict[str, list[Exception]] = {}
        self.calls: list[str] = []
        self.looks: list[str] = []
        self.lines: list[Line] = []
        self.ids: list[str] = []
        self.stored: list[str] = []
        self.notes: list[dict[str, Any]] = []
        self.limiters, self.wheel = RateLimiters(), HeartbeatWheel()
        self.opening = asyncio.Semaphore(4)
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.participants = self.captures = self.pool = self

    def _fail(self, call: str) -> None:
        self.calls.append(call)
        if self.trouble.get(call):
            raise self.trouble[call].pop(0)

    async def connect(self, _token: str) -> Connection:
        self._fail("connect")
        day = datetime.now(UTC) + timedelta(days=1)
        return Connection(token="t", token_expires_at=day, socket_url="ws:", socket_expires_at=day)

    async def open_line(self, _url: str, on_item: Callable[[Item], None], on_lost: Callable[[Any], None]) -> Line:
        await self.may_open.wait()
        self._fail("open")
        self.lines.append(Line(on_item, on_lost))
        return self.lines[-1]

    async def transcript(self, _token: str, page: str) -> Transcript:
        """Give the newest first, PAGE items at a time; a token is how many were given before."""
        self._fail("transcript")
        self.looks.append(page)
        newest, changes = self.transcript_[::-1], int(page or 0)
        following = changes + PAGE if changes + PAGE < len(newest) else 0
        return Transcript(items=newest[changes : changes + PAGE], next_token=str(following or ""))

    async def add(self, batch: Batch) -> Sequence[uuid.UUID]:
        self._fail("store")
        for one in batch.captured:
            if one.text == "poison":
                raise ValueError
            if one.item_id not in self.ids:
                self.ids.append(one.item_id)
                self.stored.append(one.text)
        return ()

    async def execute(self, _query: object, changes: Any) -> OneChat:
        self._fail("note")
        if isinstance(changes, dict):
            self.notes.append(changes)
        return self

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[OneChat]:
        yield self

    async def fetchall(self) -> Sequence[tuple[Any, ...]]:
        return ()

    def listener(self, monkeypatch: Any, on_end: Callable[[], None] = lambda: None, **changes: Any) -> Listener:
        monkeypatch.setattr(ChatSocket, "open", self.open_line)
        limit = TextLimit(most=1000)
        return Listener(cast("BridgeRuntime", self), uuid.uuid4(), a_chat(**changes), limit, on_end)


def a_chat(**changes: Any) -> Chat:
    return Chat(
        **changes,
        contact=uuid.uuid4(),
        state="connected",
        instance_id="instance",
        flow_id="flow",
        contact_id="contact",
        initial_contact_id="contact",
        participant_token="p",
        connection_token="c",
        first_message=None,
        bot=True,
        requested_at=START,
        started_at=None,
    )


_numbers = itertools.count(1)


def said(text: str, second: float = 0.0, **changes: Any) -> Item:
    """Return what an agent said so many seconds after the chat's start."""
    members = {"id": f"item-{next(_numbers)}", "type": "MESSAGE", "participant_role": "AGENT", "content": text}
    return Item(**{**members, "content_type": "text/plain", "absolute_time": _at(second), **changes})


def happened(name: str, second: float = 0.0, **changes: Any) -> Item:
    """Return an event so many seconds after the chat's start."""
    members = {
        "id": f"item-{next(_numbers)}",
        "type": "EVENT",
        "content_type": EVENT + name,
        "participant_role": "AGENT",
    }
    return Item(**{**members, "absolute_time": _at(second), **changes})


def _at(second: float) -> str:
    return (START + timedelta(seconds=second)).isoformat()


async def soon(condition: Callable[[], Any]) -> None:
    """Wait until something is so, for PATIENCE seconds at most."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE:.0f} s"
        await asyncio.sleep(0.005)
