"""What Connect may say within its documents, or nearly, though it mostly says it otherwise."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from connect_bridge.connect.gateway import GatewayError, Invalid, Item, Metadata, Refused, Throttled
from connect_bridge.connect.item_reader import read_item
from connect_bridge.connect.participant_api import AwsParticipants
from connect_bridge.connect.websocket import ChatSocket
from connect_bridge.listening import chat_transcript
from connect_bridge.listening import listener as listener_module
from connect_bridge.models import Message
from connect_bridge.relay import relay
from connect_bridge.relay.chat_request import display_name
from connect_bridge.storage.chats import Origin
from sandbox.world import chats, start_chat
from tests.connect_bridge.kit import accepted, until
from tests.connect_bridge.listening.kit import OneChat, said, soon
from tests.connect_bridge.relay.kit import refusing

LONG = "i" * 200


@asynccontextmanager
async def answering(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> AsyncIterator[Any]:
    """Give a participant service that answers all calls with this."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    participants = AwsParticipants(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield participants
    finally:
        await participants.close()
        await runner.cleanup()


def connected(**expiries: Any) -> dict[str, Any]:
    socket, token = expiries.get("socket", {}), expiries.get("token", {})
    return {"Websocket": {"Url": "ws://x", **socket}, "ConnectionCredentials": {"ConnectionToken": "t", **token}}


@pytest.mark.parametrize(
    "socket",
    [
        {},
        {"ConnectionExpiry": None},
        {"ConnectionExpiry": ""},
        {"ConnectionExpiry": "soon"},
        {"ConnectionExpiry": "2026-01-01 00:00:00+0000 UTC"},
    ],
    ids=str,
)
async def test_a_connection_whose_end_is_not_told_lasts_as_long_as_they_do(socket: dict[str, Any]) -> None:
    async with answering(connected(socket=socket)) as participants:
        got = await participants.connect("token")
    assert timedelta(minutes=50) < got.socket_expires_at - datetime.now(UTC) < timedelta(minutes=70)
    assert timedelta(hours=20) < got.token_expires_at - datetime.now(UTC) < timedelta(hours=25)


@pytest.mark.parametrize("expiry", ["2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00", "2030-01-01T00:00:00.000+0000"])
async def test_a_connections_end_is_utc_however_it_is_written(expiry: str) -> None:
    fields = {"socket": {"ConnectionExpiry": expiry}, "token": {"Expiry": expiry}}
    async with answering(connected(**fields)) as participants:
        got = await participants.connect("token")
    assert got.socket_expires_at == got.token_expires_at == datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (400, {"__type": "ValidationException", "Message": "x"}, {}, Invalid),
        (400, {"code": "ValidationException", "message": "x"}, {}, Invalid),
        (400, {"Code": "ValidationException"}, {}, Invalid),
        (400, {}, {"x-amzn-ErrorType": "ValidationException:http://internal.amazon.com/coral/"}, Invalid),
        (400, {"__type": "com.amazonaws.connectparticipant#ThrottlingException"}, {}, Throttled),
        (429, ["slow"], {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, Throttled),
    ],
)
async def test_a_refusals_code_is_found_wherever_it_stands(
    status: int, body: Any, headers: dict[str, str], expected: type[GatewayError]
) -> None:
    async with answering(body, status, headers) as participants:
        with pytest.raises(expected):
            await participants.send_message("token", "text", "client token")


def test_ids_of_any_documented_length_stay_apart() -> None:
    """Item.Id and MessageMetadata.MessageId have up to 256 characters (Participant Service API Reference)."""
    items = [read_item(f'{{"Id": "{LONG}{end}", "Type": "MESSAGE"}}', "test") for end in ("a", "b")]
    ids = {item.id for item in items if item is not None}
    assert len(ids) == 2
    assert all(len(one) <= 64 for one in ids)


@pytest.mark.django_db(transaction=True)
def test_with_ids_of_any_documented_length_everything_arrives_once(aws, bridge, phone, monkeypatch):
    for module in (chats, start_chat):
        monkeypatch.setattr(module, "new_id", lambda: f"{LONG}{uuid.uuid4()}")
    phone.write("Hello", "again")
    agent = accepted(aws, aws.agent())
    until(lambda: Message.objects.filter(status="relayed").count() == 2, "both")
    agent.say("one")
    agent.say("two")
    until(lambda: Message.objects.filter(direction="out", text__in=["one", "two"]).count() == 2, "both answers")
    assert agent.said()[:2] == ["Hello", "again"]


@pytest.mark.django_db(transaction=True)
def test_where_connect_takes_less_than_it_says_a_long_message_goes_in_shorter_parts(aws, bridge, phone, monkeypatch):
    """Older documents of SendMessage name 1,024 characters for plain text."""
    monkeypatch.setattr(relay, "RETRY_MOST", 0.2)
    phone.write("Hello")
    agent = accepted(aws, aws.agent())
    until(lambda: Message.objects.filter(status="relayed").exists(), "the first")
    aws.world.settings.message_bytes = 1_024
    long = "x" * 2_500
    phone.write(long, "next")
    until(lambda: agent.said()[-1] == "next", "the next one")
    assert [len(one) for one in agent.said()[1:-1]] == [1_024, 1_024, 452]
    assert Message.objects.get(text=long).status == "relayed"
    refusing(aws, "SendMessage", 400, "ValidationException", 1)
    phone.write("short")
    until(lambda: Message.objects.filter(text="short", status="failed").exists(), "what is refused for itself")


def test_a_name_is_as_long_as_connect_counts_it() -> None:
    """DisplayName has 256 characters at most; whether of UTF-16 is not said, so the stricter reading counts."""
    name = display_name(_origin("😀" * 300), "")
    assert len(name.encode("utf-16-le")) // 2 == 256
    assert set(name) == {"😀"}
    assert display_name(_origin("a" * 255 + "😀"), "") == "a" * 255


def _origin(name: str) -> Origin:
    fields: dict[str, Any] = dict.fromkeys(Origin.__struct_fields__, "")
    return Origin(**{**fields, "display_name": name})


async def test_what_was_still_being_processed_is_looked_for_until_it_is_there(monkeypatch):
    """A processor may take three minutes (administrator guide), and the frame that ends it may be lost."""
    under_way = said("later", 0, message_metadata=Metadata(message_processing_status="PROCESSING"))
    chat = OneChat(under_way, said("meanwhile", 60))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    assert chat.stored == ["meanwhile"]
    chat.transcript_[0] = said("later", 0, id=under_way.id)
    await listener.fill()
    await soon(lambda: chat.stored == ["meanwhile", "later"])


async def test_what_never_ends_being_processed_is_given_up(monkeypatch):
    monkeypatch.setattr(chat_transcript, "LONGEST_UNFINISHED", 0.0)
    stuck = said("never", 0, message_metadata=Metadata(message_processing_status="PROCESSING"))
    chat = OneChat(stuck, *(said(f"{number}", 600 + number) for number in range(250)))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    looks = len(chat.looks)
    await listener.fill()
    assert len(chat.looks) == looks + 1
    await listener.sweep()
    assert not listener.is_to_sweep


async def test_a_chat_in_which_something_is_being_processed_is_swept_again(monkeypatch):
    monkeypatch.setattr(chat_transcript, "SWEEP_AFTER", 0.0)
    monkeypatch.setattr(listener_module, "RECONNECT_MOST", 0.0)
    under_way = said("later", 0, message_metadata=Metadata(message_processing_status="PROCESSING"))
    chat = OneChat(under_way)
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    await listener.sweep()
    assert listener.is_to_sweep
    chat.transcript_[0] = said("later", 0, id=under_way.id)
    await listener.sweep()
    assert chat.stored == ["later"]
    assert not listener.is_to_sweep


async def test_a_connection_that_expired_before_the_transcript_was_read_is_not_the_end(monkeypatch):
    """403 is Connect's word for an expired token, too: only who gets no connection any more is out."""
    chat = OneChat(said("meanwhile", 1))
    listener = chat.listener(monkeypatch)
    chat.trouble["transcript"] = [Refused()]
    await listener.open(backfill=True)
    assert (listener.listening, chat.stored) == (True, ["meanwhile"])

    chat.transcript_.append(said("and later", 2))
    chat.trouble["transcript"] = [Refused()]
    await listener.fill()
    assert (listener.over, chat.stored) == ("", ["meanwhile", "and later"])
    assert sum(line.alive for line in chat.lines) == 1


async def test_a_chat_whose_transcript_is_refused_over_every_new_connection_is_over(monkeypatch):
    chat = OneChat(said("meanwhile", 1))
    listener = chat.listener(monkeypatch)
    chat.trouble["transcript"] = [Refused()] * 10
    with pytest.raises(Refused):
        await listener.open(backfill=True)


@pytest.mark.parametrize("frame", ["[" * 100_000, '{"topic":"aws/chat","content":' + "[" * 100_000, "null", "5", '"x"'])
async def test_a_frame_that_nobody_can_read_costs_itself_alone(frame: str) -> None:
    received: list[Item] = []
    socket = ChatSocket(received.append, lambda _lost: None)
    socket._read(frame.encode())
    socket._read(b'{"topic":"aws/chat","content":"{\\"Id\\":\\"1\\",\\"Type\\":\\"MESSAGE\\"}"}')
    assert [item.id for item in received] == ["1"]
