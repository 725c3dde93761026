"""X direct messages: Account Activity and X Activity webhooks in, tweepy out.

Facts: docs.x.com, "Account Activity data objects", "X Activity API event payloads", "Webhooks"; v1.1 message_create.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec

from channels_app import types
from channels_app.channel import Channel
from channels_app.errors import Unusable
from channels_app.platforms import setup_by_api, x, x_codes, x_events, x_setup
from channels_app.platforms.x_contents import own_words, parts_of, plain, sender_of, with_links
from channels_app.platforms.x_events import UserId
from channels_app.toolkit import json_body, payloads
from channels_app.toolkit.payloads import Id, Payload, Piece, hash_key, key_of, object_at, short_id, text_at
from channels_app.toolkit.signatures import Credentials
from channels_app.toolkit.text import TextLimit
from channels_app.types import InboundEvent, PartKind, Secret, VerifiedWebhook, WebhookRequest

_EPOCH = 1_288_834_974_657  # X's ids hold a time: milliseconds since this one, in the bits above the 22nd


class Config(Credentials, frozen=True, kw_only=True):
    """The keys of an X app, and of the user that it acts for."""

    consumer_key: Annotated[Secret, msgspec.Meta(description="API key of your X app.")]
    consumer_secret: Annotated[Secret, msgspec.Meta(description="API key secret; X signs webhooks with it.")]
    access_token: Annotated[Secret, msgspec.Meta(description="Access token, with permission to read and write DMs.")]
    access_token_secret: Annotated[Secret, msgspec.Meta(description="Access token secret.")]
    user_id: Annotated[
        UserId, msgspec.Meta(description="Numeric id of the account that customers write to.", examples=["100"])
    ]


class _Target(Payload, frozen=True):
    recipient_id: UserId


class _Signal(Payload, frozen=True, kw_only=True):
    sender_id: UserId
    target: _Target
    created_timestamp: int | str | None = None


class _Data(Payload, frozen=True):
    text: str = ""


class _Create(_Signal, frozen=True, kw_only=True):
    message_data: _Data
    source_app_id: Any = None


class _DirectMessage(Payload, frozen=True):
    id: Id
    message_create: _Create
    created_timestamp: int | str | None = None
    initiated_via: Any = None


class Twitter(setup_by_api.SetUpByApi, Channel[Config]):
    """One X account. Replies have no window; X allows 15 sends in 15 minutes and 1,440 a day for each user."""

    kind, label, text_limit = "twitter", "X", TextLimit(most=10_000)
    Config, guide, codes, advice = Config, x_setup.GUIDE, x_codes.CODES, x_codes.ADVICE
    api, sdk_loggers = x.API, ("tweepy", "requests_oauthlib", "oauthlib")
    glyph = '<path d="M4 5h16v11H9.5L5 20v-4H4ZM8 9.3h8M8 12.3h5"/>'
    chat_link = staticmethod(x.chat_link)

    @property
    def address(self) -> str:
        return self.config.user_id

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        return x.verify(request, self.config.consumer_secret)

    def handshake(self, request: WebhookRequest) -> types.Answer:
        return x.handshake(request, self.config.consumer_secret)

    def parse(self, webhook: VerifiedWebhook) -> list[InboundEvent]:
        body = json_body.read_object(webhook.body)
        if text_at(body, "data", "event_type"):
            return payloads.read_each(self._activity(body["data"]), self.address)
        if "for_user_id" in body or "user_event" in body:
            return payloads.read_each(self._arrays(body, text_at(body, "for_user_id")), self.address)
        raise Unusable("no event that X documents")

    def _activity(self, raw: Any) -> Iterator[Piece]:
        """X Activity: one event in an envelope. `filter.user_id` is whose activity it is."""
        name, payload = text_at(raw, "event_type"), object_at(raw, "payload")
        user, verb = text_at(raw, "filter", "user_id") or self.address, name.rpartition(".")[2]
        read: Any = partial(payloads.unrecognised, self.address, name)
        if name in ("profile.update.handle", "profile.update.screenname") and user != self.address:
            read = partial(x_events.renamed, user, verb)
        elif name == "oauth.revoke":
            read = partial(x_events.revoked, self.address, text_at(payload, "user_id") or user)
        elif user != self.address:
            read = partial(payloads.misaddressed, self.address, user)
        elif any(key.endswith("_events") for key in payload):
            yield from self._arrays(payload, user)
            return
        elif name in ("chat.received", "chat.sent"):
            read = partial(x_events.encrypted, self.address)
        elif verb in x_events.CONSENT:
            read = partial(x_events.relation, self.address, verb)
        yield read, payload

    def _arrays(self, payload: dict[str, Any], user: str) -> Iterator[Piece]:
        """Account Activity, and what X Activity wraps for direct messages: arrays of events by name."""
        users, revoking = object_at(payload, "users"), text_at(payload, "user_event", "revoke", "source", "user_id")
        relation = partial(x_events.relation, self.address, "")
        readers: dict[str, Any] = {
            "direct_message_events": partial(self._message, users, object_at(payload, "apps")),
            "direct_message_indicate_typing_events": partial(self._signal, users),
            "direct_message_mark_read_events": partial(self._signal, users),
            "user_event": partial(x_events.revoked, self.address, revoking),
            **dict.fromkeys(("follow_events", "block_events", "unblock_events"), relation),
        }
        for name, raw in payload.items():
            read = readers.get(name, partial(payloads.unrecognised, self.address, name))
            if name != "user_event" and user != self.address:
                read = partial(payloads.misaddressed, self.address, user)
            if name not in ("for_user_id", "users", "apps"):
                yield from ((read, event) for event in (raw if isinstance(raw, list) else [raw]))

    def _message(self, users: dict[str, Any], apps: dict[str, Any], raw: Any) -> InboundEvent:
        if text_at(raw, "type") not in ("", "message_create"):
            return payloads.unrecognised(self.address, text_at(raw, "type"), raw)
        event = payloads.read_as(_DirectMessage, raw)
        key, name, at = key_of("m", event.id), short_id(event.id), payloads.moment(event.created_timestamp)
        writer, reader = event.message_create.sender_id, event.message_create.target.recipient_id
        data, source = object_at(raw, "message_create", "message_data"), object_at(event.initiated_via)
        if self.address not in (writer, reader):
            return payloads.misaddressed(self.address, reader, raw)
        if writer == self.address:
            return types.Echoed(
                key=key,
                sender=sender_of(reader, users),
                occurred_at=at,
                message_id=name,
                text=with_links(data),
                parts=tuple(part for part in parts_of(data) if part.kind != PartKind.LINK),
                app=plain(text_at(apps, str(event.message_create.source_app_id), "name")),
            )
        text, tapped = own_words(data), object_at(data, "quick_reply_response")
        return types.MessageReceived(
            key=key,
            sender=sender_of(writer, users),
            occurred_at=at,
            message_id=name,
            text=text,
            parts=tuple(parts_of(data)),
            selection=types.Selection(title=text, id=plain(text_at(tapped, "metadata"))) if tapped else None,
            referral=" · ".join(f"{name} {text_at(source, name)}" for name in source),
        )

    def _signal(self, users: dict[str, Any], raw: Any) -> InboundEvent:
        """Typing or, with last_read_event_id, a receipt for that message and all before it."""
        signal, last = payloads.read_as(_Signal, raw), text_at(raw, "last_read_event_id")
        sender, at = sender_of(signal.sender_id, users), payloads.moment(signal.created_timestamp)
        if self.address not in (signal.sender_id, signal.target.recipient_id):
            return payloads.misaddressed(self.address, signal.target.recipient_id, raw)
        if signal.sender_id == self.address:
            return payloads.unrecognised(self.address, "our own typing or reading", raw)
        if not last:
            return types.TypingShown(key=hash_key("typing", raw), sender=sender, occurred_at=at)
        return types.ReceiptReceived(
            key=key_of("r:read", last),
            sender=sender,
            occurred_at=at,
            status=types.ReceiptStatus.READ,
            message_ids=(short_id(last),),
            watermark=(int(last) >> 22) + _EPOCH if re.fullmatch("[0-9]{1,20}", last) else None,
        )

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        """POST /2/dm_conversations/with/:participant_id/messages. No idempotency key: a repeat is a second message."""
        sent = x.send_text(self.http, self._keys, message.recipient, message.text)
        return types.SendReceipt(message_ids=(sent,))

    def find_sent(self, message: types.OutboundMessage, since: datetime) -> types.FoundSent:
        return x.find_sent(self.http, self._keys, (self.address, message.recipient), message.text, since)

    def list_inbound(self, since: datetime) -> types.ListedInbound:
        return x.list_received(self.http, self._keys, self.address, since)

    def list_sent(self, since: datetime) -> types.ListedSent:
        return x.list_sent(self.http, self._keys, self.address, since)

    def as_webhook(self, listed: types.Listed) -> VerifiedWebhook:
        return x.as_activity(self.address, self.webhook_url, listed)

    @property
    def setup(self) -> x_setup.Setup:
        return x_setup.Setup(self.http, self._keys, self.address, self.webhook_url)

    @property
    def _keys(self) -> dict[str, str]:
        keys = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        return {key: getattr(self.config, key).reveal() for key in keys}


channel = Twitter
