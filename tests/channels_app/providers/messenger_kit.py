"""Webhooks of Messenger as its documentation shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from channels_app.types import Part, PartKind

Json = dict[str, Any]
STAMP, AT = 1716403560557, datetime(2024, 5, 22, 18, 46, 0, 557000, tzinfo=UTC)


def item(sender: str = "7", recipient: str = "200", **event: Any) -> Json:
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": STAMP, **event}


def batch(*items: Any, page: str = "200", field: str = "messaging") -> Json:
    return {"object": "page", "entry": [{"id": page, "time": STAMP, field: list(items)}]}


def message(**fields: Any) -> Json:
    return batch(item(message={"mid": "m_1", **fields}))


def attached(kind: str, **payload: Any) -> Json:
    return message(attachments=[{"type": kind, "payload": payload}])


def parts(kind: PartKind, **fields: Any) -> list[tuple[str, Json]]:
    return [("MessageReceived", {"key": "m:m_1", "text": "", "parts": (Part(kind=kind, **fields),)})]


def form(name: str, *answers: tuple[str, str]) -> list[tuple[str, Json]]:
    return [("MessageReceived", {"text": "", "parts": (Part(kind=PartKind.FORM, name=name, answers=answers),)})]


TEXT = {"mid": "m_1", "text": "hi"}
PLACE = {"coordinates": {"lat": 41.38, "long": 2.17}}
REFERRAL = {"ref": "promo", "source": "ADS", "type": "OPEN_THREAD", "ad_id": "9"}
POSTBACK = {"title": "Get Started", "payload": "START"}
OPTIN = {"type": "notification_messages", "payload": "NEWS", "title": "News"}
IMAGE = {"attachments": [{"type": "image", "payload": {"url": "https://c/1"}}]}
LIKED: Json = {"text": "👍", "parts": ()}
