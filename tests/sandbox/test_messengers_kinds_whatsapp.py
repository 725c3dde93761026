"""What Twilio's webhooks carry for each thing that a customer can do."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.sandbox.messengers_clients_kit import NUMBER, sent
from tests.sandbox.messengers_kit import CUSTOMERS, messengers

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
