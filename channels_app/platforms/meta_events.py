"""What customers do beside writing to a Page, as Meta tells it: each reader makes one event of one kind.

Facts: developers.facebook.com, Messenger Platform, "Webhook events", "Customer Feedback Template", "Structured
Information Template".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from channels_app import types
from channels_app.platforms import meta, meta_contents
from channels_app.platforms.contents import answers_of
from channels_app.toolkit import payloads
from channels_app.toolkit.payloads import Id, Payload, hash_key, key_of, short_id, text_at
from channels_app.types import InboundEvent, Sender


class About(Payload, frozen=True):
    """The customer, the time and the whole item, for whoever reads one kind of event."""

    sender: Sender
    occurred_at: datetime | None
    raw: Any
    by_us: bool


class _Edit(Payload, frozen=True):
    mid: Id
    text: str = ""
    num_edit: int | str = 0


class _Receipt(Payload, frozen=True):
    watermark: int | str | None = None
    mids: list[Id] = []
    mid: str = ""


class _Reaction(Payload, frozen=True):
    mid: Id
    action: str


#: Reactions by the names that Meta gives them, where the emoji itself is missing ("Webhook events: message_reactions").
_REACTIONS = {"smile": "😆", "angry": "😠", "sad": "😢", "wow": "😮", "love": "❤", "like": "👍", "dislike": "👎"}


def referred(about: About, raw: Any) -> InboundEvent:
    """Read an m.me link or an ad that opened a thread which existed: the customer has not said anything yet."""
    led = meta.referral(payloads.read_as(dict[str, Any], raw)) or "a link"
    return types.Referred(
        key=hash_key("p", about.raw), sender=about.sender, occurred_at=about.occurred_at, referral=led
    )


def reaction(about: About, raw: Any) -> InboundEvent:
    fields, named = payloads.read_as(_Reaction, raw), text_at(raw, "reaction")
    emoji = text_at(raw, "emoji") or _REACTIONS.get(named, named or "…")
    emoji, name, key = emoji if fields.action == "react" else "", short_id(fields.mid), hash_key("x", about.raw)
    return types.Reacted(key=key, sender=about.sender, occurred_at=about.occurred_at, message_id=name, emoji=emoji)


def rated(about: About, raw: Any) -> InboundEvent:
    answers, key, name = meta_contents.feedback(raw), hash_key("f", about.raw), short_id(text_at(raw, "mid"))
    return types.Rated(key=key, sender=about.sender, occurred_at=about.occurred_at, message_id=name, answers=answers)


def filled_in(noun: str, about: About, raw: Any) -> InboundEvent:
    """Read a form that the customer sent back: it has no id of its own ("Structured Information Template")."""
    key, answers = hash_key("f", about.raw), answers_of(payloads.read_as(dict[str, Any], raw))
    form = types.Part(kind=types.PartKind.FORM, name=noun, answers=answers)
    return types.MessageReceived(
        key=key, sender=about.sender, occurred_at=about.occurred_at, message_id=key, parts=(form,)
    )


def edited(about: About, raw: Any) -> InboundEvent:
    edit = payloads.read_as(_Edit, raw)
    key, at, name = key_of("e", edit.mid, str(edit.num_edit)), about.occurred_at, short_id(edit.mid)
    return types.MessageEdited(key=key, sender=about.sender, occurred_at=at, message_id=name, text=edit.text)


def linked(about: About, raw: Any) -> InboundEvent:
    code, linked, key = text_at(raw, "authorization_code"), text_at(raw, "status") == "linked", hash_key("l", about.raw)
    return types.AccountLinked(key=key, sender=about.sender, occurred_at=about.occurred_at, code=code, linked=linked)


def postback(about: About, raw: Any) -> InboundEvent:
    """Read a tap on a button: the customer speaks, in words that we gave."""
    raw = payloads.read_as(dict[str, Any], raw)
    mid, title, payload = text_at(raw, "mid"), text_at(raw, "title"), text_at(raw, "payload")
    key = key_of("m", mid) if mid else hash_key("p", about.raw)
    return types.MessageReceived(
        key=key,
        sender=about.sender,
        occurred_at=about.occurred_at,
        message_id=short_id(mid) or key,
        text=title,
        selection=types.Selection(title=title or payload, id=payload),
        referral=meta.referral(raw.get("referral")),
    )


def receipt(status: types.ReceiptStatus, about: About, raw: Any) -> InboundEvent:
    fields = payloads.read_as(_Receipt, raw)
    mids = [*fields.mids, *filter(None, [fields.mid])]
    return types.ReceiptReceived(
        key=hash_key(f"r:{status}", about.sender.external_id, fields.watermark, mids),
        sender=about.sender,
        occurred_at=about.occurred_at,
        status=status,
        message_ids=tuple(map(short_id, mids)),
        watermark=payloads.unix_milliseconds(fields.watermark) or None,
    )


def consent(about: About, raw: Any) -> InboundEvent:
    granted = text_at(raw, "notification_messages_status") != "STOP_NOTIFICATIONS"
    topic = next(filter(None, (text_at(raw, name) for name in ("title", "payload", "ref", "type"))), "")
    key, at = hash_key("c", about.raw), about.occurred_at
    return types.ConsentChanged(key=key, sender=about.sender, occurred_at=at, granted=granted, topic=topic, offers=True)


def enforced(about: About, raw: Any) -> InboundEvent:
    detail = f"{text_at(raw, 'action')} {text_at(raw, 'reason')}".strip()
    return account_changed(about.sender.external_id, "policy-enforcement", detail, about.raw)


def account_changed(ours: str, topic: str, detail: str, raw: Any) -> InboundEvent:
    key = hash_key("a", topic, raw)
    return types.AccountChanged(key=key, sender=Sender(external_id=ours), topic=topic, detail=detail)
