"""Connect's transcript in pages, whatever their tokens say, and items of which one cannot be read."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from prometheus_client import REGISTRY

from connect_bridge.connect.gateway import Item, ParticipantService, Throttled, Transcript
from connect_bridge.connect.item_reader import read_item, read_items
from connect_bridge.connect.participant_api import AwsParticipants
from connect_bridge.connect.rate_limit import RateLimiter
from connect_bridge.connect.transcript import MOST_BARREN, read_transcript
from connect_bridge.connect.websocket import ChatSocket
from connect_bridge.listening import chat_transcript
from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.connect_bridge.listening import kit
from tests.connect_bridge.listening.kit import START, OneChat, said
from tests.sandbox.kit import RunningWorld, running

LINES = [f"line {number:03}" for number in range(120)]
WHOLE = {
    "Id": "1",
    "Type": "MESSAGE",
    "AbsoluteTime": "2026-01-01T00:00:00.000Z",
    "Content": "words",
    "ContentType": "text/plain",
    "ParticipantRole": "AGENT",
}


@pytest.fixture
def aws() -> Iterator[RunningWorld]:
    with running(Settings(quotas=False)) as world:
        yield world


class Pages:
    """A participant service that gives these pages: each has its items, the newest first, and a token."""

    def __init__(self, *pages: tuple[Sequence[Item], str]) -> None:
        self.pages = {f"{number or ''}": page for number, page in enumerate(pages)}
        self.asked: list[str] = []
        self.busy = 0

    async def transcript(self, _token: str, page: str) -> Transcript:
        if self.busy:
            self.busy -= 1
            raise Throttled("busy")
        self.asked.append(page)
        items, following = self.pages[page]
        return Transcript(items=list(items), next_token=following)


async def texts_of(pages: Pages, **more: Any) -> list[str]:
    service = cast("ParticipantService", pages)
    return [item.content for item in await read_transcript(service, RateLimiter(1000.0), "token", **more)]


async def test_a_world_that_refuses_what_the_real_one_refuses_gives_all_of_it(aws: RunningWorld) -> None:
    chat = aws.start()
    for line in LINES:
        chat.say(line)
    participants = AwsParticipants(aws.url)
    for fault in ("", "token_empty", "token_same", "page_overlap", "null_members"):
        aws.world.faults.on = [Fault(name=fault)] if fault else []
        items = await read_transcript(participants, RateLimiter(1000.0), chat.token)
        assert [item.content for item in items] == LINES, fault
    await participants.close()


async def test_the_pages_end_with_an_empty_a_repeated_or_a_barren_token() -> None:
    older, newer = [said("b", 2), said("a", 1)], [said("d", 4), said("c", 3)]
    assert await texts_of(Pages((newer, "1"), (older, ""))) == ["a", "b", "c", "d"]
    assert await texts_of(Pages((newer, "1"), (older, "1"))) == ["a", "b", "c", "d"]
    circle = Pages((newer, "1"), (older, "2"), ((), "1"))
    assert await texts_of(circle) == ["a", "b", "c", "d"]
    assert circle.asked == ["", "1", "2"]
    endless = Pages((newer, "1"), *(([], str(number)) for number in range(2, 40)))
    assert await texts_of(endless) == ["c", "d"]
    assert len(endless.asked) == MOST_BARREN + 1


async def test_an_empty_page_amid_others_ends_nothing_and_overlaps_count_once() -> None:
    a, b, c = said("a", 1), said("b", 2), said("c", 3)
    assert await texts_of(Pages(([c, b], "1"), ((), "2"), ([b, a], ""))) == ["a", "b", "c"]


async def test_reading_stops_at_the_page_that_passes_the_time() -> None:
    pages = Pages(([said("d", 40), said("c", 30)], "1"), ([said("b", 20), said("a", 10)], "2"), ([said("0", 0)], ""))
    assert await texts_of(pages, since=START + timedelta(seconds=15)) == ["b", "c", "d"]
    assert pages.asked == ["", "1"]


async def test_reading_stops_where_an_earlier_chat_begins() -> None:
    earlier = said("earlier", 1, related_contact_id="before")
    pages = Pages(([said("now", 30), earlier], "1"), ([earlier], ""))
    assert await texts_of(pages) == ["earlier", "now"]
    assert pages.asked == [""]


async def test_pages_told_oldest_first_and_lines_of_one_instant_keep_their_order() -> None:
    a, b, c = said("a", 1), said("b", 1), said("c", 1)
    assert await texts_of(Pages(([c, b, a], ""))) == ["a", "b", "c"]
    assert await texts_of(Pages(([said("x", 1), said("y", 2)], ""))) == ["x", "y"]


async def test_a_busy_service_is_asked_again() -> None:
    pages = Pages(([said("a", 1)], ""))
    pages.busy = 2
    assert await texts_of(pages) == ["a"]


async def test_a_busy_chats_sweep_does_not_read_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "PAGE", 10)
    chat = OneChat(*(said(f"old {number}", number) for number in range(200)))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    assert len(chat.looks) == 20
    chat.transcript_ += [said("new", 210 + chat_transcript.OVERLAP.total_seconds())]
    await listener.sweep()
    assert chat.looks[20:] == ["", "10"]
    assert chat.stored[-1] == "new"


@pytest.mark.parametrize(
    "odd",
    [
        {"Attachments": None},
        {"DisplayName": None, "ParticipantId": None, "ContactId": None, "InitialContactId": None},
        {"MessageMetadata": None, "RelatedContactId": None, "MessageVisibility": None},
        {"MessageMetadata": {"MessageId": None, "Receipts": None}},
        {"MessageMetadata": {"MessageId": "1", "Receipts": [{"ReadTimestamp": None, "RecipientParticipantId": "2"}]}},
        {"MessageMetadata": "what is this"},
        {"Attachments": "what is this"},
        {"Attachments": [None, 7, {"AttachmentId": 1}]},
        {"DisplayName": 7},
        {"Type": "A_NEW_TYPE", "Unknown": {"deep": [1]}},
    ],
    ids=repr,
)
def test_what_an_item_can_do_without_does_not_cost_it(odd: dict[str, Any]) -> None:
    item = read_item(json.dumps(WHOLE | odd).encode(), "transcript")
    assert item is not None
    assert item.content == "words"


def test_of_an_odd_member_what_can_be_read_is_kept() -> None:
    odd = {"MessageId": 7, "Receipts": "none", "ChunkNumber": 1, "MessageCompleted": False}
    item = read_item(json.dumps(WHOLE | {"MessageMetadata": odd}).encode(), "transcript")
    assert item is not None
    assert item.message_metadata is not None
    assert item.message_metadata.message_completed is False


def test_of_files_those_that_can_be_read_are_kept() -> None:
    file = {"AttachmentId": "f", "AttachmentName": "a.pdf", "ContentType": None, "Status": "APPROVED"}
    item = read_item(json.dumps(WHOLE | {"Attachments": [{"AttachmentId": 1}, file]}).encode(), "transcript")
    assert item is not None
    assert [one.attachment_name for one in item.attachments] == ["", "a.pdf"]


ODD = [
    b"null",
    b"7",
    b'"text"',
    b"[]",
    json.dumps(WHOLE | {"Content": {"an": "object"}}).encode(),
    json.dumps(WHOLE | {"Id": 7}).encode(),
    json.dumps(WHOLE | {"AbsoluteTime": [1]}).encode(),
    b'{"Id": "x", "Content": "\\ud800"}',
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_unreadable_item_costs_itself_alone(odd: bytes, caplog: pytest.LogCaptureFixture) -> None:
    before = _counted("transcript")
    with caplog.at_level(logging.WARNING):
        items = read_items([msgspec.Raw(json.dumps(WHOLE).encode()), msgspec.Raw(odd)], "transcript")
    assert [item.content for item in items] == ["words"]
    assert _counted("transcript") == before + 1
    assert "words" not in caplog.text


async def test_an_unreadable_frame_costs_itself_alone() -> None:
    received: list[Item] = []
    socket = ChatSocket(received.append, lambda _: None)
    before = _counted("websocket")
    for content in (WHOLE | {"Attachments": None}, WHOLE | {"Content": 7}, WHOLE | {"Id": "2"}):
        socket._read(json.dumps({"topic": "aws/chat", "content": json.dumps(content)}).encode())
    socket._read(json.dumps({"topic": "aws/chat", "content": WHOLE | {"Id": "3"}}).encode())
    for raw in (b'{"topic":"aws/chat","content":null}', b"\xff", b'{"topic":null}', b""):
        socket._read(raw)
    assert [item.id for item in received] == ["1", "2", "3"]
    assert _counted("websocket") == before + 4


def _counted(where: str) -> float:
    return REGISTRY.get_sample_value("parley_unreadable_items_total", {"where": where}) or 0.0
