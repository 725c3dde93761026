"""What customers write on WhatsApp, as its webhooks bring it and as we read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channels_app.types import Part, PartKind, Selection
from tests.channels_app.providers.kit import received, words_of
from tests.channels_app.providers.whatsapp_kit import (
    FLOW,
    PLACE,
    REFERRED,
    SID,
    Form,
    answers,
    form,
    media,
    part,
)

CASES: list[tuple[str, Form, list[tuple[str, dict[str, Any]]]]] = [
    (
        "text",
        form(Body="Grüße & +1 😀"),
        [("MessageReceived", {"key": f"m:{SID}", "who": "+15550001", "text": "Grüße & +1 😀", "message_id": SID})],
    ),
    ("blank", form(Body="  "), [("MessageReceived", {"text": "  ", "parts": ()})]),
    ("NUL", form(Body="a\x00b"), [("MessageReceived", {"text": "a\ufffdb"})]),
    (
        "an order with words of its own",
        form(MessageType="order", Body="Please", OrderItems='[{"name":"Shoes"}]'),
        [
            (
                "MessageReceived",
                {"text": "Please", "parts": (Part(kind=PartKind.ORDER, detail="order", answers=(("name", "Shoes"),)),)},
            )
        ],
    ),
    (
        "a kind that is not known, with words",
        form(MessageType="poll", Body="Which?", PollName="Colour"),
        [
            (
                "MessageReceived",
                {
                    "text": "Which?",
                    "parts": (Part(kind=PartKind.UNSUPPORTED, detail="poll", answers=(("PollName", "Colour"),)),),
                },
            )
        ],
    ),
    (
        "a Flow that asked for nothing",
        form(MessageType="interactive", InteractiveData='{"flow_token":"unused"}'),
        [("MessageReceived", {"parts": (Part(kind=PartKind.FORM),)})],
    ),
    (
        "a Flow that was sent with words",
        form(MessageType="interactive", Body="Sent", InteractiveData='{"flow_token":"unused"}'),
        [("MessageReceived", {"text": "Sent", "parts": (Part(kind=PartKind.FORM),)})],
    ),
    (
        "reaction",
        form(MessageType="reaction", Body="👍", OriginalRepliedMessageSid="SM" + "b" * 32),
        [("Reacted", {"who": "+15550001", "message_id": "SM" + "b" * 32, "emoji": "👍"})],
    ),
    (
        "a reaction in a field of its own",
        form(MessageType="reaction", ReactionEmoji="❤️", OriginalRepliedMessageSid="SM" + "b" * 32),
        [("Reacted", {"emoji": "❤️"})],
    ),
    (
        "a reaction taken back",
        form(MessageType="reaction", OriginalRepliedMessageSid="SM" + "b" * 32),
        [("Reacted", {"emoji": "", "message_id": "SM" + "b" * 32})],
    ),
    (
        "image with a caption",
        media("image/jpeg", "image", Body="look"),
        [("MessageReceived", {"text": "look", "parts": part(PartKind.IMAGE, "image/jpeg")})],
    ),
    ("video", media("video/mp4", "video"), [("MessageReceived", {"parts": part(PartKind.VIDEO, "video/mp4")})]),
    ("voice", media("audio/ogg", "audio"), [("MessageReceived", {"parts": part(PartKind.VOICE, "audio/ogg")})]),
    ("audio", media("audio/mpeg", "audio"), [("MessageReceived", {"parts": part(PartKind.AUDIO, "audio/mpeg")})]),
    ("sticker", media("image/webp", "sticker"), [("MessageReceived", {"parts": part(PartKind.STICKER, "image/webp")})]),
    (
        "document",
        media("application/pdf", "document", Body="invoice.pdf"),
        [("MessageReceived", {"text": "invoice.pdf", "parts": part(PartKind.FILE, "application/pdf")})],
    ),
    (
        "contact card",
        media("text/vcard", "contacts"),
        [("MessageReceived", {"parts": part(PartKind.CONTACT, "text/vcard")})],
    ),
    (
        "image, told by its type alone",
        media("image/png", "-"),
        [("MessageReceived", {"parts": part(PartKind.IMAGE, "image/png")})],
    ),
    (
        "location",
        form(Latitude="41.38", Longitude="2.17", Label="Plaza", Address="Barcelona", MessageType="location"),
        [("MessageReceived", {"text": "", "parts": (PLACE,)})],
    ),
    (
        "location that is none",
        form(Latitude="north", Longitude="NaN", MessageType="location"),
        [("MessageReceived", {"parts": (Part(kind=PartKind.LOCATION),)})],
    ),
    (
        "button",
        form(Body="Yes", ButtonText="Yes", ButtonPayload="ID-1", MessageType="button"),
        [("MessageReceived", {"text": "Yes", "selection": Selection(title="Yes", id="ID-1"), "parts": ()})],
    ),
    (
        "list row without a body",
        form(ListTitle="Blue", ListId="b", MessageType="interactive"),
        [("MessageReceived", {"text": "Blue", "selection": Selection(title="Blue", id="b"), "parts": ()})],
    ),
    (
        "reply",
        form(Body="hi", OriginalRepliedMessageSid="SM1", OriginalRepliedMessageSender="whatsapp:+34600000000"),
        [("MessageReceived", {"text": "hi", "reply_to": "SM1"})],
    ),
    ("forwarded", form(Body="hi", Forwarded="true"), [("MessageReceived", {"text": "hi", "forwarded": True})]),
    (
        "through an ad",
        form(Body="hi", **REFERRED),
        [("MessageReceived", {"referral": "Chat · https://fb.me/1"})],
    ),
    (
        "a button with a payload alone",
        form(ButtonPayload="ID-1", MessageType="button"),
        [("MessageReceived", {"text": "", "selection": Selection(title="", id="ID-1"), "parts": ()})],
    ),
    (
        "a list row with an id alone",
        form(ListId="b", MessageType="interactive"),
        [("MessageReceived", {"selection": Selection(title="", id="b"), "parts": ()})],
    ),
    (
        "the answers of a Flow",
        form(MessageType="interactive", FlowData='{"name":"Ann","days":["Mon","Tue"],"ok":true,"flow_token":"t"}'),
        [("MessageReceived", {"parts": answers(("name", "Ann"), ("days", "Mon, Tue"), ("ok", "yes"))})],
    ),
    (
        "the answers of a Flow as pages",
        form(
            Body="Sent",
            InteractiveData='{"pages":[{"items":[{"label":"Name","value":"Ann"},{"label":"Age","value":7}]}]}',
        ),
        [("MessageReceived", {"text": "Sent", "parts": answers(("Name", "Ann"), ("Age", "7"))})],
    ),
    (
        "the answers of a Flow within another JSON",
        form(InteractiveData='{"nfm_reply":{"response_json":"{\\"name\\":\\"Ann\\"}"}}'),
        [("MessageReceived", {"parts": answers(("name", "Ann"))})],
    ),
    (
        "answers that are no JSON",
        form(InteractiveData="as you like"),
        [("MessageReceived", {"parts": answers(("", "as you like"))})],
    ),
    (
        "an order with its items",
        form(MessageType="order", OrderItems='[{"name":"Shoes","quantity":2}]'),
        [
            (
                "MessageReceived",
                {"parts": (Part(kind=PartKind.ORDER, detail="order", answers=(("name", "Shoes"), ("quantity", "2"))),)},
            )
        ],
    ),
    (
        "through an ad with words",
        form(Body="hi", ReferralBody="Ask us", ReferralSourceId="9"),
        [("MessageReceived", {"referral": "Ask us"})],
    ),
    (
        "through an ad of which only the click is known",
        form(Body="hi", ReferralCtwaClid="c"),
        [("MessageReceived", {"referral": "an ad"})],
    ),
    (
        "a form in the frame that its kind gives it",
        form(InteractiveData=json.dumps({"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": FLOW}})),
        [("MessageReceived", {"parts": answers(("name", "Ann"))})],
    ),
    ("through an ad without", form(Body="hi", ReferralSourceId="9"), [("MessageReceived", {"referral": "ad 9"})]),
    (
        "what only looks escaped",
        form(Body="1 &lt; 2 &amp;amp; 3 %2B"),
        [("MessageReceived", {"text": "1 &lt; 2 &amp;amp; 3 %2B"})],
    ),
]


@pytest.mark.parametrize(("payload", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_every_kind_of_form_is_understood(payload: Form, expected: list[tuple[str, dict[str, Any]]]) -> None:
    events = received("whatsapp", payload)
    assert [words_of(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected
