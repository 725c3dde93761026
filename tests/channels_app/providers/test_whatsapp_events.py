"""Whatever else WhatsApp's webhooks tell, and who it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from channels_app import errors
from channels_app.types import Alias, AliasType, Part, PartKind, ReceiptStatus
from tests.channels_app.kit import channel_of
from tests.channels_app.providers.kit import received, signed_form, words_of
from tests.channels_app.providers.whatsapp_kit import (
    SID,
    Form,
    form,
    status,
)

CASES: list[tuple[str, Form, list[tuple[str, dict[str, Any]]]]] = [
    (
        "what we wrote on the phone",
        form(Body="on it", From="whatsapp:+34600000000", To="whatsapp:+15550002"),
        [("Echoed", {"who": "+15550002", "text": "on it"})],
    ),
    (
        "an order",
        form(MessageType="order"),
        [("MessageReceived", {"parts": (Part(kind=PartKind.ORDER, detail="order"),)})],
    ),
    (
        "an unknown kind of message",
        form(MessageType="hologram"),
        [("MessageReceived", {"parts": (Part(kind=PartKind.UNSUPPORTED, detail="hologram"),)})],
    ),
    (
        "STOP is a message and a withdrawal",
        form(Body="STOP", OptOutType="STOP"),
        [("MessageReceived", {"text": "STOP"}), ("ConsentChanged", {"granted": False, "topic": "STOP"})],
    ),
    (
        "START",
        form(Body="START", OptOutType="START"),
        [("MessageReceived", {}), ("ConsentChanged", {"granted": True, "key": f"c:{SID}"})],
    ),
    ("HELP", form(Body="HELP", OptOutType="HELP"), [("MessageReceived", {"text": "HELP"})]),
    ("our own number", form(Body="x", From="whatsapp:+34600000000"), [("Echoed", {"who": "+34600000000"})]),
    ("another number", form(To="whatsapp:+34600000009"), [("Misaddressed", {"address": "whatsapp:+34600000009"})]),
    ("an SMS", form(To="+34600000000", From="+15550001"), [("Misaddressed", {})]),
    ("another account", form(AccountSid="AC" + "1" * 32), [("Misaddressed", {})]),
    *(
        (
            f"status {word}",
            status(word),
            [
                (
                    "ReceiptReceived",
                    {"key": f"r:{word}:{SID}", "status": rung, "message_ids": (SID,), "who": "+15550001"},
                )
            ],
        )
        for word, rung in (
            ("queued", ReceiptStatus.ACCEPTED),
            ("sent", ReceiptStatus.ACCEPTED),
            ("delivered", ReceiptStatus.DELIVERED),
            ("read", ReceiptStatus.READ),
        )
    ),
    (
        "status failed",
        status("failed", ErrorCode="63016", ChannelStatusMessage="outside the window"),
        [
            (
                "ReceiptReceived",
                {"status": ReceiptStatus.FAILED, "error_code": "63016", "error_detail": "outside the window"},
            )
        ],
    ),
    (
        "status undelivered",
        status("undelivered", ErrorCode="63024", ErrorMessage="no such user"),
        [("ReceiptReceived", {"status": ReceiptStatus.FAILED, "error_detail": "no such user"})],
    ),
    ("read by the channel's word alone", status("", EventType="READ"), [("ReceiptReceived", {"status": "read"})]),
    ("read before its status says so", status("sent", EventType="READ"), [("ReceiptReceived", {"status": "read"})]),
    (
        "failed, whatever else is said",
        status("undelivered", EventType="READ", ErrorCode="63016"),
        [("ReceiptReceived", {"status": "failed", "error_code": "63016"})],
    ),
    ("a status in capitals", status("DELIVERED"), [("ReceiptReceived", {"status": "delivered"})]),
    ("delivered to some", status("partially_delivered"), [("ReceiptReceived", {"status": "accepted"})]),
    ("status that nobody knows", status("teleported"), [("Unrecognised", {"type": "status teleported"})]),
    ("status of another number's message", status("sent", From="whatsapp:+1999"), [("Misaddressed", {})]),
]


@pytest.mark.parametrize(("payload", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_every_kind_of_form_is_understood(payload: Form, expected: list[tuple[str, dict[str, Any]]]) -> None:
    events = received("whatsapp", payload)
    assert [words_of(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected


WHO = [
    ("whatsapp:+15550001", {}, "+15550001", {AliasType.PHONE: "+15550001"}),
    (
        "whatsapp:+15550001",
        {"ExternalUserId": "whatsapp:US.1349", "ParentExternalUserId": "whatsapp:US.ENT.7", "ProfileUsername": "ann"},
        "+15550001",
        {
            AliasType.PHONE: "+15550001",
            AliasType.BSUID: "US.1349",
            AliasType.PARENT_BSUID: "US.ENT.7",
            AliasType.USERNAME: "ann",
        },
    ),
    ("whatsapp:US.1349", {"WaId": "-"}, "US.1349", {AliasType.BSUID: "US.1349"}),
    ("whatsapp:US.1349", {"WaId": "US.1349"}, "US.1349", {AliasType.BSUID: "US.1349"}),
    ("whatsapp:US.1349", {}, "+15550001", {AliasType.PHONE: "+15550001", AliasType.BSUID: "US.1349"}),
    ("whatsapp:15550001", {"WaId": "-"}, "+15550001", {AliasType.PHONE: "+15550001"}),
]


@pytest.mark.parametrize(("writer", "fields", "known_as", "aliases"), WHO)
def test_customers_are_known_by_number_or_else_by_user_id(
    writer: str, fields: Form, known_as: str, aliases: Any
) -> None:
    (event,) = received("whatsapp", form(From=writer, **fields))
    assert event.sender.external_id == known_as
    assert event.sender.aliases == tuple(Alias(type=kind, value=value) for kind, value in aliases.items())
    assert event.sender.display_name == "Ann"


MALFORMED = [
    "whatsapp:", "null", "undefined", "0", "anonymous", " ", "US", "US.", "us.1349", "USA.1349", "US.13 49", "US.13-49",
    "\uff35\uff33.1349", "US.\uff11\uff13", "US.1349.",  "US." + "1" * 129, "whatsapp:whatsapp:US.1349",
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("ExternalUserId", value) for value in (*MALFORMED, "US.ENT.7")),
        *(("ParentExternalUserId", value) for value in (*MALFORMED, "US.1349", "US.ENT.", "US.ENT.a-b")),
    ],
)
def test_an_id_that_is_not_in_its_documented_form_is_no_alias(field: str, value: str) -> None:
    (event,) = received("whatsapp", form(**{field: value}))
    assert [(alias.type, alias.value) for alias in event.sender.aliases] == [(AliasType.PHONE, "+15550001")]
    assert event.sender.ignored == ((field,) if value.removeprefix("whatsapp:") else ())


@pytest.mark.parametrize(
    "number", ["+0555", "++15550001", "+1555 0001", "+" + "1" * 16, "\uff0b15550001", "+1555000\u0661"]
)
def test_a_number_that_is_not_in_its_documented_form_is_nobodys(number: str) -> None:
    with pytest.raises(errors.Unusable):
        received("whatsapp", form(From=f"whatsapp:{number}", WaId="-"))


@pytest.mark.parametrize(
    "changed",
    [
        {"MessageSid": "-", "SmsSid": "-", "SmsMessageSid": "-"},
        {"MessageSid": SID + "MessageTypetext", "MessageType": "-"},
        {"MessageSid": "SM" + "g" * 32},
        {"From": "whatsapp:bob", "WaId": "-"},
        {"From": "-", "WaId": "-"},
    ],
)
def test_what_cannot_be_read_is_unusable(changed: Form) -> None:
    with pytest.raises(errors.Unusable):
        received("whatsapp", form(**changed))


def test_a_moved_boundary_does_not_make_a_new_message() -> None:
    genuine = signed_form(form(Body="hi"))
    moved = form(MessageSid=f"{SID}MessageTypetext", MessageType="-", Body="hi")
    replayed = replace(genuine, body=urlencode(moved).encode())
    channel = channel_of("whatsapp")
    with pytest.raises(errors.Unusable):
        channel.parse(channel.verify(replayed))  # the signature alone lets it pass


def test_a_status_carries_our_own_id_from_the_callbacks_query() -> None:
    channel, request = channel_of("whatsapp"), signed_form(status("delivered"), query="outbox=c-1")
    (event,) = channel.parse(channel.verify(request))
    assert event.correlation == "c-1"
