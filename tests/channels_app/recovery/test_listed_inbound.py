"""Providers' lists against their webhooks, at the simulated providers: the same message, the same key."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels_app import errors
from channels_app.channel import ChecksSubscription, ListsSent, Reconciles
from channels_app.platforms import twilio, x
from channels_app.providers.messenger import NEEDED
from channels_app.registry import channels
from channels_app.toolkit.http import Http
from channels_app.types import InboundEvent, Listed, ListedInbound, OutboundMessage, WebhookRequest
from tests.sandbox.messengers_kit import CREDENTIALS, CUSTOMERS, PUBLIC, Hook, Lab, messengers

KINDS = ["twitter", "whatsapp"]
HOSTS = {"api.twitter.com": "/x", "api.twilio.com": "/twilio", "graph.facebook.com": "/graph"}
LONG_AGO = timedelta(hours=1)


def channel_at(lab: Lab, kind: str) -> Any:
    cls = channels()[kind]
    known = {key: value for key, value in CREDENTIALS[kind].items() if key in cls.Config.__struct_fields__}
    http = Http({f"https://{host}": lab.world.base_url + path for host, path in HOSTS.items()})
    return cls(cls.read_config(known), http, PUBLIC + f"/webhooks/{kind}/1/")


async def listed(channel: Any, since: datetime | None = None) -> ListedInbound:
    return await asyncio.to_thread(channel.list_inbound, since or datetime.now(UTC) - LONG_AGO)


async def fetched(channel: Any, one: Listed) -> InboundEvent:
    webhook = await asyncio.to_thread(channel.as_webhook, one)
    (event,) = channel.parse(webhook)
    return event


def delivered(channel: Any, hook: Hook) -> InboundEvent:
    headers = {name.lower(): value for name, value in hook.headers.items()}
    path, _, query = hook.path_qs.partition("?")
    request = WebhookRequest(method="POST", url=PUBLIC + path, headers=headers, body=hook.body, query=query)
    return next(iter(channel.parse(channel.verify(request))))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_listed_is_read_like_what_was_delivered(kind: str) -> None:
    async with messengers() as lab:
        await lab.register(kind)
        await lab.write(kind, "¿hola? & <b>ß</b> 🙂")
        (hook,) = await lab.receiver.until(1)
        channel = channel_at(lab, kind)
        (one,) = (await listed(channel)).messages
        asked, came = await fetched(channel, one), delivered(channel, hook)
    assert one.key == asked.key == came.key
    assert (asked.message_id, asked.text) == (came.message_id, came.text)
    assert (asked.sender.external_id, asked.sender.issuer) == (came.sender.external_id, came.sender.issuer)
    assert abs(one.at - datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_picture_that_was_not_delivered_is_fetched_with_its_address(kind: str) -> None:
    async with messengers() as lab:
        await lab.register(kind)
        await lab.write(kind, {"type": "image", "text": "look"})
        (hook,) = await lab.receiver.until(1)
        channel = channel_at(lab, kind)
        (one,) = (await listed(channel)).messages
        asked, came = await fetched(channel, one), delivered(channel, hook)
    assert [part.kind for part in asked.parts] == [part.kind for part in came.parts]
    assert asked.parts[0].media_ref.startswith("http")
    if kind == "whatsapp":
        assert (
            asked.parts[0].media_ref.rpartition("2010-04-01")[2] == came.parts[0].media_ref.rpartition("2010-04-01")[2]
        )
        assert asked.parts[0].mime == came.parts[0].mime


@pytest.mark.parametrize("kind", KINDS)
async def test_our_own_messages_are_not_listed(kind: str) -> None:
    async with messengers() as lab:
        await lab.register(kind)
        await lab.write(kind, "one")
        channel = channel_at(lab, kind)
        customer = CUSTOMERS[kind]["id"]
        await asyncio.to_thread(channel.send, OutboundMessage(recipient=customer, text="ours", correlation="c"))
        result = await listed(channel)
    assert len(result.messages) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_what_we_sent_is_listed_and_nothing_else(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "PAGE", 1)
    monkeypatch.setattr(x, "NEWEST", 1)
    customer = CUSTOMERS[kind]["id"]
    async with messengers() as lab:
        await lab.register(kind)
        await lab.write(kind, "one")
        channel = channel_at(lab, kind)
        assert isinstance(channel, ListsSent)
        message = OutboundMessage(recipient=customer, text="ours", correlation="c")
        sent = [(await asyncio.to_thread(channel.send, message)).message_ids[0] for _ in range(2)]
        result = await asyncio.to_thread(channel.list_sent, datetime.now(UTC) - LONG_AGO)
        none = await asyncio.to_thread(channel.list_sent, datetime.now(UTC) + LONG_AGO)
    assert (sorted(one.message_id for one in result.messages), result.complete) == (sorted(sent), True)
    assert all(abs(one.at - datetime.now(UTC)) < timedelta(seconds=30) for one in result.messages)
    assert (none.messages, none.complete) == ((), True)


@pytest.mark.parametrize("kind", KINDS)
async def test_all_pages_are_read_until_the_first_older_message(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "PAGE", 2)
    monkeypatch.setattr(x, "NEWEST", 2)
    async with messengers() as lab:
        await lab.register(kind)
        for number in range(5):
            await lab.write(kind, f"number {number}")
        channel = channel_at(lab, kind)
        everything, nothing = await listed(channel), await listed(channel, datetime.now(UTC) + LONG_AGO)
    assert (len(everything.messages), everything.complete) == (5, True)
    assert (nothing.messages, nothing.complete) == ((), True)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_that_is_too_long_says_so(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio, "MOST_LISTED", 2)
    monkeypatch.setattr(twilio, "PAGE", 2)
    monkeypatch.setattr(x, "NEWEST", 1)
    monkeypatch.setattr(x, "MOST_PAGES", 2)
    async with messengers() as lab:
        await lab.register(kind)
        for number in range(3):
            await lab.write(kind, f"number {number}")
        channel = channel_at(lab, kind)
        result = await listed(channel)
        message = OutboundMessage(recipient=CUSTOMERS[kind]["id"], text="ours", correlation="c")
        for _ in range(3):
            await asyncio.to_thread(channel.send, message)
        sent = await asyncio.to_thread(channel.list_sent, datetime.now(UTC) - LONG_AGO)
    assert (len(result.messages), result.complete) == (2, False)
    assert (len(sent.messages), sent.complete) == (2, False)


async def test_a_place_that_twilio_does_not_list_is_shown_as_something_that_cannot_be_shown() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        await lab.write("whatsapp", {"type": "location", "latitude": 1.5, "longitude": 2.5})
        channel = channel_at(lab, "whatsapp")
        (one,) = (await listed(channel)).messages
        event = await fetched(channel, one)
    assert (event.text, [part.kind for part in event.parts]) == ("", ["unsupported"])


@pytest.mark.parametrize(
    ("conversation", "sender", "expected"),
    [("100-7", "7", True), ("7-100", "7", True), ("155", "7", False), ("100-7", "100", False), ("8-7", "7", False)],
    ids=["alone", "either order", "a group", "our own", "not ours"],
)
def test_on_x_only_what_others_wrote_to_us_alone_counts(conversation: str, sender: str, *, expected: bool) -> None:
    assert x._to_us_alone("100", {"dm_conversation_id": conversation, "sender_id": sender}) is expected


@pytest.mark.parametrize("kind", [*KINDS, "messenger"])
async def test_refused_credentials_are_told_as_such(kind: str) -> None:
    async with messengers() as lab:
        await lab.register(kind, credentials={**CREDENTIALS[kind], **_OTHER[kind]})
        channel = channel_at(lab, kind)
        ask = channel.unsubscribed if kind == "messenger" else lambda: channel.list_inbound(datetime.now(UTC))
        with pytest.raises(errors.AuthFailed):
            await asyncio.to_thread(ask)


_OTHER = {
    "twitter": {"access_token_secret": "other"},
    "whatsapp": {"auth_token": "other"},
    "messenger": {"page_access_token": "other"},
}


async def test_a_page_that_is_not_subscribed_any_more_is_told_and_can_be_subscribed_again() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        channel = channel_at(lab, "messenger")
        assert await asyncio.to_thread(channel.unsubscribed) == ""
        lab.account("messenger").fields = ["feed"]
        said = await asyncio.to_thread(channel.unsubscribed)
        assert "messages" in said
        await asyncio.to_thread(channel.subscribe)
        assert await asyncio.to_thread(channel.unsubscribed) == ""
        assert {"feed", "messages", "message_echoes"} <= set(lab.account("messenger").fields or [])
        assert {"message_reactions", "messaging_feedback", "standby"} <= set(lab.account("messenger").fields or [])


async def test_a_page_without_a_field_that_is_only_wanted_gets_those_that_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sandbox.world.graph.PAGE_FIELDS", frozenset((*NEEDED, "feed")))
    async with messengers() as lab:
        await lab.register("messenger")
        lab.account("messenger").fields = ["feed"]
        await asyncio.to_thread(channel_at(lab, "messenger").subscribe)
        assert set(lab.account("messenger").fields or []) == {"feed", *NEEDED}


def test_each_channel_offers_what_its_provider_can() -> None:
    able = {
        kind: (issubclass(one, Reconciles), issubclass(one, ChecksSubscription)) for kind, one in channels().items()
    }
    assert able["twitter"] == able["whatsapp"] == (True, False)
    assert able["messenger"] == (False, True)
