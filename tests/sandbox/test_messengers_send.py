"""Plain calls on the simulated Graph API, and what all three messengers share: faults and receipts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from tweepy.errors import TooManyRequests, TwitterServerError

from sandbox.world.signing import appsecret_proof
from tests.sandbox.messengers_clients_kit import (
    ZOE_FB,
    graph_send,
    opened,
    twilio_send,
    x_send,
)
from tests.sandbox.messengers_kit import (
    ADDRESSES,
    CREDENTIALS,
    messengers,
)


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
