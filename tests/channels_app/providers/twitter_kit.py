"""Webhooks of X as its documentation shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
