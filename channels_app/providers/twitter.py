"""X direct messages: Account Activity and X Activity webhooks in, tweepy out.

Facts: docs.x.com, "Account Activity data objects", "X Activity API event payloads", "Webhooks"; v1.1 message_create.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import msgspec
import requests
import tweepy

from channels_app import errors, payloads, types
from channels_app.channel import Channel
from channels_app.http import outcome_of
from channels_app.payloads import (
    Id,
    Payload,
    PersonId,
    Piece,
    hash_key,
    key_of,
    list_at,
    misaddressed,
    moment,
    number,
    object_at,
    read_as,
    short_id,
    text_at,
    unrecognised,
)
from channels_app.refusals import refusal, retry_at
from channels_app.signatures import Credentials, handshake_parameter, hmac_sha256, require_same, signature_of
from channels_app.text import TextLimit
from channels_app.types import InboundEvent, Part, PartKind, Secret, Sender, VerifiedWebhook, WebhookRequest

#: The CRC answer is made with the key that signs webhooks: to sign JSON here would be to forge events for a stranger.
_CRC_TOKEN = re.compile(r"[A-Za-z0-9_=+/-]{1,128}")
_MEDIA = {"photo": PartKind.IMAGE, "animated_gif": PartKind.IMAGE, "video": PartKind.VIDEO}
_CONSENT = {"follow": True, "unfollow": False, "block": False, "unblock": True}
_EPOCH = 1_288_834_974_657  # X's ids hold a time: milliseconds since this one, in the bits above the 22nd
#: v1.1 codes, and the last word of v2's problem types. Source: docs.x.com, "Response codes and errors".
_CODES: dict[str, type[errors.SendFailed]] = {
    **dict.fromkeys(("32", "89", "93", "135", "215", "220", "oauth1-permissions"), errors.AuthFailed),
    **dict.fromkeys(("63", "64", "261", "326", "client-forbidden", "usage-capped", "credits"), errors.AccountProblem),
    **dict.fromkeys(("150", "349", "not-authorized-for-resource"), errors.Blocked),
    **dict.fromkeys(("17", "34", "50", "108", "resource-not-found"), errors.InvalidRecipient),
    **dict.fromkeys(("187", "354", "invalid-request"), errors.InvalidContent),
    **dict.fromkeys(("130", "131"), errors.Unavailable),
    "88": errors.Throttled,
    "226": errors.PolicyViolation,
}


class Config(Credentials, frozen=True, kw_only=True):
    """The keys of an X app, and of the user that it acts for."""

    consumer_key: Annotated[Secret, msgspec.Meta(description="API key of your X app.")]
    consumer_secret: Annotated[Secret, msgspec.Meta(description="API key secret; X signs webhooks with it.")]
    access_token: Annotated[Secret, msgspec.Meta(description="Access token, with permission to read and write DMs.")]
    access_token_secret: Annotated[Secret, msgspec.Meta(description="Access token secret.")]
    user_id: Annotated[PersonId, msgspec.Meta(description="Numeric id of the account that customers write to.")]


class _Target(Payload, frozen=True):
    recipient_id: PersonId


class _Signal(Payload, frozen=True, kw_only=True):
    sender_id: PersonId
    target: _Target
    created_timestamp: int | str | None = None
    last_read_event_id: str = ""


class _Data(Payload, frozen=True):
    text: str = ""
    attachment: Any = None
    entities: Any = None
    quick_reply_response: Any = None


class _Create(_Signal, frozen=True, kw_only=True):
    message_data: _Data


class _DirectMessage(Payload, frozen=True):
    id: Id
    message_create: _Create
    created_timestamp: int | str | None = None
    initiated_via: Any = None


class Twitter(Channel[Config]):
    """One X account. Replies have no window; X allows 15 sends in 15 minutes and 1,440 a day for each user."""

    kind = "twitter"
    label = "X"
    text_limit = TextLimit(most=10_000)
    Config = Config

    @property
    def address(self) -> str:
        return self.config.user_id

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check x-twitter-webhooks-signature: "sha256=" and base64, over the raw body."""
        require_same(self._signed(request.body).encode(), signature_of(request, "x-twitter-webhooks-signature"))
        return VerifiedWebhook(request)

    def handshake(self, request: WebhookRequest) -> types.Answer:
        """Answer the Challenge-Response Check, which X repeats hourly."""
        token = handshake_parameter(request, "crc_token")
        if not _CRC_TOKEN.fullmatch(token):
            raise errors.BadHandshake("crc_token is not one that X makes")
        return types.Answer(status=200, body=json.dumps({"response_token": self._signed(token.encode())}).encode())

    def _signed(self, data: bytes) -> str:
        return "sha256=" + base64.b64encode(hmac_sha256(self.config.consumer_secret, data)).decode()

    def parse(self, webhook: VerifiedWebhook) -> list[InboundEvent]:
        body = payloads.read_object(webhook.body)
        if text_at(body, "data", "event_type"):
            return payloads.read_each(self._activity(body["data"]), self.address)
        if "for_user_id" in body or "user_event" in body:
            return payloads.read_each(self._arrays(body, text_at(body, "for_user_id")), self.address)
        raise errors.Unusable("no event that X documents")

    def _activity(self, raw: Any) -> Iterator[Piece]:
        """X Activity: one event in an envelope. `filter.user_id` is whose activity it is."""
        name, payload = text_at(raw, "event_type"), object_at(raw, "payload")
        topic, _, verb = name.partition(".")
        whose = text_at(raw, "filter", "user_id") or self.address
        if topic == "dm":
            yield from self._arrays(payload, whose)
            return
        read: Any = partial(unrecognised, self.address, name)
        if name in ("profile.update.handle", "profile.update.screenname") and whose != self.address:
            read = partial(self._renamed, whose, verb)
        elif name == "oauth.revoke":
            read = partial(self._revoked, text_at(payload, "user_id"))
        elif whose != self.address:
            read = partial(misaddressed, self.address, whose)
        elif name in ("chat.received", "chat.sent"):
            read = self._encrypted
        elif verb in _CONSENT:
            read = partial(self._relation, verb)
        yield read, payload

    def _arrays(self, payload: dict[str, Any], whose: str) -> Iterator[Piece]:
        """Account Activity, and what X Activity wraps for direct messages: arrays of events by name."""
        users = object_at(payload, "users")
        readers: dict[str, Any] = {
            "direct_message_events": partial(self._message, users),
            "direct_message_indicate_typing_events": partial(self._signal, users),
            "direct_message_mark_read_events": partial(self._signal, users),
            "user_event": partial(self._revoked, text_at(payload, "user_event", "revoke", "source", "user_id")),
            **dict.fromkeys(("follow_events", "block_events", "unblock_events"), partial(self._relation, "")),
        }
        for name, raw in payload.items():
            read = readers.get(name, partial(unrecognised, self.address, name))
            if name != "user_event" and whose != self.address:
                read = partial(misaddressed, self.address, whose)
            if name not in ("for_user_id", "users", "apps"):
                yield from ((read, one) for one in (raw if isinstance(raw, list) else [raw]))

    def _message(self, users: dict[str, Any], raw: Any) -> InboundEvent:
        if text_at(raw, "type") not in ("", "message_create"):
            return unrecognised(self.address, text_at(raw, "type"), raw)
        event = read_as(_DirectMessage, raw)
        key, name, at = key_of("m", event.id), short_id(event.id), moment(event.created_timestamp)
        writer, reader = event.message_create.sender_id, event.message_create.target.recipient_id
        data = event.message_create.message_data
        if self.address not in (writer, reader):
            return misaddressed(self.address, reader, raw)
        if writer == self.address:
            sender = _sender(reader, users)
            return types.Echoed(key=key, sender=sender, occurred_at=at, message_id=name, text=data.text)
        picked = types.Selection(title=data.text, id=text_at(data.quick_reply_response, "metadata"))
        return types.MessageReceived(
            key=key,
            sender=_sender(writer, users),
            occurred_at=at,
            message_id=name,
            text=_own_words(data),
            parts=tuple(_parts(data)),
            selection=picked if data.quick_reply_response else None,
            referral=" ".join(f"{name} {text_at(event.initiated_via, name)}" for name in event.initiated_via or ()),
        )

    def _signal(self, users: dict[str, Any], raw: Any) -> InboundEvent:
        """Typing or, with last_read_event_id, a receipt for that message and all before it."""
        signal = read_as(_Signal, raw)
        last, at, sender = signal.last_read_event_id, moment(signal.created_timestamp), _sender(signal.sender_id, users)
        if self.address not in (signal.sender_id, signal.target.recipient_id):
            return misaddressed(self.address, signal.target.recipient_id, raw)
        if signal.sender_id == self.address:
            return unrecognised(self.address, "our own typing or reading", raw)
        if not last:
            return types.TypingShown(key=hash_key("typing", raw), sender=sender, occurred_at=at)
        until = (int(last) >> 22) + _EPOCH if re.fullmatch("[0-9]{1,20}", last) else None
        key, ids = key_of("r:read", last), (short_id(last),)
        read = types.ReceiptStatus.READ
        return types.ReceiptReceived(
            key=key, sender=sender, occurred_at=at, status=read, message_ids=ids, watermark=until
        )

    def _relation(self, verb: str, raw: Any) -> InboundEvent:
        """Somebody follows or blocks somebody: what a customer does to us is their consent."""
        verb = verb or text_at(raw, "type")
        who, whom = (object_at(raw, side, "data") or object_at(raw, side) for side in ("source", "target"))
        if text_at(whom, "id") != self.address or verb not in _CONSENT:
            return unrecognised(self.address, verb, raw)
        sender = _sender(read_as(PersonId, who.get("id")), {who["id"]: who})
        return types.ConsentChanged(key=hash_key("c", verb, raw), sender=sender, granted=_CONSENT[verb], topic=verb)

    def _encrypted(self, raw: Any) -> InboundEvent:
        """X Chat is encrypted end to end: without the account's private keys we know only who wrote, and when."""
        writer, name, at = (
            read_as(PersonId, raw.get("sender_id")),
            read_as(Id, raw.get("id")),
            raw.get("created_at_msec"),
        )
        key, name, at = key_of("m", name), short_id(name), moment(at)
        if writer == self.address:
            others = {*text_at(raw, "conversation_id").split(":")} - {self.address, ""}
            sender = Sender(external_id=min(others, default=self.address))
            return types.Echoed(key=key, sender=sender, occurred_at=at, message_id=name)
        parts = (Part(kind=PartKind.ENCRYPTED),)
        return types.MessageReceived(
            key=key, sender=Sender(external_id=writer), occurred_at=at, message_id=name, parts=parts
        )

    def _renamed(self, whose: str, what: str, raw: Any) -> InboundEvent:
        field = "handle" if what.endswith("handle") else "display_name"
        sender = read_as(Sender, {"external_id": whose, field: text_at(raw, "after")})
        return types.IdentityChanged(key=hash_key(what, whose, raw), sender=sender, former_id=whose)

    def _revoked(self, user: str, raw: Any) -> InboundEvent:
        if user != self.address:
            return misaddressed(self.address, user, raw)
        return types.AccountChanged(key=hash_key("revoke", raw), sender=Sender(external_id=user), topic="oauth.revoke")

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        """POST /2/dm_conversations/with/:participant_id/messages. X has no idempotency key: a repeat is a second DM."""
        keys = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        client = tweepy.Client(**{key: getattr(self.config, key).reveal() for key in keys}, return_type=dict)
        client.session = self.http.session
        try:
            answer = client.create_direct_message(participant_id=message.recipient, text=message.text)
            return types.SendReceipt(message_ids=(read_as(Id, text_at(answer, "data", "dm_event_id")),))
        except tweepy.HTTPException as problem:
            raise _refusal(problem.response, problem.api_codes) from None
        except requests.RequestException as failure:
            raise outcome_of(failure) from None
        except (msgspec.ValidationError, ValueError, TypeError, AttributeError):
            raise errors.UnknownOutcome("X answered, but not in a way that tells whether it took the message") from None


def _sender(user_id: str, users: dict[str, Any]) -> Sender:
    """Account Activity has the profile itself under the id, X Activity one level down, with other names."""
    profile = object_at(users, user_id, "data") or object_at(users, user_id)
    picture = text_at(profile, "profile_image_url_https") or text_at(profile, "profile_image_url")
    handle = text_at(profile, "screen_name") or text_at(profile, "username")
    return Sender(external_id=user_id, display_name=text_at(profile, "name"), handle=handle, picture_url=picture)


def _own_words(data: _Data) -> str:
    """Return the text without the link to its own attachment, which X puts at the end."""
    link = text_at(data.attachment, "media", "url")
    return data.text.removesuffix(link).rstrip() if link else data.text


def _parts(data: _Data) -> Iterator[Part]:
    own = text_at(data.attachment, "media", "url")
    for link in list_at(data.entities, "urls"):
        if text_at(link, "url") != own:
            yield Part(kind=PartKind.LINK, media_ref=text_at(link, "expanded_url") or text_at(link, "url"))
    if data.attachment is None:
        return
    media, place = object_at(data.attachment, "media"), object_at(data.attachment, "location")
    if text_at(data.attachment, "type") == "location":
        at = list_at(place, "shared_coordinate", "coordinates", "coordinates") or [None, None]
        name = text_at(place, "shared_place", "full_name") or text_at(place, "shared_place", "name")
        yield Part(kind=PartKind.LOCATION, longitude=number(at[0]), latitude=number(at[-1]), name=name)
    else:
        ref = text_at(media, "video_info", "variants", 0, "url") or text_at(media, "media_url_https")
        kind = _MEDIA.get(text_at(media, "type"), PartKind.UNSUPPORTED)
        yield Part(kind=kind, media_ref=ref, detail="" if kind in _MEDIA.values() else text_at(data.attachment, "type"))


def _refusal(response: requests.Response, codes: list[int]) -> errors.SendFailed:
    """403 without a code is how v2 says that this user does not take our messages."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = {}
    problem = text_at(body, "type").rpartition("/")[2]
    named = [code for code in (*map(str, codes), problem) if code in _CODES]
    kind = _CODES[named[0]] if named else errors.Blocked if response.status_code == 403 else None  # noqa: PLR2004
    detail = text_at(body, "detail") or text_at(body, "errors", 0, "message") or text_at(body, "title")
    day_is_full = response.headers.get("x-user-limit-24hour-remaining") == "0"
    resets = ("x-user-limit-24hour-reset",) if day_is_full else ("x-rate-limit-reset",)
    code = named[0] if named else ""
    return refusal(response.status_code, detail, code, kind=kind, retry_at=retry_at(response.headers, *resets))


channel = Twitter
