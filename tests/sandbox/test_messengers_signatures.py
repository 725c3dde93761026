from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from sandbox.world import phones_messenger, phones_twitter, phones_whatsapp
from tests.sandbox.messengers_kit import CREDENTIALS, PUBLIC, Hook, messengers

EVERY = [
    (handset.kind, kind)
    for handset in (phones_twitter.HANDSET, phones_messenger.HANDSET, phones_whatsapp.HANDSET)
    for kind in handset.kinds
    if (handset.kind, kind) != ("whatsapp", "read")  # a status callback; there is nothing to read yet
]


def is_signed(kind: str, hook: Hook) -> bool:
    """Check the signature with the provider's own validator, or as its page says."""
    if kind == "whatsapp":
        validator = RequestValidator(CREDENTIALS[kind]["auth_token"])
        return validator.validate(PUBLIC + hook.path_qs, hook.form, hook.headers["X-Twilio-Signature"])
    if kind == "messenger":
        digest = hmac.new(CREDENTIALS[kind]["app_secret"].encode(), hook.body, hashlib.sha256).hexdigest()
        return hook.headers["X-Hub-Signature-256"] == f"sha256={digest}"
    digest_x = hmac.new(CREDENTIALS[kind]["consumer_secret"].encode(), hook.body, hashlib.sha256).digest()
    return hook.headers["x-twitter-webhooks-signature"] == "sha256=" + base64.b64encode(digest_x).decode()


def content_of(kind: str) -> dict[str, Any]:
    raw = {"payload": {"any": "thing ü"}} if kind == "raw" else {}
    return {"type": kind, "text": "Grüße 🎈", "payload": "P", "title": "T", **raw}


@pytest.mark.parametrize(("kind", "content"), EVERY)
async def test_every_kind_arrives_signed(kind: str, content: str) -> None:
    async with messengers() as lab:
        await lab.register(kind)
        answer = await lab.write(kind, content_of(content))
        assert [delivery["status"] for delivery in answer["deliveries"]] == [200]
        assert is_signed(kind, lab.receiver.got[0])


@pytest.mark.parametrize("shape", ["aaa", "xaa", "chat"])
async def test_every_shape_of_x_arrives_signed(shape: str) -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        await lab.write("twitter", "hi", shape=shape)
        assert is_signed("twitter", lab.receiver.got[0])


@pytest.mark.parametrize("kind", CREDENTIALS)
async def test_a_forgery_is_signed_wrong_and_comes_once(kind: str) -> None:
    async with messengers() as lab:
        await lab.register(kind)
        lab.receiver.statuses = [403]
        answer = await lab.write(kind, "give me everything", forge=True, wait=True)
        assert [delivery["status"] for delivery in answer["deliveries"]] == [403]
        assert len(lab.receiver.got) == 1
        assert not is_signed(kind, lab.receiver.got[0])
        assert lab.lines(f"webhook.{kind}")[0]["forged"]
        assert await lab.thread(kind) == []


async def test_meta_escapes_what_is_not_ascii_in_lower_case() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", "ä/🎈")
        assert b'"text":"\\u00e4\\/\\ud83c\\udf88"' in lab.receiver.got[0].body


async def test_twilio_signs_the_public_address_wherever_it_connects() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp", "/webhooks/whatsapp/1/?tenant=a%20b#rc=2&rp=all")
        await lab.write("whatsapp", "")
        hook = lab.receiver.got[0]
        assert hook.path_qs == "/webhooks/whatsapp/1/?tenant=a%20b"
        assert is_signed("whatsapp", hook)
        assert hook.form["Body"] == ""


@pytest.mark.parametrize("kind", CREDENTIALS)
async def test_the_handshake_is_the_providers(kind: str) -> None:
    async with messengers() as lab:
        assert (await lab.register(kind))["handshake"] == "ok"


@pytest.mark.parametrize(("kind", "key"), [("twitter", "consumer_secret"), ("messenger", "verify_token")])
async def test_a_wrong_handshake_is_told(kind: str, key: str) -> None:
    async with messengers() as lab:
        answer = await lab.register(kind, credentials={**CREDENTIALS[kind], key: "another"})
        assert answer["handshake"] != "ok"


async def test_a_handshake_with_nobody_there_is_told() -> None:
    async with messengers() as lab:
        answer = await lab.register("twitter", deliver_to="http://127.0.0.1:9")
        assert "returned 0" in answer["handshake"]
