"""What Connect says in several pieces under one id."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from channels_app.toolkit.text import TextLimit
from connect_bridge.connect.gateway import Attached, Item, Metadata, Transcript
from connect_bridge.connect.rate_limit import RateLimiters
from connect_bridge.listening.listener import Listener
from connect_bridge.runtime import BridgeRuntime
from connect_bridge.storage.capture import Batch
from connect_bridge.storage.chats import Chat


class EmptyDatabase:
    """A pool, its one connection and every result of it: no rows."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[EmptyDatabase]:
        yield self

    async def execute(self, *_: object) -> EmptyDatabase:
        return self

    async def fetchall(self) -> list[tuple[object, ...]]:
        return []


class RecordingRuntime:
    """Means of a bridge that remember what was captured; `pages` is what Connect's transcript says, look by look."""

    def __init__(self, *pages: Sequence[Item]) -> None:
        self.pages = list(pages)
        self.limiters = RateLimiters()
        self.pool = EmptyDatabase()
        self.participants = self.captures = self
        self.captured: list[str] = []

    async def transcript(self, *_: object) -> Transcript:
        return Transcript(items=list(self.pages.pop(0)))

    async def add(self, batch: Batch) -> Sequence[uuid.UUID]:
        self.captured += [one.text for one in batch.captured]
        return ()

    async def execute(self, *_: object) -> int:
        return 1


def listener_in(runtime: RecordingRuntime) -> Listener:
    chat = Chat(
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
        requested_at=datetime.now(UTC),
        started_at=None,
    )
    limit = TextLimit(most=1000)
    return Listener(
        runtime=cast("BridgeRuntime", runtime), conversation=uuid.uuid4(), chat=chat, limit=limit, on_end=print
    )


def item(**fields: Any) -> Item:
    return Item(id="item-1", type="MESSAGE", participant_role="SYSTEM", content_type="text/plain", **fields)


def piece(text: str, *, number: int, last: bool) -> Item:
    return item(content=text, message_metadata=Metadata(chunk_number=number, message_completed=last))


def file(status: str) -> Item:
    return Item(
        id="item-1",
        type="ATTACHMENT",
        participant_role="AGENT",
        attachments=[Attached(attachment_name="bill.pdf", status=status)],
    )


@pytest.mark.parametrize(
    ("looks", "captured"),
    [
        ([[piece("He", number=1, last=False)], [piece("Hello", number=2, last=True)]], ["Hello"]),
        ([[file("IN_PROGRESS")], [file("APPROVED")]], ["[file: bill.pdf · cannot be shown here]"]),
        ([[item(content="Hello")], [item(content="Hello")]], ["Hello"]),
    ],
    ids=["a bot's words as they form", "a file while it is scanned", "the same message twice"],
)
async def test_what_comes_in_pieces_under_one_id_is_captured_once_it_is_whole(
    looks: list[list[Item]], captured: list[str]
) -> None:
    runtime = RecordingRuntime(*looks)
    listener = listener_in(runtime)
    for _ in looks:
        await listener.fill()
    assert runtime.captured == captured
