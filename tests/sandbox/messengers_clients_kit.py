"""The real clients of X and Twilio, and plain calls on Graph, pointed at the simulator."""

from __future__ import annotations

import asyncio
from typing import Any

import tweepy
from twilio.rest import Client

from tests.sandbox.messengers_kit import (
    ADDRESSES,
    CREDENTIALS,
    CUSTOMERS,
    PUBLIC,
    Lab,
    TwilioClient,
    rewriting,
)

ZOE_X, ZOE_FB, ZOE_WA = (CUSTOMERS[kind]["id"] for kind in ("twitter", "messenger", "whatsapp"))
PAGE, NUMBER, BRAND = ADDRESSES["messenger"], ADDRESSES["whatsapp"], ADDRESSES["twitter"]


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


async def sent(lab: Lab, kind: str, content: dict[str, Any], **more: Any) -> Any:
    """Write on a phone; return what the webhook got: JSON, or the form."""
    await lab.write(kind, content, **more)
    hook = lab.receiver.got[-1]
    return hook.form if kind == "whatsapp" else hook.json
