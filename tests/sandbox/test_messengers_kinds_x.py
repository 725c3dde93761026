"""What X's webhooks carry for each thing that a customer can do."""

from __future__ import annotations

import base64
import json

import pytest

from tests.sandbox.messengers_clients_kit import BRAND, sent
from tests.sandbox.messengers_kit import CREDENTIALS, CUSTOMERS, messengers


async def test_x_text_in_account_activity() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "text", "text": "hi"})
        event = body["direct_message_events"][0]
        assert (body["for_user_id"], event["type"]) == (BRAND, "message_create")
        create = event["message_create"]
        assert create["sender_id"] == CUSTOMERS["twitter"]["id"]
        assert create["target"] == {"recipient_id": BRAND}
        assert create["message_data"]["text"] == "hi"
        assert body["users"][create["sender_id"]]["screen_name"] == "zoe"
        assert event["created_timestamp"].isdecimal()


async def test_x_text_in_x_activity() -> None:
    async with messengers() as lab:
        await lab.register("twitter", shape="xaa")
        data = (await sent(lab, "twitter", {"type": "text", "text": "hi"}))["data"]
        assert (data["event_type"], data["filter"]) == ("dm.received", {"user_id": BRAND})
        assert int(data["event_uuid"])
        event = data["payload"]["direct_message_events"][0]
        assert event["message_create"]["message_data"]["text"] == "hi"
        user = data["payload"]["users"][CUSTOMERS["twitter"]["id"]]["data"]
        assert (user["username"], user["name"]) == ("zoe", "Zoë Ünal")


async def test_x_escapes_three_characters_once_wherever_it_hands_text_out() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        person = {**CUSTOMERS["twitter"], "name": "Zoë & Co"}
        body = await sent(lab, "twitter", {"type": "text", "text": "1 < 2 & 3 > 2 &lt;"}, **{"from": person})
        data = body["direct_message_events"][0]["message_create"]["message_data"]
        assert data["text"] == "1 &lt; 2 &amp; 3 &gt; 2 &amp;lt;"
        assert body["users"][person["id"]]["name"] == "Zoë &amp; Co"
        echo = await sent(lab, "twitter", {"type": "echo", "text": "A & B"})
        assert echo["direct_message_events"][0]["message_create"]["message_data"]["text"] == "A &amp; B"
        assert [bubble["text"] for bubble in await lab.thread("twitter")] == ["1 < 2 & 3 > 2 &lt;", "A & B"]


async def test_x_chat_carries_only_ciphertext() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        data = (await sent(lab, "twitter", {"type": "text", "text": "top secret"}, shape="chat"))["data"]
        assert data["event_type"] == "chat.received"
        assert data["payload"]["conversation_id"] == f"{CUSTOMERS['twitter']['id']}:{BRAND}"
        assert len(base64.b64decode(data["payload"]["encoded_event"])) == 160
        assert "top secret" not in json.dumps(data)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("typing", "direct_message_indicate_typing_events"),
        ("read", "direct_message_mark_read_events"),
        ("opt_in", "follow_events"),
        ("revoke", "user_event"),
    ],
)
async def test_x_events_that_are_no_message(content: str, where: str) -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        assert where in await sent(lab, "twitter", {"type": content})
        assert await lab.thread("twitter") == []


async def test_x_event_that_nobody_knows() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "unsupported"})
        assert "direct_message_hologram_events" in body
        assert "direct_message_events" not in body


async def test_x_photo_is_private() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "image", "text": "look"})
        data = body["direct_message_events"][0]["message_create"]["message_data"]
        media = data["attachment"]["media"]
        assert media["type"] == "photo"
        assert data["text"] == f"look {media['url']}"
        assert data["text"][slice(*media["indices"])] == media["url"]
        async with lab.http.get(media["media_url_https"]) as answer:
            assert answer.status == 401
        headers = {"Authorization": "Bearer " + CREDENTIALS["twitter"]["oauth2_token"]}
        async with lab.http.get(media["media_url_https"], headers=headers) as answer:
            assert (await answer.read()).startswith(b"\x89PNG")


async def test_x_location_and_quick_reply() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "location", "latitude": 1.5, "longitude": 2.5})
        where = body["direct_message_events"][0]["message_create"]["message_data"]["attachment"]["location"]
        assert where["shared_coordinate"]["coordinates"]["coordinates"] == [2.5, 1.5]
        body = await sent(lab, "twitter", {"type": "quick_reply", "title": "Yes", "payload": "YES"})
        data = body["direct_message_events"][0]["message_create"]["message_data"]
        assert data["quick_reply_response"] == {"type": "options", "metadata": "YES"}
