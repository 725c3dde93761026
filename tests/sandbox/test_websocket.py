"""The chat websocket, frame by frame."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from conftest import RunningWorld


async def test_control_frames_are_answered_as_the_client_expects(aws: RunningWorld) -> None:
    async with aws.start().line(subscribe=False) as line:
        await line.subscribe()
        await line.until("participant.joined")
        await line.ws.send_str('{"topic":"aws/ping"}')
        assert await line.frame() == {"topic": "aws/ping", "statusCode": 200, "statusContent": "OK"}
        await line.ws.send_str('{"topic": "aws/heartbeat"}')
        assert await line.frame() == {"topic": "aws/heartbeat"}
        await line.ws.send_str("")
        await line.ws.send_str("nonsense")
        assert (await line.frame())["message"] == "Forbidden"
        await line.ws.send_str('{"topic":"aws/subscribe","content":{"topics":["aws/nothing"]}}')
        assert (await line.frame())["content"]["status"] == "failure"


async def test_the_flow_starts_only_when_the_customer_has_subscribed(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"greeting": "Welcome!"})
    chat = aws.start()

    async with chat.line(subscribe=False) as line:
        assert chat.transcript() == []
        await line.subscribe()
        assert (await line.item())["ContentType"].endswith("participant.joined")
        greeting = await line.item()

    assert (greeting["Content"], greeting["ParticipantRole"]) == ("Welcome!", "SYSTEM")
    assert greeting["DisplayName"] == "SYSTEM_MESSAGE"
    assert [waiting["contact_id"] for waiting in aws.call("GET", "/ccp/queue")] == [chat.contact_id]


async def test_own_messages_are_echoed_with_the_id_that_sending_gave(aws: RunningWorld) -> None:
    chat = aws.start()
    async with chat.line() as line:
        sent = chat.say("hello")
        echo = await line.until("hello")

    assert echo["Id"] == sent["Id"]
    assert set(echo) == {
        "AbsoluteTime",
        "Content",
        "ContentType",
        "Id",
        "Type",
        "ParticipantId",
        "DisplayName",
        "ParticipantRole",
        "InitialContactId",
        "ContactId",
    }


async def test_receipts_come_as_message_metadata(aws: RunningWorld) -> None:
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        sent = chat.say("hello")
        answering = aws.accept(chat.contact_id, agent)
        answering.event("message.delivered", json.dumps({"messageId": sent["Id"]}))
        item = await line.until("message.metadata")

    assert item["Type"] == "MESSAGEMETADATA"
    assert item["MessageMetadata"]["MessageId"] == sent["Id"]
    [receipt] = item["MessageMetadata"]["Receipts"]
    assert receipt["RecipientParticipantId"] == answering.started["participant_id"]
    assert "DeliveredTimestamp" in receipt
    assert "ReadTimestamp" not in receipt


async def test_a_whisper_to_the_agent_is_not_for_the_customer(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"agent_whisper": "A difficult one", "greeting": "Welcome!"})
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        await line.until("Welcome!")
        answering = aws.accept(chat.contact_id, agent)
        answering.say("hello")
        await line.until("hello")

    assert "A difficult one" in answering.said()
    assert "A difficult one" not in chat.said()
    assert "A difficult one" not in [item.get("Content") for item in line.seen]


async def test_a_transfer_keeps_the_initial_contact_id_and_the_customers_tokens(aws: RunningWorld) -> None:
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        await line.until("participant.joined")
        first = aws.accept(chat.contact_id, agent)
        first.say("hello")
        moved = aws.call("POST", f"/ccp/contacts/{chat.contact_id}/transfer", {"agent_id": agent})
        transferred = await line.until("transfer.succeeded")
        second = aws.accept(moved["contact_id"], agent)
        second.say("hello again")
        again = await line.until("hello again")
        chat.say("still here")

    assert transferred["ContactId"] == again["ContactId"] == moved["contact_id"] != chat.contact_id
    assert {item["InitialContactId"] for item in line.seen} == {chat.contact_id}
    assert "ParticipantRole" not in transferred
    left = next(item for item in line.seen if item.get("ContentType", "").endswith("participant.left"))
    assert line.seen.index(left) < line.seen.index(transferred)
    assert aws.refused(first.say, text="I have left") == ("AccessDeniedException", 403)
    assert second.said() == ["hello", "hello again", "still here"]


async def test_the_end_by_the_agent_runs_the_disconnect_flow_and_chat_ended_is_last(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/flows/flow", {"disconnect_messages": ["How was it?", "Goodbye."]})
    chat, agent = aws.start(), aws.agent()
    async with chat.line() as line:
        await line.until("participant.joined")
        aws.accept(chat.contact_id, agent)
        aws.call("POST", f"/ccp/contacts/{chat.contact_id}/end", {"agent_id": agent})
        ended = await line.until("chat.ended")
        closing = await line.ws.receive(timeout=20)

    assert [item.get("Content") or item["ContentType"].rsplit(".", 2)[-2:] for item in line.seen[-4:]] == [
        ["participant", "left"],
        "How was it?",
        "Goodbye.",
        ["chat", "ended"],
    ]
    assert "ParticipantId" not in ended
    assert "ParticipantRole" not in ended
    assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1000)


async def test_a_url_opens_once_given_out_and_only_in_time(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"url_opens_within": 0.2})
    url = aws.start().reconnect()["Websocket"]["Url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url):
            pass
        await asyncio.sleep(0.25)
        for late in (url, f"{aws.url}/ws/unknown"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(late)
            assert caught.value.status == 403


async def test_a_socket_ends_at_its_expiry_while_a_newer_one_lives(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"socket_lifetime": 0.4})
    chat = aws.start()
    async with chat.line() as old:
        aws.call("PUT", "/world/settings", {"socket_lifetime": 60})
        async with chat.line() as new:
            chat.say("both hear this")
            await old.until("both hear this")
            await new.until("both hear this")
            assert (await old.ws.receive(timeout=20)).data == 1001
            chat.say("one hears this")
            await new.until("one hears this")


async def test_five_sockets_for_a_participant_and_no_sixth(aws: RunningWorld) -> None:
    chat = aws.start()
    async with aiohttp.ClientSession() as session:
        held = [await session.ws_connect(chat.reconnect()["Websocket"]["Url"]) for _ in range(5)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(chat.reconnect()["Websocket"]["Url"])
        assert not any(ws.closed for ws in held)
    assert caught.value.status == 429


async def test_a_customer_who_never_connects_loses_the_chat(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"connect_within": 0.2})
    absent, present = aws.start(), aws.start()
    async with present.line():
        await asyncio.sleep(0.3)
        assert aws.refused(absent.reconnect) == ("AccessDeniedException", 403)
        present.say("I am here")


async def test_what_was_missed_while_away_is_only_in_the_transcript(aws: RunningWorld) -> None:
    chat = aws.start()
    async with chat.line() as line:
        await line.until("participant.joined")
    chat.say("missed")
    async with chat.line() as line:
        chat.say("heard")
        assert (await line.item())["Content"] == "heard"

    assert chat.said() == ["missed", "heard"]


async def test_a_socket_that_sends_no_heartbeat_is_closed(aws: RunningWorld) -> None:
    aws.call("PUT", "/world/settings", {"socket_idle": 0.5})
    chat = aws.start()
    async with chat.line() as silent, chat.line() as lively:
        for _ in range(4):
            await asyncio.sleep(0.2)
            await lively.ws.send_str('{"topic":"aws/heartbeat"}')
        closing = await silent.ws.receive(timeout=20)
        while closing.type is aiohttp.WSMsgType.TEXT:
            closing = await silent.ws.receive(timeout=20)
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        assert not lively.ws.closed
