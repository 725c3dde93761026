"""Whatever else X's webhooks tell, and who it is about."""

from __future__ import annotations

import json

import pytest

from channels_app import errors
from channels_app.types import Part, PartKind, ReceiptStatus
from tests.channels_app.providers.kit import received, words_of
from tests.channels_app.providers.twitter_kit import (
    AT,
    CHAT,
    FOLLOW,
    READ,
    REVOKE,
    TEXT,
    TYPING,
    USERS,
    Json,
    account_activity,
    activity,
    dm,
    message,
)

CASES: list[tuple[str, Json, list[tuple[str, Json]]]] = [
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
    assert [words_of(event, fields) for event, (_, fields) in zip(events, expected, strict=True)] == expected


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


def test_names_are_plain_in_both_shapes() -> None:
    aaa = account_activity(direct_message_events=[dm(TEXT)])
    aaa["users"]["7"]["name"] = "Ann &amp; Co"
    xaa = activity(
        "dm.received",
        {"direct_message_events": [dm(TEXT)], "users": {"7": {"data": {"username": "ann", "name": "Ann &amp; Co"}}}},
    )
    assert {received("twitter", one)[0].sender.display_name for one in (aaa, xaa)} == {"Ann & Co"}


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
