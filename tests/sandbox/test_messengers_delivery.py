from __future__ import annotations

import pytest

from sandbox.world.accounts import Account
from sandbox.world.delivery import connect_to
from sandbox.world.phones_whatsapp import schedule
from tests.sandbox.messengers_kit import CREDENTIALS, messengers


@pytest.mark.parametrize("kind", ["twitter", "messenger"])
async def test_what_nobody_took_comes_again_unchanged(kind: str) -> None:
    async with messengers() as lab:
        await lab.register(kind)
        lab.receiver.statuses = [500, 404]
        answer = await lab.write(kind, "hello?", wait=True)
        assert [delivery["status"] for delivery in answer["deliveries"]] == [500]
        first, second, third = lab.receiver.got
        assert first.body == second.body == third.body
        lines = lab.lines(f"webhook.{kind}")
        assert [(line["attempt"], line["status"]) for line in lines] == [(1, 500), (2, 404), (3, 200)]
        assert {line["message_id"] for line in lines} == {answer["message_id"]}


async def test_redelivery_is_given_up() -> None:
    async with messengers() as lab:
        await lab.register("messenger", retries=2)
        lab.receiver.statuses = [500] * 5
        await lab.write("messenger", "hello?", wait=True)
        assert len(lab.receiver.got) == 3
        assert len(lab.lines("webhook.messenger.given_up")) == 1


async def test_nobody_there_is_status_0() -> None:
    async with messengers() as lab:
        await lab.register("messenger", retries=0)
        lab.account("messenger").deliver_to = "http://127.0.0.1:9"
        answer = await lab.write("messenger", "hello?")
        assert answer["deliveries"][0]["status"] == 0
        assert answer["deliveries"][0]["body"].startswith("connect: ")


async def test_twilio_does_not_repeat_after_an_http_error() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        lab.receiver.statuses = [503]
        await lab.write("whatsapp", "hello?", wait=True)
        assert len(lab.receiver.got) == 1


async def test_twilio_repeats_as_the_url_says_with_the_same_token() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp", "/hook/#rc=3&rp=5xx")
        lab.receiver.statuses = [503, 400]
        await lab.write("whatsapp", "hello?", wait=True)
        assert len(lab.receiver.got) == 2
        tokens = {hook.headers["I-Twilio-Idempotency-Token"] for hook in lab.receiver.got}
        assert len(tokens) == 1


@pytest.mark.parametrize(
    ("fragment", "count", "on"),
    [
        ("", 1, {"connect"}),
        ("#rc=9&rp=all", 5, {"connect", "timeout", "4xx", "5xx"}),
        ("#rc=0", 0, {"connect"}),
        ("#rc=2&rp=ct,rt", 2, {"connect", "timeout"}),
    ],
)
def test_twilio_connection_overrides(fragment: str, count: int, on: set[str]) -> None:
    plan = schedule(Account("whatsapp", "+1", webhook_url=f"https://a.example/{fragment}"))
    assert (len(plan.delays), plan.on) == (count, on)


async def test_times_delivers_the_one_event_again() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        answer = await lab.write("messenger", "once", times=3)
        assert len(answer["deliveries"]) == 3
        assert len({hook.body for hook in lab.receiver.got}) == 1
        assert len(await lab.thread("messenger")) == 1


async def test_an_account_without_a_webhook_delivers_nothing() -> None:
    async with messengers() as lab:
        form = {"kind": "messenger", "credentials": CREDENTIALS["messenger"]}
        answer = await lab.ask("POST", "/phones/accounts", form)
        assert answer["handshake"] == "no webhook_url yet"
        assert (await lab.write("messenger", "anyone?"))["deliveries"] == []


async def test_registering_again_keeps_the_threads() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", "hi")
        await lab.register("messenger", "/other/")
        assert [message["text"] for message in await lab.thread("messenger")] == ["hi"]
        assert (await lab.ask("GET", "/phones/accounts"))[0]["webhook_url"].endswith("/other/")


@pytest.mark.parametrize(
    ("deliver_to", "expected"),
    [
        ("", "https://p.example/a?b=1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/a?b=1"),
        ("http://127.0.0.1:8000/inner/", "http://127.0.0.1:8000/inner/?b=1"),
    ],
)
def test_where_a_delivery_connects(deliver_to: str, expected: str) -> None:
    assert connect_to("https://p.example/a?b=1#rc=1", deliver_to) == expected


async def test_a_provider_may_deliver_twice() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        lab.fault("webhook_double", target="twitter", times=1)
        await lab.write("twitter", "hi")
        await lab.write("twitter", "hi again")
        assert len(lab.receiver.got) == 3
        assert lab.receiver.got[0].body == lab.receiver.got[1].body
