from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from sandbox.world.accounts import Phones
from tests.sandbox.messengers_kit import ADDRESSES, CREDENTIALS, CUSTOMERS, Lab, messengers

PAGE, NUMBER, BRAND = ADDRESSES["messenger"], ADDRESSES["whatsapp"], ADDRESSES["twitter"]


async def sent(lab: Lab, kind: str, content: dict[str, Any], **more: Any) -> Any:
    """Write on a phone; return what the webhook got: JSON, or the form."""
    await lab.write(kind, content, **more)
    hook = lab.receiver.got[-1]
    return hook.form if kind == "whatsapp" else hook.json


async def test_x_text_in_account_activity() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "text", "text": "hi"})
        event = body["direct_message_events"][0]
        assert (body["for_user_id"], event["type"]) == (BRAND, "message_create")
        create = event["message_create"]
        assert create["sender_id"] == CUSTOMERS["twitter"]["id"]
        assert create["target"] == {"recipient_id": BRAND}
        assert create["message_data"]["text"] == "hi"
        assert body["users"][create["sender_id"]]["screen_name"] == "zoe"
        assert event["created_timestamp"].isdecimal()


async def test_x_text_in_x_activity() -> None:
    async with messengers() as lab:
        await lab.register("twitter", shape="xaa")
        data = (await sent(lab, "twitter", {"type": "text", "text": "hi"}))["data"]
        assert (data["event_type"], data["filter"]) == ("dm.received", {"user_id": BRAND})
        assert int(data["event_uuid"])
        event = data["payload"]["direct_message_events"][0]
        assert event["message_create"]["message_data"]["text"] == "hi"
        user = data["payload"]["users"][CUSTOMERS["twitter"]["id"]]["data"]
        assert (user["username"], user["name"]) == ("zoe", "Zoë Ünal")


async def test_x_escapes_three_characters_once_wherever_it_hands_text_out() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        person = {**CUSTOMERS["twitter"], "name": "Zoë & Co"}
        body = await sent(lab, "twitter", {"type": "text", "text": "1 < 2 & 3 > 2 &lt;"}, **{"from": person})
        data = body["direct_message_events"][0]["message_create"]["message_data"]
        assert data["text"] == "1 &lt; 2 &amp; 3 &gt; 2 &amp;lt;"
        assert body["users"][person["id"]]["name"] == "Zoë &amp; Co"
        echo = await sent(lab, "twitter", {"type": "echo", "text": "A & B"})
        assert echo["direct_message_events"][0]["message_create"]["message_data"]["text"] == "A &amp; B"
        assert [bubble["text"] for bubble in await lab.thread("twitter")] == ["1 < 2 & 3 > 2 &lt;", "A & B"]


@pytest.mark.parametrize("kind", ["reaction", "edit", "unsend", "referral", "opt_in", "read", "handover"])
async def test_what_is_not_written_opens_no_window(kind: str) -> None:
    async with messengers() as lab:
        await lab.register("messenger")
        await lab.write("messenger", {"type": "text", "text": "hi"}, ago=90_000)
        account = lab.world.part(Phones).accounts["messenger", PAGE]
        before = account.find(CUSTOMERS["messenger"]["id"]).last_inbound
        await lab.write("messenger", {"type": kind, "text": "x", "to": "m_1"})
        assert account.find(CUSTOMERS["messenger"]["id"]).last_inbound == before


async def test_x_chat_carries_only_ciphertext() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        data = (await sent(lab, "twitter", {"type": "text", "text": "top secret"}, shape="chat"))["data"]
        assert data["event_type"] == "chat.received"
        assert data["payload"]["conversation_id"] == f"{CUSTOMERS['twitter']['id']}:{BRAND}"
        assert len(base64.b64decode(data["payload"]["encoded_event"])) == 160
        assert "top secret" not in json.dumps(data)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("typing", "direct_message_indicate_typing_events"),
        ("read", "direct_message_mark_read_events"),
        ("opt_in", "follow_events"),
        ("revoke", "user_event"),
    ],
)
async def test_x_events_that_are_no_message(content: str, where: str) -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        assert where in await sent(lab, "twitter", {"type": content})
        assert await lab.thread("twitter") == []


async def test_x_event_that_nobody_knows() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "unsupported"})
        assert "direct_message_hologram_events" in body
        assert "direct_message_events" not in body


async def test_x_photo_is_private() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "image", "text": "look"})
        data = body["direct_message_events"][0]["message_create"]["message_data"]
        media = data["attachment"]["media"]
        assert media["type"] == "photo"
        assert data["text"] == f"look {media['url']}"
        assert data["text"][slice(*media["indices"])] == media["url"]
        async with lab.http.get(media["media_url_https"]) as answer:
            assert answer.status == 401
        headers = {"Authorization": "Bearer " + CREDENTIALS["twitter"]["oauth2_token"]}
        async with lab.http.get(media["media_url_https"], headers=headers) as answer:
            assert (await answer.read()).startswith(b"\x89PNG")


async def test_x_location_and_quick_reply() -> None:
    async with messengers() as lab:
        await lab.register("twitter")
        body = await sent(lab, "twitter", {"type": "location", "latitude": 1.5, "longitude": 2.5})
        where = body["direct_message_events"][0]["message_create"]["message_data"]["attachment"]["location"]
        assert where["shared_coordinate"]["coordinates"]["coordinates"] == [2.5, 1.5]
        body = await sent(lab, "twitter", {"type": "quick_reply", "title": "Yes", "payload": "YES"})
        data = body["direct_message_events"][0]["message_create"]["message_data"]
        assert data["quick_reply_response"] == {"type": "options", "metadata": "YES"}


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


WHATSAPP = [
    ({"type": "text", "text": "hi"}, {"Body": "hi", "NumMedia": "0", "MessageType": "text"}),
    ({"type": "voice"}, {"NumMedia": "1", "MessageType": "audio", "MediaContentType0": "audio/ogg", "Body": ""}),
    ({"type": "contact", "name": "Bo"}, {"MediaContentType0": "text/vcard", "MessageType": "contacts"}),
    ({"type": "location", "latitude": 1.5, "name": "Shop"}, {"Latitude": "1.5", "Label": "Shop"}),
    (
        {"type": "quick_reply", "title": "Yes", "payload": "Y"},
        {"ButtonText": "Yes", "ButtonPayload": "Y", "Body": "Yes"},
    ),
    ({"type": "list_reply", "title": "Tea", "payload": "1"}, {"ListTitle": "Tea", "ListId": "1"}),
    ({"type": "reply", "text": "this", "to": "SM1"}, {"OriginalRepliedMessageSid": "SM1"}),
    ({"type": "opt_out"}, {"Body": "STOP", "OptOutType": "STOP"}),
    ({"type": "opt_in"}, {"Body": "START", "OptOutType": "START"}),
    ({"type": "forwarded", "text": "fw"}, {"Forwarded": "true"}),
    ({"type": "referral", "text": "hi", "ref": "C"}, {"ReferralCtwaClid": "C"}),
    ({"type": "unsupported"}, {"MessageType": "hologram", "Body": ""}),
    ({"type": "form", "payload": {"name": "Ann"}}, {"InteractiveData": '{"name": "Ann"}', "Body": ""}),
    ({"type": "raw", "payload": {"From": "odd", "X": ["1", "2"]}}, {"From": "odd"}),
]


@pytest.mark.parametrize(("content", "expected"), WHATSAPP, ids=lambda value: str(value)[:40])
async def test_whatsapp_forms(content: dict[str, Any], expected: dict[str, str]) -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        form = await sent(lab, "whatsapp", content)
        assert expected.items() <= form.items()
        if content["type"] != "raw":
            assert form["From"] == "whatsapp:" + CUSTOMERS["whatsapp"]["id"]
            assert (form["To"], form["WaId"]) == ("whatsapp:" + NUMBER, CUSTOMERS["whatsapp"]["id"][1:])
            assert form["ExternalUserId"].startswith("whatsapp:US.")


async def test_whatsapp_user_without_a_number() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        person = {"id": "DE.13491208655302741918", "name": "Ann", "username": "ann"}
        form = await sent(lab, "whatsapp", {"type": "text", "text": "hi"}, **{"from": person})
        assert form["From"] == form["ExternalUserId"] == "whatsapp:DE.13491208655302741918"
        assert form["ProfileUsername"] == "ann"
        assert "WaId" not in form


async def test_whatsapp_media_wants_credentials_and_redirects() -> None:
    async with messengers() as lab:
        await lab.register("whatsapp")
        form = await sent(lab, "whatsapp", {"type": "image"})
        async with lab.http.get(form["MediaUrl0"]) as answer:
            assert answer.status == 401
        basic = base64.b64encode(f"{form['AccountSid']}:twilio-token".encode()).decode()
        async with lab.http.get(form["MediaUrl0"], headers={"Authorization": f"Basic {basic}"}) as answer:
            assert [step.status for step in answer.history] == [307]
            assert (await answer.read()).startswith(b"\x89PNG")


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
