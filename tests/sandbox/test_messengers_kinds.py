from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from sandbox.world.accounts import Phones
from tests.sandbox.messengers_clients_kit import NUMBER, PAGE, sent
from tests.sandbox.messengers_kit import CREDENTIALS, CUSTOMERS, messengers


@pytest.mark.parametrize("kind", ["reaction", "edit", "unsend", "referral", "opt_in", "read", "handover"])
async def test_what_is_not_written_opens_no_window(kind: str) -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", {"type": "text", "text": "hi"}, ago=90_000)
        account = lab.world.part(Phones).accounts["messenger", PAGE]
        before = account.find(CUSTOMERS["messenger"]["id"]).last_inbound
        await lab.write("messenger", {"type": kind, "text": "x", "to": "m_1"})
        assert account.find(CUSTOMERS["messenger"]["id"]).last_inbound == before


MESSENGER = [
    ({"type": "quick_reply", "title": "Yes", "payload": "YES"}, ("message", "quick_reply"), {"payload": "YES"}),
    ({"type": "reply", "text": "this", "to": "m_1"}, ("message", "reply_to"), {"mid": "m_1"}),
    ({"type": "unsend", "to": "m_1"}, ("message",), {"mid": "m_1", "is_deleted": True}),
    ({"type": "edit", "to": "m_1", "text": "x"}, ("message_edit",), {"mid": "m_1", "text": "x", "num_edit": 1}),
    ({"type": "referral", "ref": "R"}, ("referral",), {"ref": "R", "source": "SHORTLINK", "type": "OPEN_THREAD"}),
    ({"type": "postback", "title": "Start"}, ("postback", "payload"), "GET_STARTED"),
    ({"type": "opt_out"}, ("optin", "notification_messages_status"), "STOP_NOTIFICATIONS"),
    ({"type": "sticker"}, ("message", "attachments", 0, "payload", "sticker_id"), 126361874215276),
    ({"type": "like"}, ("message", "attachments", 0, "payload", "sticker_id"), 369239263222822),
    ({"type": "like", "variant": "large"}, ("message", "attachments", 0, "payload", "sticker_id"), 369239383222810),
    (
        {"type": "link", "url": "https://x", "variant": "string_payload"},
        ("message", "attachments", 0, "payload"),
        "https://x",
    ),
    ({"type": "quick_reply", "payload": "RED"}, ("message", "quick_reply"), {"payload": "RED"}),
    ({"type": "handover", "source": "5"}, ("pass_thread_control", "new_owner_app_id"), "5"),
    ({"type": "voice"}, ("message", "attachments", 0, "type"), "audio"),
    ({"type": "link", "title": "Shop"}, ("message", "attachments", 0, "type"), "fallback"),
    ({"type": "unsupported", "variant": "attachment"}, ("message", "attachments", 0, "type"), "hologram"),
    ({"type": "story", "url": "https://s", "ref": "9"}, ("message", "reply_to", "story", "id"), "9"),
    ({"type": "account_linking", "payload": "code"}, ("account_linking", "authorization_code"), "code"),
    (
        {"type": "location", "latitude": 1.5, "longitude": 2.5},
        ("message", "attachments", 0, "payload", "coordinates"),
        {"lat": 1.5, "long": 2.5},
    ),
    (
        {"type": "reaction", "to": "m_1", "emoji": "👍"},
        ("reaction",),
        {"mid": "m_1", "action": "react", "reaction": "other", "emoji": "👍"},
    ),
]


@pytest.mark.parametrize(("content", "path", "expected"), MESSENGER, ids=lambda value: str(value)[:40])
async def test_messenger_events(content: dict[str, Any], path: tuple[Any, ...], expected: Any) -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        body = await sent(lab, "messenger", content)
        member = body["entry"][0]["messaging"][0]
        assert (body["object"], body["entry"][0]["id"]) == ("page", PAGE)
        assert (member["sender"]["id"], member["recipient"]["id"]) == (CUSTOMERS["messenger"]["id"], PAGE)
        for step in path:
            member = member[step]
        assert member == expected


async def test_messenger_echo_has_the_two_swapped() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        event = (await sent(lab, "messenger", {"type": "echo", "text": "from the inbox"}))["entry"][0]["messaging"][0]
        assert (event["sender"]["id"], event["recipient"]["id"]) == (PAGE, CUSTOMERS["messenger"]["id"])
        assert event["message"]["is_echo"] is True
        assert [(m["direction"], m["text"]) for m in await lab.thread("messenger")] == [("out", "from the inbox")]


async def test_messenger_standby_lies_beside_messaging() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        entry = (await sent(lab, "messenger", {"type": "standby", "text": "hm"}))["entry"][0]
        assert "messaging" not in entry
        assert entry["standby"][0]["message"]["text"] == "hm"


async def test_messenger_file_is_served_by_its_url() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        body = await sent(
            lab, "messenger", {"type": "file", "data": base64.b64encode(b"abc").decode(), "name": "a.txt"}
        )
        url = body["entry"][0]["messaging"][0]["message"]["attachments"][0]["payload"]["url"]
        async with lab.http.get(url) as answer:
            assert await answer.read() == b"abc"


async def test_raw_bytes_go_out_as_they_are() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", {"type": "raw", "data": base64.b64encode(b'{"a":\xff').decode()})
        assert lab.receiver.got[0].body == b'{"a":\xff'


async def test_what_a_channel_cannot_carry_is_refused() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        body = {"from": CUSTOMERS["whatsapp"], "content": {"type": "edit"}}
        async with lab.http.post(f"{lab.world.base_url}/phones/whatsapp/{NUMBER}/messages", json=body) as answer:
            assert answer.status == 400
            assert "cannot carry" in (await answer.json())["error"]


async def test_kinds_are_listed_with_labels() -> None:
    async with messengers() as lab:
        kinds = await lab.ask("GET", "/phones/kinds")
        assert {"type": "voice", "label": "Voice message"} in kinds["whatsapp"]
        assert set(kinds) == set(CREDENTIALS)


async def test_edits_and_unsends_change_the_bubble() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        first = (await lab.write("messenger", "on"))["message_id"]
        body = await sent(lab, "messenger", {"type": "edit", "text": "one"})
        assert body["entry"][0]["messaging"][0]["message_edit"] == {"mid": first, "text": "one", "num_edit": 1}
        assert [m["text"] for m in await lab.thread("messenger")] == ["one"]
        await lab.write("messenger", {"type": "unsend"})
        assert [(m["type"], m["text"]) for m in await lab.thread("messenger")] == [("unsent", "")]


async def test_events_after_a_reset_go_on_counting() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", "before")
        phones = lab.world.part(Phones)
        phones.reset()
        assert await lab.thread("messenger") == []
        await lab.write("messenger", "after")
        async with asyncio.timeout(30):
            line = await anext(phones.events.follow())
        assert (line.n, line.fields["message"]["text"]) == (2, "after")


async def test_followers_hear_of_every_change() -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", "one")
        async with lab.http.get(f"{lab.world.base_url}/phones/events?after=0") as stream:
            await lab.write("messenger", "two")
            texts: list[str] = []
            async with asyncio.timeout(30):
                while len(texts) < 2:
                    line = await stream.content.readline()
                    if line.startswith(b"data: "):
                        texts.append(json.loads(line[6:])["message"]["text"])
        assert texts == ["one", "two"]
