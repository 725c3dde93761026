from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_app import errors
from channels_app.types import OutboundMessage, Part, PartKind, ReceiptStatus, Selection, WebhookRequest
from tests.channels_app.kit import channel_of
from tests.channels_app.providers.kit import ProviderApi, received, signed, told

Json = dict[str, Any]
STAMP, AT = "1716403560557", datetime(2024, 5, 22, 18, 46, 0, 557000, tzinfo=UTC)


def dm(data: Json, sender: str = "7", to: str = "100", **more: Any) -> Json:
    create = {"target": {"recipient_id": to}, "sender_id": sender, "source_app_id": "1", "message_data": data}
    return {"type": "message_create", "id": "95", "created_timestamp": STAMP, "message_create": create, **more}


def account_activity(**events: Any) -> Json:
    people = {"7": {"id": "7", "name": "Ann", "screen_name": "ann", "profile_image_url_https": "https://pbs/a.jpg"}}
    return {"for_user_id": "100", **events, "users": people}


def activity(event_type: str, payload: Json, user: str = "100") -> Json:
    data = {"event_uuid": "-68", "filter": {"user_id": user}, "event_type": event_type, "tag": "t", "payload": payload}
    return {"data": data}


def message(data: Json, **more: Any) -> Json:
    return account_activity(direct_message_events=[dm(data, **more)])


def media(kind: str, **more: Any) -> Json:
    return {"type": "media", "media": {"type": kind, "url": "https://t.co/m", "media_url_https": "https://p/1", **more}}


USERS = {"7": {"data": {"id": "7", "username": "ann", "name": "Ann", "profile_image_url": "https://pbs/a.jpg"}}}
TEXT = {"text": "hi", "entities": {"hashtags": [], "symbols": [], "user_mentions": [], "urls": []}}
POINT = {"type": "shared_coordinate", "shared_coordinate": {"coordinates": {"coordinates": [2.17, 41.38]}}}
LINK = {"url": "https://t.co/a", "expanded_url": "https://shop.example/1"}
ESCAPED_LINK = {"url": "https://t.co/a", "expanded_url": "https://shop.example/?a=1&amp;b=2"}
CLIPS = {
    "variants": [{"url": "https://v/hls"}, {"bitrate": 9, "url": "https://v/9"}, {"bitrate": 5, "url": "https://v/5"}]
}
FOLLOW = {"type": "follow", "created_timestamp": STAMP, "source": {"id": "7", "name": "Ann"}, "target": {"id": "100"}}
TYPING = {"created_timestamp": STAMP, "sender_id": "7", "target": {"recipient_id": "100"}}
READ = {**TYPING, "last_read_event_id": "1793347420523216896"}
CHAT = {
    "id": "e4f4d3fc",
    "sender_id": "7",
    "conversation_id": "7:100",
    "created_at_msec": STAMP,
    "encoded_event": "CwAB",
    "message_event_signature": {"signature": "x"},
}
REVOKE = {"date_time": "2026-07-23T21:44:05+00:00", "target": {"app_id": "1"}, "source": {"user_id": "100"}}

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
    (
        "our own message",
        account_activity(direct_message_events=[dm(TEXT, sender="100", to="7")]),
        [("Echoed", {"key": "m:95", "who": "7", "message_id": "95", "text": "hi"})],
    ),
    (
        "our own message through X Activity",
        activity("dm.sent", {"direct_message_events": [dm(TEXT, sender="100", to="7")], "users": USERS}),
        [("Echoed", {"who": "7", "message_id": "95"})],
    ),
    (
        "a message to somebody else",
        account_activity(direct_message_events=[dm(TEXT, to="101")]),
        [("Misaddressed", {"address": "101"})],
    ),
    ("another account's events", {**message(TEXT), "for_user_id": "101"}, [("Misaddressed", {"address": "101"})]),
    (
        "another account's activity",
        activity("dm.received", {"direct_message_events": [dm(TEXT)]}, user="101"),
        [("Misaddressed", {"address": "101"})],
    ),
    ("another account's X Chat", activity("chat.received", CHAT, user="101"), [("Misaddressed", {"address": "101"})]),
    (
        "typing",
        account_activity(direct_message_indicate_typing_events=[TYPING]),
        [("TypingShown", {"who": "7", "occurred_at": AT})],
    ),
    (
        "typing through X Activity",
        activity("dm.indicate_typing", {"direct_message_indicate_typing_events": [TYPING], "users": USERS}),
        [("TypingShown", {"who": "7"})],
    ),
    (
        "read: that message, and all that were sent before it",
        account_activity(direct_message_mark_read_events=[READ]),
        [
            (
                "ReceiptReceived",
                {
                    "key": "r:read:1793347420523216896",
                    "status": ReceiptStatus.READ,
                    "message_ids": ("1793347420523216896",),
                    "watermark": (1793347420523216896 >> 22) + 1288834974657,
                },
            )
        ],
    ),
    (
        "our own reading",
        account_activity(
            direct_message_mark_read_events=[{**READ, "sender_id": "100", "target": {"recipient_id": "7"}}]
        ),
        [("Unrecognised", {})],
    ),
    (
        "follow",
        account_activity(follow_events=[FOLLOW]),
        [("ConsentChanged", {"who": "7", "granted": True, "topic": "follow"})],
    ),
    (
        "unfollow",
        account_activity(follow_events=[{**FOLLOW, "type": "unfollow"}]),
        [("ConsentChanged", {"granted": False, "topic": "unfollow"})],
    ),
    (
        "block",
        account_activity(block_events=[{**FOLLOW, "type": "block"}]),
        [("ConsentChanged", {"granted": False, "topic": "block"})],
    ),
    (
        "we follow somebody",
        account_activity(follow_events=[{**FOLLOW, "source": {"id": "100"}, "target": {"id": "7"}}]),
        [("Unrecognised", {"type": "follow"})],
    ),
    (
        "follow through X Activity",
        activity(
            "follow.follow", {"source": {"data": {"id": "7", "username": "ann"}}, "target": {"data": {"id": "100"}}}
        ),
        [("ConsentChanged", {"who": "7", "granted": True})],
    ),
    (
        "follow as Account Activity has it, wrapped",
        activity("follow.follow", {"follow_events": [FOLLOW], "users": USERS}),
        [("ConsentChanged", {"who": "7", "granted": True})],
    ),
    (
        "X Chat",
        activity("chat.received", CHAT),
        [("MessageReceived", {"key": "m:e4f4d3fc", "who": "7", "parts": (Part(kind=PartKind.ENCRYPTED),)})],
    ),
    (
        "X Chat, ours",
        activity("chat.sent", {**CHAT, "sender_id": "100"}),
        [("Echoed", {"who": "7", "message_id": "e4f4d3fc"})],
    ),
    (
        "X Chat, joined",
        activity("chat.conversation_join", CHAT),
        [("Unrecognised", {"type": "chat.conversation_join"})],
    ),
    ("access revoked", {"user_event": {"revoke": REVOKE}}, [("AccountChanged", {"topic": "oauth.revoke"})]),
    (
        "access revoked, through X Activity without a filter",
        {"data": {"event_type": "oauth.revoke", "filter": {}, "payload": {"user_id": "100", "app_id": "1"}}},
        [("AccountChanged", {"topic": "oauth.revoke"})],
    ),
    (
        "access revoked, by the user that the filter names",
        {"data": {"event_type": "oauth.revoke", "filter": {"user_id": "100"}, "payload": {"date_time": "2026"}}},
        [("AccountChanged", {"topic": "oauth.revoke"})],
    ),
    (
        "somebody else revoked access",
        {"user_event": {"revoke": {**REVOKE, "source": {"user_id": "101"}}}},
        [("Misaddressed", {"address": "101"})],
    ),
    (
        "a customer's new handle",
        activity("profile.update.handle", {"before": "ann", "after": "anna"}, user="7"),
        [("IdentityChanged", {"who": "7", "former_id": "7"})],
    ),
    ("our own new handle", activity("profile.update.handle", {"after": "x"}), [("Unrecognised", {})]),
    ("posts", account_activity(tweet_create_events=[{"id": 1}]), [("Unrecognised", {"type": "tweet_create_events"})]),
    ("an unknown activity", activity("dm.hologram", {"x": 1}), [("Unrecognised", {"type": "dm.hologram"})]),
    (
        "an unknown kind of direct message",
        account_activity(direct_message_events=[{"type": "participants_join", "id": "1"}]),
        [("Unrecognised", {"type": "participants_join"})],
    ),
    (
        "one broken event among good ones",
        account_activity(direct_message_events=[dm({"text": {}}), dm(TEXT), {"type": "message_create"}]),
        [("Unrecognised", {}), ("MessageReceived", {"text": "hi"}), ("Unrecognised", {})],
    ),
    (
        "a profile that makes no sense costs only the name",
        {**message(TEXT), "users": {"7": ["?"]}},
        [("MessageReceived", {"text": "hi", "who": "7"})],
    ),
]


@pytest.mark.parametrize(("payload", "expected"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_every_kind_of_event_is_understood(payload: Json, expected: list[tuple[str, Json]]) -> None:
    events = received("twitter", payload)
    assert [told(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected


@pytest.mark.parametrize(
    "payload", [message(TEXT), activity("dm.received", {"direct_message_events": [dm(TEXT)], "users": USERS})]
)
def test_both_shapes_name_the_sender(payload: Json) -> None:
    (event,) = received("twitter", payload)
    assert (event.sender.display_name, event.sender.handle) == ("Ann", "ann")
    assert event.sender.picture_url == "https://pbs/a.jpg"


def test_a_message_delivered_in_both_shapes_has_one_key() -> None:
    one, other = (
        received("twitter", message(TEXT)),
        received("twitter", activity("dm.received", {"direct_message_events": [dm(TEXT)], "users": USERS})),
    )
    assert one[0].key == other[0].key


def test_typing_at_two_moments_has_two_keys() -> None:
    later = {**TYPING, "created_timestamp": "1716403569999"}
    events = received("twitter", account_activity(direct_message_indicate_typing_events=[TYPING, later, TYPING]))
    assert len({event.key for event in events}) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"data": {}}',
        b'{"data": []}',
        json.dumps(message({"text": {}})).encode(),
        json.dumps(account_activity(direct_message_events=[{"type": "message_create"}])).encode(),
        json.dumps(account_activity(direct_message_events=[dm(TEXT, sender="../x")])).encode(),
    ],
)
def test_what_cannot_be_read_is_unusable(body: bytes) -> None:
    with pytest.raises(errors.Unusable):
        received("twitter", body)


def test_the_crc_is_answered_with_the_consumer_secret() -> None:
    token = "aB3+/x_-=="
    query = f"crc_token={quote(token, safe='')}&nonce=1"
    answer = channel_of("twitter").handshake(WebhookRequest(method="GET", url="", headers={}, query=query))
    digest = base64.b64encode(hmac.digest(b"consumer-secret", token.encode(), "sha256")).decode()
    assert json.loads(answer.body) == {"response_token": f"sha256={digest}"}
    assert (answer.status, answer.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    "query",
    ["", "crc_token=", "crc_token=a&crc_token=b", "other=1", "crc_token=" + "a" * 129, "crc_token=%0A", "crc_token=é"]
    + [f"crc_token={quote(text)}" for text in ('{"for_user_id":"100"}', "a b", "a.b", "a\n", "[]")],
)
def test_the_crc_signs_nothing_else_than_a_token(query: str) -> None:
    with pytest.raises(errors.BadHandshake):
        channel_of("twitter").handshake(WebhookRequest(method="GET", url="", headers={}, query=query))


BODY = json.dumps(message(TEXT)).encode()
HEADER = "x-twitter-webhooks-signature"


@given(where=st.integers(0, len(BODY) - 1), mask=st.integers(1, 255))
def test_every_flipped_byte_of_the_body_breaks_the_signature(where: int, mask: int) -> None:
    genuine = signed("twitter", BODY)
    forged = BODY[:where] + bytes([BODY[where] ^ mask]) + BODY[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("twitter").verify(WebhookRequest(method="POST", url="", headers=genuine.headers, body=forged))


@given(where=st.integers(0, 50), mask=st.integers(1, 127))
def test_every_flipped_character_of_the_signature_breaks_it(where: int, mask: int) -> None:
    genuine = signed("twitter", BODY).headers[HEADER]
    forged = genuine[:where] + chr(ord(genuine[where]) ^ mask) + genuine[where + 1 :]
    with pytest.raises(errors.BadSignature):
        channel_of("twitter").verify(WebhookRequest(method="POST", url="", headers={HEADER: forged}, body=BODY))


@pytest.mark.parametrize("header", ["", "sha256=", "ñandú", "sha256=\udcff", "x" * 10_000])
def test_a_signature_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(errors.BadSignature) as refusal:
        channel_of("twitter").verify(WebhookRequest(method="POST", url="", headers={HEADER: header}, body=BODY))
    assert signed("twitter", BODY).headers[HEADER] not in str(refusal.value)


def test_a_signature_that_comes_twice_is_refused() -> None:
    genuine = signed("twitter", BODY)
    with pytest.raises(errors.BadSignature):
        channel_of("twitter").verify(
            WebhookRequest(method="POST", url="", headers=genuine.headers, body=BODY, repeated=frozenset({HEADER}))
        )


OUT = OutboundMessage(recipient="7", text="¡Hola! 👋", correlation="c-1")


def test_a_message_is_sent_through_the_documented_call(api: ProviderApi) -> None:
    api.body = b'{"data":{"dm_conversation_id":"7-100","dm_event_id":"1793347420523216896"}}'
    receipt = channel_of("twitter", api.http()).send(OUT)
    (call,) = api.calls
    assert receipt.message_ids == ("1793347420523216896",)
    assert (call.method, call.path) == ("POST", "/2/dm_conversations/with/7/messages")
    assert json.loads(call.body) == {"text": "¡Hola! 👋"}
    assert 'oauth_token="access-token"' in call.headers["authorization"]
    assert 'oauth_consumer_key="consumer-key"' in call.headers["authorization"]


def problem(detail: str = "", kind: str = "about:blank") -> Json:
    return {"title": "No", "detail": detail, "type": f"https://api.twitter.com/2/problems/{kind}"}


def code(number: int) -> Json:
    return {"errors": [{"code": number, "message": "no"}]}


REFUSALS = [
    (401, problem(), errors.AuthFailed),
    (401, code(89), errors.AuthFailed),
    (403, code(93), errors.AuthFailed),
    (403, problem(kind="oauth1-permissions"), errors.AuthFailed),
    (403, code(349), errors.Blocked),
    (403, code(150), errors.Blocked),
    (403, problem("You do not have permission to DM one or more participants."), errors.Blocked),
    (403, code(226), errors.PolicyViolation),
    (403, code(326), errors.AccountProblem),
    (403, problem(kind="client-forbidden"), errors.AccountProblem),
    (402, problem(), errors.AccountProblem),
    (404, problem(kind="resource-not-found"), errors.InvalidRecipient),
    (400, problem(kind="invalid-request"), errors.InvalidContent),
    (403, code(187), errors.InvalidContent),
    (429, problem(kind="usage-capped"), errors.AccountProblem),
    (429, problem(), errors.Throttled),
    (429, code(88), errors.Throttled),
    (500, problem(), errors.Unavailable),
    (503, code(130), errors.Unavailable),
]


@pytest.mark.parametrize(("status", "body", "expected"), REFUSALS)
def test_every_refusal_has_its_class(api: ProviderApi, status: int, body: Json, expected: type) -> None:
    api.status, api.body = status, json.dumps(body).encode()
    with pytest.raises(errors.SendFailed) as refusal:
        channel_of("twitter", api.http()).send(OUT)
    assert type(refusal.value) is expected
    assert "token" not in str(refusal.value)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateways_html_is_unavailable(api: ProviderApi, status: int) -> None:
    api.status, api.body = status, b"<html>over capacity</html>"
    with pytest.raises(errors.Unavailable):
        channel_of("twitter", api.http()).send(OUT)


@pytest.mark.parametrize("day", ["user", "app"])
def test_too_fast_says_when_to_try_again(api: ProviderApi, day: str) -> None:
    now = int(datetime.now(UTC).timestamp())
    resets = {"x-rate-limit-reset": str(now + 600), f"x-{day}-limit-24hour-reset": str(now + 6000)}
    for left, wait in (("5", 600), ("0", 6000)):
        api.status, api.headers = 429, {**resets, f"x-{day}-limit-24hour-remaining": left}
        with pytest.raises(errors.Throttled) as refusal:
            channel_of("twitter", api.http()).send(OUT)
        assert refusal.value.retry_at == datetime.fromtimestamp(now + wait, UTC)


@pytest.mark.parametrize("body", [None, b"", b"not json", b"[]", b"{}", b'{"data":{}}'])
def test_a_senseless_answer_leaves_the_outcome_unknown(api: ProviderApi, body: bytes | None) -> None:
    api.body = body
    with pytest.raises(errors.UnknownOutcome):
        channel_of("twitter", api.http()).send(OUT)


def test_a_dead_address_is_unavailable(api: ProviderApi) -> None:
    api.base = "http://127.0.0.1:9"
    with pytest.raises(errors.Unavailable):
        channel_of("twitter", api.http()).send(OUT)


def test_the_trace_of_a_call_shows_neither_keys_nor_text(api: ProviderApi) -> None:
    api.body = b'{"data":{"dm_event_id":"1"}}'
    channel_of("twitter", api.http()).send(OUT)
    (trace,) = api.traces
    assert (trace.method, trace.host, trace.status) == ("POST", "api.twitter.com", 200)
    assert "Hola" not in repr(trace)
    assert "token" not in repr(trace)


def listed(name: str, text: str, minute: int, sender: str = "100") -> Json:
    return {"id": name, "text": text, "created_at": f"2026-11-23T12:{minute:02}:00.000Z", "sender_id": sender}


def found(api: ProviderApi, *events: Json, text: str = OUT.text, more: str = "") -> Any:
    """Ask for the text since 12:10 where X lists these."""
    api.body = json.dumps({"data": events, "meta": {"next_token": more} if more else {}}).encode()
    asked = OutboundMessage(recipient="7", text=text, correlation="c-1")
    return channel_of("twitter", api.http()).find_sent(asked, datetime(2026, 11, 23, 12, 10, tzinfo=UTC))


def test_a_message_whose_answer_was_lost_is_found_in_the_list(api: ProviderApi) -> None:
    answer = found(api, listed("3", OUT.text, 13), listed("2", OUT.text, 12, sender="7"), listed("1", OUT.text, 11))
    (call,) = api.calls
    assert (answer.message_ids, answer.complete) == (("1", "3"), True)
    assert (call.method, call.path) == ("GET", "/2/dm_conversations/with/7/dm_events")
    assert call.query["dm_event.fields"] == ["id,text,sender_id,created_at"]


def test_links_that_x_shortened_and_signs_that_it_escaped_are_known_again(api: ProviderApi) -> None:
    sent = listed("1", "a &lt;b&gt; &amp; https://t.co/Xy1", 11)
    assert found(api, sent, text="a <b> & https://example.com/long").message_ids == ("1",)


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("see example.com", "see https://t.co/Xy1"),
        ("see example.com.", "see https://t.co/Xy1."),
        ("see www.example.co.uk/a?b=1 now", "see https://t.co/Xy1 now"),
        ("(Example.com)", "(https://t.co/Xy1)"),
        ("write to ann.lee@example.com", "write to ann.lee@example.com"),
    ],
)
def test_x_shortens_links_without_a_scheme_too(api: ProviderApi, sent: str, written: str) -> None:
    assert found(api, listed("1", written, 11), text=sent).message_ids == ("1",)
    assert found(api, listed("1", f"{written} more", 11), text=sent).message_ids == ()


def test_a_listed_picture_comes_without_the_link_to_itself(api: ProviderApi) -> None:
    link = {"url": "https://t.co/m", "expanded_url": "https://x.com/messages/media/95", "display_url": "pic.x.com/m"}
    event = {
        "id": "95",
        "text": "Look https://t.co/m",
        "sender_id": "7",
        "created_at": "2026-11-23T10:00:00.000Z",
        "attachments": {"media_keys": ["3_1"]},
        "entities": {"urls": [link]},
    }
    media = {"media_key": "3_1", "type": "photo", "url": "https://ton/1.jpg"}
    api.body = json.dumps({"data": [event], "includes": {"media": [media]}}).encode()
    channel = channel_of("twitter", api.http())
    (listed,) = channel.list_inbound(datetime(2026, 11, 23, tzinfo=UTC)).messages
    (message,) = channel.parse(channel.as_webhook(listed))
    assert message.text == "Look"
    assert [(one.kind, one.media_ref) for one in message.parts] == [(PartKind.IMAGE, "https://ton/1.jpg")]


def test_what_was_sent_earlier_with_the_same_words_is_another_message(api: ProviderApi) -> None:
    assert found(api, listed("1", OUT.text, 9)).message_ids == ()


def test_a_list_that_does_not_reach_back_far_enough_proves_nothing(api: ProviderApi) -> None:
    assert not found(api, listed("1", "other", 11), more="next").complete
    assert found(api, listed("2", "other", 11), listed("1", "other", 9), more="next").complete


@pytest.mark.parametrize("body", [b"<html>", b'{"data":[{"id":"1","created_at":"yesterday"}]}', None])
def test_a_list_that_cannot_be_read_is_no_answer(api: ProviderApi, body: bytes | None) -> None:
    api.body = body
    with pytest.raises(errors.SendFailed):
        channel_of("twitter", api.http()).find_sent(OUT, datetime(2026, 11, 23, 12, 10, tzinfo=UTC))


def test_names_are_plain_in_both_shapes() -> None:
    aaa = account_activity(direct_message_events=[dm(TEXT)])
    aaa["users"]["7"]["name"] = "Ann &amp; Co"
    xaa = activity(
        "dm.received",
        {"direct_message_events": [dm(TEXT)], "users": {"7": {"data": {"username": "ann", "name": "Ann &amp; Co"}}}},
    )
    assert {received("twitter", one)[0].sender.display_name for one in (aaa, xaa)} == {"Ann & Co"}


def test_what_a_list_brings_is_plain_too(api: ProviderApi) -> None:
    event = {"id": "95", "text": "1 &lt; 2 &amp;amp; 3", "sender_id": "7", "created_at": "2026-11-23T10:00:00.000Z"}
    api.body = json.dumps({"data": [event], "meta": {"result_count": 1}}).encode()
    channel = channel_of("twitter", api.http())
    (listed,) = channel.list_inbound(datetime(2026, 11, 23, tzinfo=UTC)).messages
    (message,) = channel.parse(channel.as_webhook(listed))
    assert message.text == "1 < 2 &amp; 3"


@pytest.mark.parametrize(
    ("listed", "sent", "found"),
    [
        ("A &amp; B", "A & B", ("96",)),
        ("&amp;amp;", "&amp;", ("96",)),
        ("&amp;", "&amp;", ()),
        ("&amp;copy;", "&copy;", ("96",)),
        ("&copy;", "\u00a9", ()),
    ],
)
def test_in_doubt_a_text_is_compared_as_it_was_typed(api: ProviderApi, listed: str, sent: str, found: Any) -> None:
    event = {"id": "96", "text": listed, "sender_id": "100", "created_at": "2026-11-23T10:00:00.000Z"}
    api.body = json.dumps({"data": [event], "meta": {"result_count": 1}}).encode()
    message = OutboundMessage(recipient="7", text=sent, correlation="c")
    since = datetime(2026, 11, 23, tzinfo=UTC)
    assert channel_of("twitter", api.http()).find_sent(message, since).message_ids == found


NOBODY = [
    "",
    " ",
    "null",
    "Undefined",
    "0",
    "anonymous",
    "1 2",
    "\uff11\uff12",
    "1.2",
    "7" * 21,
    "ann",
    "U1",
    "-7",
    "7\n",
]


@pytest.mark.parametrize("who", NOBODY)
def test_a_sender_whose_id_is_none_is_nobody(who: str) -> None:
    with pytest.raises(errors.Unusable):
        received("twitter", message(TEXT, sender=who))


@pytest.mark.parametrize("who", NOBODY)
def test_nobody_gets_a_new_name_and_no_group_is_a_person(who: str) -> None:
    if who:
        with pytest.raises(errors.Unusable):
            received("twitter", activity("profile.update.handle", {"after": "anna"}, user=who))
    sent = {**CHAT, "sender_id": "100", "conversation_id": f"{who}:100"}
    (event,) = received("twitter", activity("chat.sent", sent))
    assert type(event).__name__ == "Unrecognised"
