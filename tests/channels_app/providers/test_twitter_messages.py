"""What customers write on X, as its webhooks bring it and as we read it."""

from __future__ import annotations

import pytest

from channels_app.types import Part, PartKind, Selection
from tests.channels_app.providers.kit import received, words_of
from tests.channels_app.providers.twitter_kit import (
    AT,
    CLIPS,
    ESCAPED_LINK,
    LINK,
    POINT,
    TEXT,
    USERS,
    Json,
    account_activity,
    activity,
    dm,
    media,
    message,
)

CASES: list[tuple[str, Json, list[tuple[str, Json]]]] = [
    ("text", message(TEXT), [("MessageReceived", {"key": "m:95", "who": "7", "text": "hi", "occurred_at": AT})]),
    (
        "the same through X Activity",
        activity("dm.received", {"direct_message_events": [dm(TEXT)], "users": USERS}),
        [("MessageReceived", {"key": "m:95", "who": "7", "text": "hi", "message_id": "95", "parts": ()})],
    ),
    (
        "photo, without the link that X appends",
        message({"text": "see https://t.co/m", "attachment": media("photo")}),
        [("MessageReceived", {"text": "see", "parts": (Part(kind=PartKind.IMAGE, media_ref="https://p/1"),)})],
    ),
    (
        "photo alone",
        message({"text": " https://t.co/m", "attachment": media("photo")}),
        [("MessageReceived", {"text": "", "parts": (Part(kind=PartKind.IMAGE, media_ref="https://p/1"),)})],
    ),
    (
        "video in its best quality",
        message({"text": "", "attachment": media("video", video_info=CLIPS)}),
        [("MessageReceived", {"parts": (Part(kind=PartKind.VIDEO, media_ref="https://v/9"),)})],
    ),
    (
        "animated GIF",
        message({"attachment": media("animated_gif")}),
        [("MessageReceived", {"parts": (Part(kind=PartKind.IMAGE, media_ref="https://p/1"),)})],
    ),
    (
        "attachment of an unknown kind",
        message({"text": "x", "attachment": {"type": "hologram", "hologram": {}}}),
        [("MessageReceived", {"text": "x", "parts": (Part(kind=PartKind.UNSUPPORTED, detail="hologram"),)})],
    ),
    (
        "attachment that is not even an object",
        message({"text": "x", "attachment": "?"}),
        [("MessageReceived", {"text": "x", "parts": (Part(kind=PartKind.UNSUPPORTED, name="?"),)})],
    ),
    (
        "escaped text",
        message({"text": "Tom &amp; Ann &lt;3 &gt; 2"}),
        [("MessageReceived", {"text": "Tom & Ann <3 > 2"})],
    ),
    (
        "text that was typed as if escaped",
        message({"text": "&amp;lt; &amp;amp; &copy; &amp &quot; &#39;"}),
        [("MessageReceived", {"text": "&lt; &amp; &copy; &amp &quot; &#39;"})],
    ),
    (
        "an escaped quick reply",
        message({"text": "Q&amp;A", "quick_reply_response": {"type": "options", "metadata": "q&amp;a"}}),
        [("MessageReceived", {"text": "Q&A", "selection": Selection(title="Q&A", id="q&a")})],
    ),
    (
        "a quick reply with metadata alone",
        message({"text": "", "quick_reply_response": {"type": "options", "metadata": "red"}}),
        [("MessageReceived", {"text": "", "selection": Selection(title="", id="red")})],
    ),
    (
        "an escaped link",
        message({"text": "https://t.co/a", "entities": {"urls": [ESCAPED_LINK]}}),
        [("MessageReceived", {"parts": (Part(kind=PartKind.LINK, media_ref="https://shop.example/?a=1&b=2"),)})],
    ),
    (
        "an escaped place",
        message({"text": "", "attachment": {"type": "location", "location": {"shared_place": {"name": "A&amp;B"}}}}),
        [("MessageReceived", {"parts": (Part(kind=PartKind.LOCATION, name="A&B"),)})],
    ),
    (
        "a card",
        message(
            {"text": "", "attachment": {"type": "card", "card": {"title": "Sale &amp; more", "url": "https://x/1"}}}
        ),
        [
            (
                "MessageReceived",
                {"parts": (Part(kind=PartKind.UNSUPPORTED, name="Sale & more · https://x/1", detail="card"),)},
            )
        ],
    ),
    (
        "written in X's own app, with a link",
        account_activity(
            direct_message_events=[
                dm({"text": "A &amp; B https://t.co/a", "entities": {"urls": [ESCAPED_LINK]}}, sender="100", to="7")
            ],
            apps={"1": {"id": "1", "name": "X &amp; Web"}},
        ),
        [("Echoed", {"who": "7", "text": "A & B https://shop.example/?a=1&b=2", "parts": (), "app": "X & Web"})],
    ),
    (
        "a picture from X's own app",
        message({"text": "https://t.co/m", "attachment": media("photo")}, sender="100", to="7"),
        [("Echoed", {"text": "", "parts": (Part(kind=PartKind.IMAGE, media_ref="https://p/1"),)})],
    ),
    (
        "location",
        message({"text": "", "attachment": {"type": "location", "location": POINT}}),
        [("MessageReceived", {"parts": (Part(kind=PartKind.LOCATION, latitude=41.38, longitude=2.17),)})],
    ),
    (
        "place",
        message({"attachment": {"type": "location", "location": {"shared_place": {"full_name": "Barcelona"}}}}),
        [("MessageReceived", {"parts": (Part(kind=PartKind.LOCATION, name="Barcelona"),)})],
    ),
    (
        "place, as the REST API wraps it",
        message({"attachment": {"type": "location", "location": {"shared_place": {"place": {"name": "Gràcia"}}}}}),
        [("MessageReceived", {"parts": (Part(kind=PartKind.LOCATION, name="Gràcia"),)})],
    ),
    (
        "link: the text to the letter, and where it leads",
        message({"text": "at https://t.co/a", "entities": {"urls": [LINK]}}),
        [
            (
                "MessageReceived",
                {"text": "at https://t.co/a", "parts": (Part(kind=PartKind.LINK, media_ref="https://shop.example/1"),)},
            )
        ],
    ),
    (
        "quick reply",
        message({"text": "Yes", "quick_reply_response": {"type": "options", "metadata": "ID-1"}}),
        [("MessageReceived", {"text": "Yes", "selection": Selection(title="Yes", id="ID-1")})],
    ),
    (
        "message begun from a post",
        message(TEXT, initiated_via={"tweet_id": "55"}),
        [("MessageReceived", {"text": "hi", "referral": "tweet_id 55"})],
    ),
]


@pytest.mark.parametrize(("payload", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_every_kind_of_event_is_understood(payload: Json, expected: list[tuple[str, Json]]) -> None:
    events = received("twitter", payload)
    assert [words_of(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected
