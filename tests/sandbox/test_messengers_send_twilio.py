"""Twilio's own client against the simulated API of Twilio."""

from __future__ import annotations

import asyncio
import json

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from tests.sandbox.messengers_clients_kit import (
    ZOE_WA,
    opened,
    twilio_client,
    twilio_send,
)
from tests.sandbox.messengers_kit import (
    ADDRESSES,
    CREDENTIALS,
    PUBLIC,
    messengers,
)


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
