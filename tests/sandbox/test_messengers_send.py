"""The real clients of X and Twilio, and plain calls on Graph, against the simulated APIs."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import tweepy
from tweepy.errors import BadRequest, Forbidden, TooManyRequests, TwitterServerError, Unauthorized
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from sandbox.world.signing import appsecret_proof
from tests.sandbox.messengers_kit import (
    ADDRESSES,
    CREDENTIALS,
    CUSTOMERS,
    PUBLIC,
    Lab,
    TwilioClient,
    messengers,
    rewriting,
)

ZOE_X, ZOE_FB, ZOE_WA = (CUSTOMERS[kind]["id"] for kind in ("twitter", "messenger", "whatsapp"))
BRAND = ADDRESSES["twitter"]


def x_client(lab: Lab, **other: str) -> tweepy.Client:
    keys = {k: v for k, v in CREDENTIALS["twitter"].items() if k not in ("user_id", "oauth2_token", "bearer_token")}
    client = tweepy.Client(**{**keys, **other})
    rewriting(client.session, "https://api.twitter.com", lab.world.base_url + "/x")
    return client


def x_api(lab: Lab) -> tweepy.API:
    c = CREDENTIALS["twitter"]
    keys = (c["consumer_key"], c["consumer_secret"], c["access_token"], c["access_token_secret"])
    api = tweepy.API(tweepy.OAuth1UserHandler(*keys))
    for host in ("https://api.twitter.com", "https://upload.twitter.com"):
        rewriting(api.session, host, lab.world.base_url + "/x")
    return api


async def x_send(lab: Lab, text: str = "hello", to: str = ZOE_X, **other: str) -> Any:
    return await asyncio.to_thread(x_client(lab, **other).create_direct_message, participant_id=to, text=text)


def twilio_client(lab: Lab, token: str = "twilio-token") -> Client:
    http = TwilioClient(lab.world.base_url + "/twilio")
    return Client(CREDENTIALS["whatsapp"]["account_sid"], token, http_client=http)


async def twilio_send(lab: Lab, **more: Any) -> Any:
    form = {"to": "whatsapp:" + ZOE_WA, "from_": "whatsapp:" + ADDRESSES["whatsapp"], "body": "hello"}
    form |= {"status_callback": PUBLIC + "/status/?outbox=1", **more}
    return await asyncio.to_thread(twilio_client(lab).messages.create, **form)


async def graph_send(lab: Lab, message: Any = None, **more: Any) -> tuple[int, Any]:
    body = {"recipient": {"id": ZOE_FB}, "messaging_type": "RESPONSE", "message": message or {"text": "hello"}, **more}
    token = more.pop("token", CREDENTIALS["messenger"]["page_access_token"])
    url = f"{lab.world.base_url}/graph/v26.0/{ADDRESSES['messenger']}/messages"
    async with lab.http.post(url, params={"access_token": token}, json=body) as answer:
        return answer.status, await answer.json()


async def opened(lab: Lab, kind: str, **more: Any) -> None:
    """Register, let the customer write, and forget that webhook."""
    await lab.register(kind, **more)
    await lab.write(kind, "hi")
    lab.receiver.got.clear()


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
        found = await asyncio.to_thread(x_client(lab).get_direct_message_events, dm_event_fields=["text"])
        assert [event.text for event in found.data if "l" in event.text] == ["lately"]


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
        wanted = {"event_type": "dm.received", "filter": {"user_id": BRAND}, "webhook_id": webhook["id"], "tag": "t"}
        async with lab.http.post(f"{base}/activity/subscriptions", json=wanted, headers=headers) as answer:
            assert answer.status == 201
        await lab.write("twitter", "hi")
        data = lab.receiver.got[0].json["data"]
        assert (data["event_type"], data["tag"]) == ("dm.received", "t")


async def test_twilio_sends_and_reports_in_turn() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        message = await twilio_send(lab)
        assert (message.status, message.direction, message.error_code) == ("queued", "outbound-api", None)
        hooks = await lab.receiver.until(2)
        assert [hook.form["MessageStatus"] for hook in hooks] == ["sent", "delivered"]
        await lab.read("whatsapp")
        hooks = await lab.receiver.until(3)
        assert hooks[-1].form["MessageStatus"] == "read"
        validator = RequestValidator(CREDENTIALS["whatsapp"]["auth_token"])
        for hook in hooks:
            assert hook.form["MessageSid"] == message.sid
            assert hook.path_qs == "/status/?outbox=1"
            assert validator.validate(PUBLIC + hook.path_qs, hook.form, hook.headers["X-Twilio-Signature"])
        assert (await lab.thread("whatsapp"))[-1]["status"] == "read"


TWILIO_ERRORS = [
    ({"body": "x" * 1601}, 400, 21617),
    ({"body": ""}, 400, 21619),
    ({"from_": "whatsapp:+19990001111"}, 400, 63007),
    ({"to": "whatsapp:nobody"}, 400, 21211),
    ({"to": "+4915110000001"}, 400, 21910),
]


@pytest.mark.parametrize(("form", "status", "code"), TWILIO_ERRORS, ids=lambda value: str(value)[:30])
async def test_twilio_refuses_at_once(form: dict[str, str], status: int, code: int) -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        with pytest.raises(TwilioRestException) as refused:
            await twilio_send(lab, **form)
        assert (refused.value.status, refused.value.code) == (status, code)
        assert lab.lines("twilio.send")[0]["code"] == code


async def test_twilio_refuses_a_wrong_token() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        client = twilio_client(lab, token="wrong")
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(client.messages.create, to="whatsapp:" + ZOE_WA, from_="whatsapp:+1", body="x")
        assert (refused.value.status, refused.value.code) == (401, 20003)


async def test_twilio_tells_a_closed_window_afterwards() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        await lab.write("whatsapp", "yesterday", ago=25 * 3600)
        lab.receiver.got.clear()
        message = await twilio_send(lab)
        assert message.status == "queued"
        form = (await lab.receiver.until(1))[0].form
        assert (form["MessageStatus"], form["ErrorCode"]) == ("undelivered", "63016")
        fetched = await asyncio.to_thread(twilio_client(lab).messages(message.sid).fetch)
        assert (fetched.status, fetched.error_code) == ("undelivered", 63016)


async def test_twilio_template_opens_a_conversation() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        form = {"to": "whatsapp:+15557770000", "content_sid": "HX1", "content_variables": json.dumps({"1": "Ann"})}
        await twilio_send(lab, body="", **form)
        hooks = await lab.receiver.until(2)
        assert hooks[1].form["MessageStatus"] == "delivered"


async def test_twilio_user_without_a_number_gets_the_answer() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        await lab.write("whatsapp", "hi", **{"from": {"id": "DE.134912", "username": "ann"}})
        await twilio_send(lab, to="whatsapp:DE.134912")
        path = f"/phones/whatsapp/{ADDRESSES['whatsapp']}/threads/DE.134912"
        assert [message["text"] for message in await lab.ask("GET", path)] == ["hi", "hello"]


async def test_twilio_stop_is_kept() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        await lab.write("whatsapp", {"type": "opt_out"})
        with pytest.raises(TwilioRestException) as refused:
            await twilio_send(lab)
        assert refused.value.code == 21610
        await lab.write("whatsapp", {"type": "opt_in"})
        await twilio_send(lab)


async def test_twilio_lists_both_directions_and_shows_typing() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        await twilio_send(lab)
        client = twilio_client(lab)
        rows = await asyncio.to_thread(client.messages.list)
        assert [(row.direction, row.body) for row in rows] == [("outbound-api", "hello"), ("inbound", "hi")]
        inbound = rows[1].sid
        typing = await asyncio.to_thread(
            client.messaging.v2.typing_indicator.create, channel="whatsapp", message_id=inbound
        )
        assert typing.success is True


async def test_graph_sends_echoes_and_delivers() -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        status, answer = await graph_send(lab, {"text": "hello ü", "metadata": "outbox-1"})
        assert (status, answer["recipient_id"]) == (200, ZOE_FB)
        echo, delivery = (hook.json["entry"][0]["messaging"][0] for hook in await lab.receiver.until(2))
        assert (echo["sender"]["id"], echo["recipient"]["id"]) == (ADDRESSES["messenger"], ZOE_FB)
        assert echo["message"]["mid"] == answer["message_id"]
        assert (echo["message"]["metadata"], echo["message"]["is_echo"]) == ("outbox-1", True)
        assert isinstance(echo["message"]["app_id"], int)
        assert delivery["delivery"]["mids"] == [answer["message_id"]]
        await lab.read("messenger")
        event = lab.receiver.got[-1].json["entry"][0]["messaging"][0]
        assert event["read"]["watermark"] >= delivery["delivery"]["watermark"]


GRAPH_ERRORS = [
    ({"recipient": {"id": "1"}}, 400, 100, 2018001),
    ({"message": {"text": "x" * 2001}}, 400, 100, None),
    ({"message": {"metadata": "only"}}, 400, 100, 2018034),
    ({"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}, 400, 100, None),
    ({"messaging_type": "NONSENSE"}, 400, 100, None),
    ({"token": "stale"}, 401, 190, 463),
    ({"sender_action": "typing_on"}, 400, 100, None),
]


@pytest.mark.parametrize(("more", "status", "code", "subcode"), GRAPH_ERRORS, ids=lambda value: str(value)[:30])
async def test_graph_errors(more: dict[str, Any], status: int, code: int, subcode: int | None) -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        got, answer = await graph_send(lab, **dict(more))
        error = answer["error"]
        assert (got, error["code"], error.get("error_subcode")) == (status, code, subcode)
        assert error["type"] == "OAuthException"
        assert error["fbtrace_id"]
        assert len(await lab.thread("messenger")) == 1


async def test_graph_window_and_human_agent() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", "two days ago", ago=48 * 3600)
        status, answer = await graph_send(lab)
        assert (status, answer["error"]["code"], answer["error"]["error_subcode"]) == (400, 10, 2018278)
        status, _ = await graph_send(lab, messaging_type="MESSAGE_TAG", tag="HUMAN_AGENT")
        assert status == 200


async def test_graph_blocked_customer() -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        path = f"/phones/messenger/{ADDRESSES['messenger']}/threads/{ZOE_FB}/decide"
        await lab.ask("POST", path, {"blocked": True})
        _, answer = await graph_send(lab)
        assert (answer["error"]["code"], answer["error"]["error_subcode"]) == (551, 1545041)


async def test_graph_profile_typing_and_subscription() -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        base, token = lab.world.base_url + "/graph/v26.0", CREDENTIALS["messenger"]["page_access_token"]
        params = {"access_token": token, "fields": "first_name,last_name"}
        params["appsecret_proof"] = appsecret_proof(CREDENTIALS["messenger"]["app_secret"], token)
        async with lab.http.get(f"{base}/{ZOE_FB}", params=params) as answer:
            assert await answer.json() == {"first_name": "Zoë", "last_name": "Ünal", "id": ZOE_FB}
        action = {"recipient": {"id": ZOE_FB}, "sender_action": "typing_on"}
        async with lab.http.post(f"{base}/me/messages", params={"access_token": token}, json=action) as answer:
            assert await answer.json() == {"recipient_id": ZOE_FB}
        apps = f"{base}/{ADDRESSES['messenger']}/subscribed_apps"
        params = {"access_token": token, "subscribed_fields": "messages"}
        async with lab.http.post(apps, params=params) as answer:
            assert await answer.json() == {"success": True}
        await graph_send(lab)
        await lab.idle()
        assert lab.receiver.got == []


async def test_graph_form_and_attachment_that_cannot_be_fetched() -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        attachment = {"type": "image", "payload": {"url": "http://127.0.0.1:9/none.png"}}
        _, answer = await graph_send(lab, {"attachment": attachment})
        assert answer["error"]["error_subcode"] == 2018008
        form = {
            "recipient": json.dumps({"id": ZOE_FB}),
            "messaging_type": "RESPONSE",
            "message": json.dumps({"text": "form"}),
            "access_token": "page-token",
        }
        url = f"{lab.world.base_url}/graph/v26.0/me/messages"
        async with lab.http.post(url, data=form) as answered:
            assert answered.status == 200


async def test_faults_strike_where_they_aim() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        lab.fault("throttle", target="x.send", times=1, seconds=90)
        with pytest.raises(TooManyRequests):
            await x_send(lab)
        lab.fault("error5xx", target="twitter", times=1)
        with pytest.raises(TwitterServerError):
            await x_send(lab)
        lab.fault("throttle", target="whatsapp")
        await x_send(lab)
        assert [line["status"] for line in lab.lines("x.send")] == [429, 503, 201]


async def test_effect_then_reset_sends_and_says_nothing() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        lab.fault("effect_then_reset", times=1)
        with pytest.raises(requests.ConnectionError):
            await x_send(lab, "did it arrive?")
        assert (await lab.thread("twitter"))[-1]["text"] == "did it arrive?"
        assert lab.lines("x.send")[0]["cut"] is True


@pytest.mark.parametrize(("fault", "statuses"), [("receipt_drop", []), ("receipt_shuffle", ["delivered", "sent"])])
async def test_receipts_can_be_lost_or_reordered(fault: str, statuses: list[str]) -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        lab.fault(fault)
        await twilio_send(lab)
        await lab.idle()
        assert [hook.form["MessageStatus"] for hook in lab.receiver.got] == statuses


async def test_an_account_may_read_by_itself() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp", read_after=0.2)
        await twilio_send(lab)
        hooks = await lab.receiver.until(3)
        assert [hook.form["MessageStatus"] for hook in hooks] == ["sent", "delivered", "read"]
