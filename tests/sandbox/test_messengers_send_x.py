"""Tweepy against the simulated API of X."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import tweepy
from tweepy.errors import BadRequest, Forbidden, TooManyRequests, Unauthorized

from tests.sandbox.messengers_clients_kit import (
    BRAND,
    ZOE_X,
    opened,
    x_api,
    x_client,
    x_send,
)
from tests.sandbox.messengers_kit import (
    CREDENTIALS,
    PUBLIC,
    messengers,
)


async def test_x_sends_with_tweepy_and_echoes() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        answer = await x_send(lab, "hello & ünicode 🎈")
        assert answer.data["dm_conversation_id"] == f"{ZOE_X}-{BRAND}"
        assert [(m["direction"], m["text"]) for m in await lab.thread("twitter")][-1] == ("out", "hello & ünicode 🎈")
        event = (await lab.receiver.until(1))[0].json["direct_message_events"][0]
        assert event["id"] == answer.data["dm_event_id"]
        assert event["message_create"]["sender_id"] == BRAND
        assert event["message_create"]["source_app_id"]
        line = lab.lines("x.send")[0]
        assert (line["status"], line["customer_id"], line["text"]) == (201, ZOE_X, "hello & ünicode 🎈")


@pytest.mark.parametrize("key", ["consumer_key", "consumer_secret", "access_token", "access_token_secret"])
async def test_x_refuses_a_call_with_one_wrong_key(key: str) -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        with pytest.raises(Unauthorized):
            await x_send(lab, **{key: "wrong"})
        assert len(await lab.thread("twitter")) == 1


async def test_x_refuses_a_replayed_signature() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        await x_send(lab)
        auth = tweepy.OAuth1UserHandler("ck", "cs & more", "at", "ats").apply_auth()
        url = f"https://api.twitter.com/2/dm_conversations/with/{ZOE_X}/messages"
        signed = requests.Request("POST", url, json={"text": "again"}, auth=auth).prepare()
        there = f"{lab.world.base_url}/x{urlsplit(url).path}"
        statuses = []
        for _ in range(2):
            async with lab.http.post(there, data=signed.body, headers=dict(signed.headers)) as answer:
                statuses.append(answer.status)
        assert statuses == [201, 401]


async def test_x_refuses_what_cannot_be_sent() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        with pytest.raises(BadRequest):
            await x_send(lab, "x" * 10_001)
        with pytest.raises(BadRequest):
            await x_send(lab, to="not-a-number")
        with pytest.raises(Forbidden, match="You do not have permission to DM"):
            await x_send(lab, to="12345")
        await x_send(lab, "x" * 10_000)


async def test_x_app_only_token_may_not_write() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        url = f"{lab.world.base_url}/x/2/dm_conversations/with/{ZOE_X}/messages"
        statuses = {}
        for token in ("oauth2_token", "bearer_token"):
            headers = {"Authorization": f"Bearer {CREDENTIALS['twitter'][token]}"}
            async with lab.http.post(url, json={"text": "hi"}, headers=headers) as answer:
                statuses[token] = answer.status
        assert statuses == {"oauth2_token": 201, "bearer_token": 403}


@pytest.mark.parametrize(("how", "most"), [({}, 15), ({"raised": 2.0}, 30)])
async def test_x_counts_sends(how: dict[str, Any], most: int) -> None:
    async with messengers() as lab:
        await opened(lab, "twitter", **how)
        for _ in range(most):
            await x_send(lab)
        with pytest.raises(TooManyRequests) as refused:
            await x_send(lab)
        assert 0 < refused.value.reset_time - time.time() <= 15 * 60 + 1


async def test_x_counts_nothing_for_whom_it_has_no_limits() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter", limits=False)
        for _ in range(16):
            await x_send(lab)


@pytest.mark.parametrize(("call", "most"), [("send", 1_440), ("send by v1.1", 1_000)])
async def test_x_names_the_limit_of_a_day(call: str, most: int) -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        hour_ago = time.time() - 3600
        lab.account("twitter").calls[call] = [hour_ago] * most
        send = x_send(lab) if call == "send" else asyncio.to_thread(x_api(lab).send_direct_message, ZOE_X, "hi")
        with pytest.raises(TooManyRequests) as refused:
            await send
        headers = refused.value.response.headers
        assert headers["x-user-limit-24hour-remaining"] == "0"
        assert int(headers["x-user-limit-24hour-reset"]) == pytest.approx(hour_ago + 24 * 3600, abs=2)


async def test_x_counts_lists() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        client = x_client(lab)
        for _ in range(15):
            await asyncio.to_thread(client.get_direct_message_events)
        with pytest.raises(TooManyRequests):
            await asyncio.to_thread(client.get_direct_message_events)
        await asyncio.to_thread(client.get_direct_message_events, participant_id=ZOE_X)


async def test_x_lists_the_last_thirty_days() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        await lab.write("twitter", "long ago", ago=31 * 24 * 3600)
        await lab.write("twitter", "lately", ago=29 * 24 * 3600)
        listed = await asyncio.to_thread(x_client(lab).get_direct_message_events, dm_event_fields=["text"])
        assert [event.text for event in listed.data if "l" in event.text] == ["lately"]


async def test_x_media_with_tweepy() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        api, client, picture = x_api(lab), x_client(lab), b"\x89PNG picture"
        whole = await asyncio.to_thread(api.simple_upload, "photo.png", file=io.BytesIO(picture))
        pieces = await asyncio.to_thread(api.chunked_upload, "a.png", file=io.BytesIO(picture), file_type="image/png")
        for upload in (whole, pieces):
            await asyncio.to_thread(client.create_direct_message, participant_id=ZOE_X, media_id=upload.media_id)
            shown = (await lab.thread("twitter"))[-1]["media"][0]
            async with lab.http.get(shown) as answer:
                assert await answer.read() == picture
        with pytest.raises(BadRequest, match="invalid"):
            await asyncio.to_thread(client.create_direct_message, participant_id=ZOE_X, media_id="1")


async def test_x_old_calls_with_tweepy() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        api = x_api(lab)
        option = {"label": "Yes", "metadata": "YES", "description": "sure"}
        sent = await asyncio.to_thread(api.send_direct_message, ZOE_X, "ok?", quick_reply_options=[option])
        assert sent.message_create["message_data"]["text"] == "ok?"
        assert (await lab.thread("twitter"))[-1]["choices"] == [{"title": "Yes", "payload": "YES"}]
        await asyncio.to_thread(api.indicate_direct_message_typing, ZOE_X)
        await asyncio.to_thread(api.mark_direct_message_read, sent.id, ZOE_X)
        me = await asyncio.to_thread(api.verify_credentials)
        assert me.id_str == BRAND


async def test_x_users_and_events_with_tweepy() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        client = x_client(lab)
        user = await asyncio.to_thread(client.get_user, id=ZOE_X, user_auth=True, user_fields=["profile_image_url"])
        assert (user.data.username, user.data.name) == ("zoe", "Zoë Ünal")
        missing = await asyncio.to_thread(client.get_user, id="1", user_auth=True)
        assert missing.errors[0]["title"] == "Not Found Error"
        await x_send(lab, "answer")
        events = await asyncio.to_thread(client.get_direct_message_events, participant_id=ZOE_X, user_auth=True)
        assert [event.text for event in events.data] == ["answer", "hi"]


async def test_x_webhook_and_activity_subscription() -> None:
    async with messengers() as lab:
        await lab.register("twitter", webhook_url="")
        headers = {"Authorization": f"Bearer {CREDENTIALS['twitter']['oauth2_token']}"}
        base = lab.world.base_url + "/x/2"
        async with lab.http.post(f"{base}/webhooks", json={"url": f"{PUBLIC}/hook/"}, headers=headers) as answer:
            webhook = (await answer.json())["data"]
            assert webhook["valid"] is True
        body = {"event_type": "dm.received", "filter": {"user_id": BRAND}, "webhook_id": webhook["id"], "tag": "t"}
        async with lab.http.post(f"{base}/activity/subscriptions", json=body, headers=headers) as answer:
            assert answer.status == 201
        await lab.write("twitter", "hi")
        data = lab.receiver.got[0].json["data"]
        assert (data["event_type"], data["tag"]) == ("dm.received", "t")
