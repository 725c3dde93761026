"""What customers write on Messenger, as its webhooks bring it and as we read it."""

from __future__ import annotations

import json

import pytest

from channels_app import errors
from channels_app.types import Part, PartKind, Selection
from tests.channels_app.providers.kit import received, words_of
from tests.channels_app.providers.messenger_kit import (
    AT,
    PLACE,
    POSTBACK,
    REFERRAL,
    STAMP,
    TEXT,
    Json,
    attached,
    batch,
    item,
    message,
    parts,
)

CASES: list[tuple[str, Json, list[tuple[str, Json]]]] = [
    (
        "text",
        message(text="hi 😀", nlp={"x": 1}),
        [("MessageReceived", {"key": "m:m_1", "who": "7", "text": "hi 😀", "message_id": "m_1", "occurred_at": AT})],
    ),
    (
        "a time in seconds",
        batch({**item(message=TEXT), "timestamp": STAMP // 1000}),
        [("MessageReceived", {"occurred_at": AT.replace(microsecond=0)})],
    ),
    ("a time in 1970", batch({**item(message=TEXT), "timestamp": 5}), [("MessageReceived", {"occurred_at": None})]),
    (
        "a time in 9999",
        batch({**item(message=TEXT), "timestamp": 253402300799000}),
        [("MessageReceived", {"text": "hi"})],
    ),
    (
        "quick reply",
        message(text="Yes", quick_reply={"payload": "A"}),
        [("MessageReceived", {"text": "Yes", "selection": Selection(title="Yes", id="A")})],
    ),
    ("reply", message(text="hi", reply_to={"mid": "m_0"}), [("MessageReceived", {"text": "hi", "reply_to": "m_0"})]),
    (
        "reply to a story",
        message(text="wow", reply_to={"story": {"url": "https://s", "id": "1"}}),
        [
            (
                "MessageReceived",
                {
                    "text": "wow",
                    "parts": (Part(kind=PartKind.STORY, media_ref="https://s", detail="in reply to a story"),),
                },
            )
        ],
    ),
    ("image", attached("image", url="https://c/1"), parts(PartKind.IMAGE, media_ref="https://c/1")),
    ("audio", attached("audio", url="https://c/1"), parts(PartKind.AUDIO, media_ref="https://c/1")),
    ("video", attached("video", url="https://c/1"), parts(PartKind.VIDEO, media_ref="https://c/1")),
    ("file", attached("file", url="https://c/1"), parts(PartKind.FILE, media_ref="https://c/1")),
    ("sticker", attached("sticker", url="https://c/1", sticker_id=1), parts(PartKind.STICKER, media_ref="https://c/1")),
    (
        "sticker as it was",
        attached("image", url="https://c/1", sticker_id=1),
        parts(PartKind.STICKER, media_ref="https://c/1"),
    ),
    ("location", attached("location", **PLACE), parts(PartKind.LOCATION, latitude=41.38, longitude=2.17)),
    ("reel", attached("reel", url="https://r", title="Reel"), parts(PartKind.LINK, media_ref="https://r", name="Reel")),
    ("post", attached("post", url="https://p"), parts(PartKind.LINK, media_ref="https://p")),
    ("template", attached("template", title="T"), parts(PartKind.LINK, name="T")),
    (
        "shared link",
        message(attachments=[{"type": "fallback", "title": "Shop", "url": "https://x", "payload": None}]),
        parts(PartKind.LINK, name="Shop", media_ref="https://x"),
    ),
    ("an attachment of an unknown kind", attached("hologram"), parts(PartKind.UNSUPPORTED, detail="hologram")),
    ("an attachment that is none", message(attachments=["?"]), parts(PartKind.UNSUPPORTED)),
    ("a message without anything that we know", message(hologram=1), parts(PartKind.UNSUPPORTED)),
    (
        "attachments that are no list cost nothing else",
        message(text="hi", attachments={}),
        [("MessageReceived", {"text": "hi", "parts": ()})],
    ),
    (
        "postback",
        batch(item(postback={**POSTBACK, "mid": "m_2", "referral": REFERRAL})),
        [
            (
                "MessageReceived",
                {
                    "key": "m:m_2",
                    "text": "Get Started",
                    "selection": Selection(title="Get Started", id="START"),
                    "referral": "promo · ad 9 · ADS",
                },
            )
        ],
    ),
    ("postback without an id", batch(item(postback=POSTBACK)), [("MessageReceived", {"text": "Get Started"})]),
    (
        "link into an open thread",
        batch(item(referral=REFERRAL)),
        [("Referred", {"who": "7", "referral": "promo · ad 9 · ADS"})],
    ),
]


@pytest.mark.parametrize(("payload", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_every_kind_of_event_is_understood(payload: Json, expected: list[tuple[str, Json]]) -> None:
    events = received("messenger", payload)
    assert [words_of(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected


def test_customers_are_known_by_page_and_psid() -> None:
    (event,) = received("messenger", message(text="hi"))
    assert (event.sender.issuer, event.sender.external_id) == ("200", "7")


def test_the_same_event_has_the_same_key_and_another_one_has_not() -> None:
    reaction = {"mid": "m_0", "action": "react", "emoji": "❤"}
    once, again = item(reaction=reaction), {**item(reaction=reaction), "timestamp": STAMP + 1}
    tapped, read = item(postback=POSTBACK), item(read={"watermark": STAMP})
    delivered = item(delivery={"watermark": STAMP})
    events = received("messenger", batch(once, again, once, tapped, tapped, read, read, delivered))
    assert len({event.key for event in events}) == 5


def test_each_message_that_was_read_has_a_key_of_its_own() -> None:
    first, second = received("messenger", batch(item(read={"mid": "m_9"}), item(read={"mid": "m_8"})))
    assert first.key != second.key


def test_a_thousand_events_are_all_read() -> None:
    items = [item(message={"mid": f"m_{number}", "text": "hi"}) for number in range(1_000)]
    assert len({event.key for event in received("messenger", batch(*items))}) == 1_000


def test_an_absurdly_long_id_is_hashed() -> None:
    (event,) = received("messenger", batch(item(message={"mid": "m" * 10_000, "text": "hi"})))
    assert event.key.startswith("m:sha256:")
    assert len(event.key) < 255
    assert event.message_id == event.key.removeprefix("m:")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"entry": {}}',
        json.dumps(batch(item(message={"mid": "m_1", "text": {}}))).encode(),
        json.dumps(batch(item(message={"text": "no id"}))).encode(),
        json.dumps(batch(item(message={"mid": "", "text": "empty id"}))).encode(),
        json.dumps(batch({"message": TEXT})).encode(),
        json.dumps(batch(item(sender="a/../b", message=TEXT))).encode(),
    ],
)
def test_what_cannot_be_read_is_unusable(body: bytes) -> None:
    with pytest.raises(errors.Unusable):
        received("messenger", body)


@pytest.mark.parametrize(
    "who",
    ["", " ", "null", "undefined", "000", "Anonymous", "1.2", "\uff11\uff12", "7" * 129, "-1", "7\n"],
)
def test_a_sender_whose_id_is_none_is_nobody(who: str) -> None:
    with pytest.raises(errors.Unusable):
        received("messenger", batch(item(who, message=TEXT)))
