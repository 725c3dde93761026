"""What X, Graph and Twilio are documented to refuse, the simulated ones refuse, and the product knows what it means."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import requests
import tweepy
from twilio.base.exceptions import TwilioRestException

from channels_app import errors
from channels_app.registry import channels
from channels_app.toolkit.http import Http
from channels_app.types import OutboundMessage
from tests.sandbox.messengers_clients_kit import ZOE_FB, ZOE_WA, ZOE_X, graph_send, opened, twilio_client, twilio_send
from tests.sandbox.messengers_kit import ADDRESSES, CREDENTIALS, CUSTOMERS, PUBLIC, Lab, messengers

MG = "MG" + "0" * 32
PREFIX = "whatsapp:"


def channel(lab: Lab, kind: str) -> Any:
    """Return the product's channel, which speaks to this world."""
    keys = CREDENTIALS[kind].keys() - {"oauth2_token", "bearer_token"}
    places = {"twitter": "x", "messenger": "graph", "whatsapp": "twilio"}
    hosts = {"twitter": "https://api.twitter.com", "messenger": "https://graph.facebook.com"}
    host = hosts.get(kind, "https://api.twilio.com")
    cls = channels()[kind]
    http = Http({host: f"{lab.world.base_url}/{places[kind]}"})
    credentials = {key: CREDENTIALS[kind][key] for key in keys}
    if kind == "whatsapp":
        credentials["account_sid"] = CREDENTIALS[kind]["account_sid"]
    return cls(cls.read_config(credentials), http, f"{PUBLIC}/webhooks/{kind}/1/")


async def sent(lab: Lab, kind: str, text: str = "hello", to: str = "") -> Any:
    message = OutboundMessage(recipient=to or CUSTOMERS[kind]["id"], text=text, correlation="c-1")
    return await asyncio.to_thread(channel(lab, kind).send, message)


@pytest.mark.parametrize("kind", ["twitter", "messenger", "whatsapp"])
async def test_what_the_product_sends_is_taken(kind: str) -> None:
    async with messengers() as lab:
        await opened(lab, kind)
        assert (await sent(lab, kind)).message_ids
        assert (await lab.thread(kind))[-1]["text"] == "hello"


@pytest.mark.parametrize(
    ("kind", "to", "meant"),
    [
        ("twitter", "12345", errors.Blocked),
        ("messenger", "1", errors.InvalidRecipient),
        ("whatsapp", "+0", errors.InvalidRecipient),
    ],
)
async def test_whoever_cannot_be_reached_is_known_as_that(kind: str, to: str, meant: type) -> None:
    async with messengers() as lab:
        await opened(lab, kind)
        with pytest.raises(meant):
            await sent(lab, kind, to=to)


@pytest.mark.parametrize("kind", ["twitter", "messenger", "whatsapp"])
async def test_refused_credentials_and_haste_are_known_as_that(kind: str) -> None:
    async with messengers() as lab:
        await opened(lab, kind)
        for fault, meant in (
            ("auth", errors.AuthFailed),
            ("throttle", errors.Throttled),
            ("error5xx", errors.Unavailable),
        ):
            lab.fault(fault, target=kind, times=1)
            with pytest.raises(meant):
                await sent(lab, kind)


# ── Graph ──

GRAPH = [
    ({"messaging_type": ""}, 100),
    ({"messaging_type": "MESSAGE_TAG"}, 100),
    ({"messaging_type": "MESSAGE_TAG", "tag": "NONSENSE"}, 100),
    ({"messaging_type": "RESPONSE", "tag": "HUMAN_AGENT"}, 100),
    ({"message": {"text": "hi", "attachment": {"type": "image", "payload": {"url": "http://x.example/a"}}}}, 100),
    ({"message": {"text": "hi", "metadata": "x" * 1001}}, 100),
]


@pytest.mark.parametrize(("more", "code"), GRAPH, ids=lambda value: str(value)[:40])
async def test_graph_refuses_a_send_that_the_documents_forbid(more: dict[str, Any], code: int) -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        status, answer = await graph_send(lab, **dict(more))
        assert (status, answer["error"]["code"]) == (400, code)
        assert len(await lab.thread("messenger")) == 1


async def test_graph_refuses_a_field_that_pages_do_not_have() -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        token = CREDENTIALS["messenger"]["page_access_token"]
        url = f"{lab.world.base_url}/graph/v26.0/{ADDRESSES['messenger']}/subscribed_apps"
        for fields, status in (("messages,nonsense", 400), ("messages,message_echoes", 200)):
            async with lab.http.post(url, params={"access_token": token, "subscribed_fields": fields}) as answer:
                assert answer.status == status


async def test_graph_refuses_the_wrong_proof_of_the_app() -> None:
    async with messengers() as lab:
        await opened(lab, "messenger")
        token = CREDENTIALS["messenger"]["page_access_token"]
        url = f"{lab.world.base_url}/graph/v26.0/{ZOE_FB}"
        async with lab.http.get(url, params={"access_token": token, "appsecret_proof": "0" * 64}) as answer:
            assert (await answer.json())["error"]["code"] == 100


# ── Twilio ──

TWILIO = [
    ({"status_callback": "not a url"}, 21609),
    ({"status_callback": "ftp://parley.example/status"}, 21609),
    ({"status_callback": "/status"}, 21609),
    ({"status_callback": PUBLIC + "/" + "x" * 4096}, 21609),
    ({"to": PREFIX + "+1"}, 21211),
    ({"to": PREFIX + "+15550001x"}, 21211),
    ({"to": PREFIX + ADDRESSES["whatsapp"]}, 63031),
    ({"to": ZOE_WA}, 21910),
    ({"from_": ADDRESSES["whatsapp"]}, 21910),
    ({"media_url": ["no url"]}, 21620),
    ({"media_url": [f"{PUBLIC}/{n}.png" for n in range(11)]}, 21623),
]


@pytest.mark.parametrize(("form", "code"), TWILIO, ids=lambda value: str(value)[:50])
async def test_twilio_refuses_parameters_that_are_none(form: dict[str, Any], code: int) -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        with pytest.raises(TwilioRestException) as refused:
            await twilio_send(lab, **form)
        assert (refused.value.status, refused.value.code) == (400, code)
        assert len(await lab.thread("whatsapp")) == 1


async def test_twilio_knows_no_messaging_service() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        create = twilio_client(lab).messages.create
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(create, to=PREFIX + ZOE_WA, body="hi", messaging_service_sid=MG)
        assert refused.value.code in (21705, 21910)


async def test_twilio_does_not_find_another_accounts_resources() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        client, other = twilio_client(lab), "AC" + "9" * 32
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(client.api.v2010.accounts(other).messages("SM" + "9" * 32).fetch)
        assert (refused.value.status, refused.value.code) == (404, 20404)
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(client.messages("SM" + "9" * 32).fetch)
        assert (refused.value.status, refused.value.code) == (404, 20404)


async def test_twilio_lists_no_more_than_a_thousand_a_page() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        url = f"{lab.world.base_url}/twilio/2010-04-01/Accounts/{CREDENTIALS['whatsapp']['account_sid']}/Messages.json"
        keys = (CREDENTIALS["whatsapp"]["account_sid"], CREDENTIALS["whatsapp"]["auth_token"])
        for size, status in ((1000, 200), (1001, 400)):
            answer = await asyncio.to_thread(requests.get, url, {"PageSize": size}, auth=keys, timeout=10)
            assert answer.status_code == status


async def test_twilio_shows_typing_only_about_what_the_customer_wrote() -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        ours = await twilio_send(lab)
        create = twilio_client(lab).messaging.v2.typing_indicator.create
        with pytest.raises(TwilioRestException) as refused:
            await asyncio.to_thread(create, channel="whatsapp", message_id=ours.sid)
        assert refused.value.code == 20001


@pytest.mark.parametrize("code", ["63018", "30001", "21610", "63024"])
async def test_twilio_may_fail_later_with_any_code(code: str) -> None:
    async with messengers() as lab:
        await opened(lab, "whatsapp")
        lab.fault("fails_later", times=1, code=code)
        message = await twilio_send(lab)
        assert message.status == "queued"
        form = (await lab.receiver.until(1))[0].form
        assert (form["MessageStatus"], form["ErrorCode"]) == ("undelivered", code)


# ── X ──


async def x_post(lab: Lab, body: dict[str, Any]) -> tuple[int, Any]:
    url = f"{lab.world.base_url}/x/2/dm_conversations/with/{ZOE_X}/messages"
    headers = {"Authorization": f"Bearer {CREDENTIALS['twitter']['oauth2_token']}"}
    async with lab.http.post(url, data=json.dumps(body), headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize("body", [{"text": "hi", "more": 1}, {"text": 5}, {"text": ""}, {}], ids=str)
async def test_x_refuses_a_body_that_its_schema_does_not_know(body: dict[str, Any]) -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        status, answer = await x_post(lab, body)
        assert (status, answer["title"]) == (400, "Invalid Request")
        assert answer["type"].endswith("/problems/invalid-request")


LISTS = [
    {"max_results": "101"},
    {"max_results": "0"},
    {"dm_event.fields": "id,nonsense"},
    {"event_types": "Everything"},
    {"expansions": "sender"},
    {"pagination_token": "x"},
]


@pytest.mark.parametrize("query", LISTS, ids=str)
async def test_x_refuses_a_list_with_parameters_that_it_does_not_document(query: dict[str, str]) -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        headers = {"Authorization": f"Bearer {CREDENTIALS['twitter']['oauth2_token']}"}
        async with lab.http.get(f"{lab.world.base_url}/x/2/dm_events", params=query, headers=headers) as answer:
            assert answer.status == 400


async def test_x_takes_no_other_signature_than_hmac_sha1() -> None:
    async with messengers() as lab:
        await opened(lab, "twitter")
        auth = tweepy.OAuth1UserHandler("ck", "cs & more", "at", "ats").apply_auth()
        auth.client.signature_method = "PLAINTEXT"
        url = f"https://api.twitter.com/2/dm_conversations/with/{ZOE_X}/messages"
        signed = requests.Request("POST", url, json={"text": "hi"}, auth=auth).prepare()
        there = f"{lab.world.base_url}/x/2/dm_conversations/with/{ZOE_X}/messages"
        async with lab.http.post(there, data=signed.body, headers=dict(signed.headers)) as answer:
            assert answer.status == 401
