"""Facebook Messenger: one Page, over Graph.

Facts: developers.facebook.com, Messenger Platform, "Webhook events", "Send API", "Error codes" (Graph v26.0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
import requests

from channels_app import errors, payloads, types
from channels_app.channel import Channel
from channels_app.payloads import (
    Id,
    Payload,
    PersonId,
    Piece,
    hash_key,
    key_of,
    list_at,
    moment,
    number,
    object_at,
    read_as,
    short_id,
    text_at,
)
from channels_app.refusals import refusal, retry_at
from channels_app.signatures import Credentials, handshake_parameter, hmac_sha256, require_same, same, signature_of
from channels_app.text import TextLimit
from channels_app.types import InboundEvent, Part, PartKind, Secret, Sender, VerifiedWebhook, WebhookRequest

GRAPH = "https://graph.facebook.com/v26.0"
#: Standard messaging window. Source: "Messenger Platform policy overview".
WINDOW = timedelta(hours=24)
_CHALLENGE = re.compile(r"[0-9]{1,128}")
_KINDS = {
    "image": PartKind.IMAGE,
    "audio": PartKind.AUDIO,
    "video": PartKind.VIDEO,
    "file": PartKind.FILE,
    "sticker": PartKind.STICKER,
    "location": PartKind.LOCATION,
    **dict.fromkeys(("fallback", "template", "share", "post", "ig_post", "reel", "ig_reel"), PartKind.LINK),
    "story_mention": PartKind.STORY,
}
#: Graph's code, or code/subcode where that says more. Source: "Error codes", Messenger Platform.
_CODES: dict[str, type[errors.SendFailed]] = {
    **dict.fromkeys(("102", "190", "10", "200", "299", "463", "467"), errors.AuthFailed),
    **dict.fromkeys(("10/2018278", "10/2018065"), errors.WindowClosed),
    **dict.fromkeys(("551", "551/1545041", "200/1545041"), errors.Blocked),
    **dict.fromkeys(("100/2018001", "100/2018108"), errors.InvalidRecipient),
    **dict.fromkeys(("4", "17", "32", "613", "80006"), errors.Throttled),
    **dict.fromkeys(("1", "2", "1200"), errors.Unavailable),
    **dict.fromkeys(("10/1893063", "10/2018300"), errors.AccountProblem),
    "100": errors.InvalidContent,
    "368": errors.PolicyViolation,
}


class Config(Credentials, frozen=True, kw_only=True):
    """One Page and the Meta app that it is connected to."""

    app_secret: Annotated[Secret, msgspec.Meta(description="App secret of your Meta app; Meta signs webhooks with it.")]
    page_id: Annotated[PersonId, msgspec.Meta(description="Id of the Page that customers write to.")]
    page_access_token: Annotated[Secret, msgspec.Meta(description="Page access token with pages_messaging.")]
    verify_token: Annotated[
        Secret, msgspec.Meta(description="Any text; enter the same in the app's webhook settings. Made up if empty.")
    ] = Secret("")


class _Party(Payload, frozen=True):
    id: PersonId


class _Item(Payload, frozen=True):
    recipient: _Party
    sender: _Party | None = None
    timestamp: int | str | None = None


class _Message(Payload, frozen=True):
    mid: Id
    text: str | None = None
    is_echo: bool = False
    is_deleted: bool = False
    metadata: str = ""
    attachments: list[Any] = []
    quick_reply: Any = None
    reply_to: Any = None
    referral: Any = None


class _Edit(Payload, frozen=True):
    mid: Id
    text: str
    num_edit: int | str = 0


class _Reaction(Payload, frozen=True):
    mid: Id
    action: str
    emoji: str = ""
    reaction: str = ""


class _Receipt(Payload, frozen=True):
    watermark: int | str | None = None
    mids: list[Id] = []
    mid: str = ""


class _About(Payload, frozen=True):
    """The customer, the time and the raw item, for whoever reads one kind of event."""

    sender: Sender
    at: datetime | None
    raw: Any


class Messenger(Channel[Config]):
    """One Facebook Page. Customers are known by a PSID, which means somebody only together with the Page."""

    kind = "messenger"
    label = "Messenger"
    text_limit = TextLimit(most=2_000)
    max_body = 3 * 1024 * 1024  # up to a thousand updates in one batch
    Config = Config

    @property
    def address(self) -> str:
        return self.config.page_id

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check X-Hub-Signature-256: "sha256=" and hex, over the raw body. The older SHA-1 header does not count."""
        expected = "sha256=" + hmac_sha256(self.config.app_secret, request.body).hex()
        require_same(expected.encode(), signature_of(request, "x-hub-signature-256"))
        return VerifiedWebhook(request)

    def handshake(self, request: WebhookRequest) -> types.Answer:
        """Echo hub.challenge for who knows the verify token."""
        mode, token = (handshake_parameter(request, f"hub.{name}") for name in ("mode", "verify_token"))
        challenge = handshake_parameter(request, "hub.challenge")
        if mode != "subscribe":
            raise errors.BadHandshake("hub.mode is not subscribe")
        if not self.config.verify_token or not same(self.config.verify_token.reveal().encode(), token.encode()):
            raise errors.HandshakeRefused("the verify token is not the account's: copy it into Meta's webhook settings")
        if not _CHALLENGE.fullmatch(challenge):
            raise errors.BadHandshake("hub.challenge is not a number")
        return types.Answer(status=200, body=challenge.encode(), content_type="text/plain")

    def window_closes(self, last_inbound_at: datetime) -> datetime:
        return last_inbound_at + WINDOW

    def parse(self, webhook: VerifiedWebhook) -> list[InboundEvent]:
        body = payloads.read_object(webhook.body)
        if not isinstance(body.get("entry"), list):
            raise errors.Unusable("no entries")
        return payloads.read_each(self._pieces(body["entry"]), self.address)

    def _pieces(self, entries: list[Any]) -> Iterator[Piece]:
        for entry in entries:
            page = text_at(entry, "id")
            for name in ("messaging", "standby", "changes"):
                read: Any = self._item if name == "messaging" else partial(payloads.unrecognised, self.address, name)
                if page != self.address:
                    read = partial(payloads.misaddressed, self.address, page)
                yield from ((read, raw) for raw in list_at(entry, name))

    def _item(self, raw: Any) -> InboundEvent:
        item = read_as(_Item, raw)
        who = item.recipient if item.sender is None or item.sender.id == self.address else item.sender
        if self.address not in (item.recipient.id, item.sender.id if item.sender else ""):
            return payloads.misaddressed(self.address, item.recipient.id, raw)
        about = _About(Sender(external_id=who.id, issuer=self.address), moment(item.timestamp), raw)
        kind = next((name for name in _READERS if name in raw), "")
        if kind and who.id != self.address:
            return _READERS[kind](about, raw[kind])
        name = next((name for name in raw if name not in ("sender", "recipient", "timestamp")), "nothing")
        return payloads.unrecognised(self.address, name, raw)

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        """POST /{page}/messages. No idempotency key: `metadata` comes back in the echo and tells what arrived."""
        content = {"text": message.text, "metadata": message.correlation}
        body = {"recipient": {"id": message.recipient}, "messaging_type": "RESPONSE", "message": content}
        answer = self._call("POST", f"{self.address}/messages", json=body)
        message_id = text_at(answer, "message_id")
        if not message_id:
            raise errors.UnknownOutcome("Graph answered without a message id")
        return types.SendReceipt(message_ids=(message_id,))

    def show_typing(self, recipient: str, message_id: str) -> None:  # noqa: ARG002 - the contract's
        """Show the dots for 20 seconds or until the next message."""
        self._act(recipient, "typing_on")

    def mark_read(self, recipient: str, message_id: str) -> None:  # noqa: ARG002 - the contract's
        self._act(recipient, "mark_seen")

    def _act(self, recipient: str, action: str) -> None:
        self._call("POST", f"{self.address}/messages", json={"recipient": {"id": recipient}, "sender_action": action})

    def look_up_profile(self, external_id: str) -> dict[str, str]:
        """Ask for name and picture. Error 230, "no profile consent", means that nothing is known."""
        try:
            answer = self._call("GET", read_as(PersonId, external_id), fields="first_name,last_name,profile_pic")
        except errors.SendFailed as problem:
            if problem.provider_code.partition("/")[0] == "230":
                return {}
            raise
        name = f"{text_at(answer, 'first_name')} {text_at(answer, 'last_name')}".strip()
        return {"display_name": name, "picture_url": text_at(answer, "profile_pic")}

    def _call(self, method: str, path: str, json: Any = None, **query: str) -> Any:
        """Call Graph with the token and its proof in the query, as the Send API documents; traces drop queries."""
        token = self.config.page_access_token.reveal()
        proof = hmac_sha256(self.config.app_secret, token.encode()).hex()
        query |= {"access_token": token, "appsecret_proof": proof}
        response = self.http.request(method, f"{GRAPH}/{path}", params=query, json=json)
        body = _json(response)
        if response.ok and "error" not in body:
            return body
        raise _refusal(response, object_at(body, "error"))


def _message(about: _About, raw: Any) -> InboundEvent:
    message = read_as(_Message, raw)
    key, name, text = key_of("m", message.mid), short_id(message.mid), message.text or ""
    if message.is_echo:
        return types.Echoed(
            key=key, sender=about.sender, occurred_at=about.at, message_id=name, text=text, correlation=message.metadata
        )
    if message.is_deleted:
        return types.MessageUnsent(key=key_of("u", message.mid), sender=about.sender, message_id=name)
    picked = types.Selection(title=text, id=text_at(message.quick_reply, "payload"))
    return types.MessageReceived(
        key=key,
        sender=about.sender,
        occurred_at=about.at,
        message_id=name,
        text=text,
        parts=tuple(_parts(message)),
        reply_to=short_id(text_at(message.reply_to, "mid")),
        selection=picked if message.quick_reply else None,
        referral=_referral(message.referral),
    )


def _parts(message: _Message) -> Iterator[Part]:
    story = text_at(message.reply_to, "story", "url")
    if story:
        yield Part(kind=PartKind.STORY, media_ref=story, detail="in reply to a story")
    for raw in message.attachments:
        name, payload = text_at(raw, "type"), object_at(raw, "payload")
        yield Part(
            kind=PartKind.STICKER if "sticker_id" in payload else _KINDS.get(name, PartKind.UNSUPPORTED),
            media_ref=text_at(payload, "url") or text_at(raw, "url"),
            name=text_at(payload, "title") or text_at(raw, "title"),
            latitude=number(object_at(payload, "coordinates").get("lat")),
            longitude=number(object_at(payload, "coordinates").get("long")),
            detail="" if name in _KINDS else name,
        )
    if message.text is None and not message.attachments and not story:
        yield Part(kind=PartKind.UNSUPPORTED)


def _referral(raw: Any) -> str:
    """Return what led the customer here: our own ref, the ad, the source."""
    ad = text_at(raw, "ad_id")
    return " · ".join(filter(None, (text_at(raw, "ref"), ad and f"ad {ad}", text_at(raw, "source"))))


def _postback(about: _About, raw: Any) -> InboundEvent:
    mid, title = text_at(raw, "mid"), text_at(raw, "title")
    key = key_of("m", mid) if mid else hash_key("p", about.raw)
    chosen = types.Selection(title=title or text_at(raw, "payload"), id=text_at(raw, "payload"))
    return types.MessageReceived(
        key=key,
        sender=about.sender,
        occurred_at=about.at,
        message_id=short_id(mid) or key,
        text=title,
        selection=chosen,
        referral=_referral(raw.get("referral")),
    )


def _opened(about: _About, raw: Any) -> InboundEvent:
    """m.me link or ad, in a thread that exists: the customer has not written yet."""
    key = hash_key("ref", about.raw)
    return types.MessageReceived(
        key=key, sender=about.sender, occurred_at=about.at, message_id=key, referral=_referral(raw) or "a link"
    )


def _reaction(about: _About, raw: Any) -> InboundEvent:
    reaction = read_as(_Reaction, raw)
    emoji = (reaction.emoji or reaction.reaction) if reaction.action == "react" else ""
    key, name = hash_key("x", about.raw), short_id(reaction.mid)
    return types.Reacted(key=key, sender=about.sender, occurred_at=about.at, message_id=name, emoji=emoji)


def _edited(about: _About, raw: Any) -> InboundEvent:
    edit = read_as(_Edit, raw)
    key = key_of("e", edit.mid, str(edit.num_edit))
    return types.MessageEdited(
        key=key, sender=about.sender, occurred_at=about.at, message_id=short_id(edit.mid), text=edit.text
    )


def _receipt(status: types.ReceiptStatus, about: _About, raw: Any) -> InboundEvent:
    receipt = read_as(_Receipt, raw)
    said = (about.sender.external_id, receipt.watermark, *receipt.mids, receipt.mid)
    return types.ReceiptReceived(
        key=hash_key(f"r:{status}", *said),
        sender=about.sender,
        occurred_at=about.at,
        status=status,
        message_ids=tuple(short_id(mid) for mid in (*receipt.mids, receipt.mid) if mid),
        watermark=payloads.unix_milliseconds(receipt.watermark) or None,
    )


def _consent(about: _About, raw: Any) -> InboundEvent:
    granted = text_at(raw, "notification_messages_status") != "STOP_NOTIFICATIONS"
    topic = text_at(raw, "title") or text_at(raw, "payload") or text_at(raw, "ref") or text_at(raw, "type")
    key = hash_key("c", about.raw)
    return types.ConsentChanged(key=key, sender=about.sender, occurred_at=about.at, granted=granted, topic=topic)


def _enforced(about: _About, raw: Any) -> InboundEvent:
    detail = f"{text_at(raw, 'action')} {text_at(raw, 'reason')}".strip()
    return types.AccountChanged(
        key=hash_key("a", about.raw), sender=about.sender, topic="policy-enforcement", detail=detail
    )


_READERS: dict[str, Callable[[_About, Any], InboundEvent]] = {
    "message": _message,
    "postback": _postback,
    "reaction": _reaction,
    "message_edit": _edited,
    "read": partial(_receipt, types.ReceiptStatus.READ),
    "delivery": partial(_receipt, types.ReceiptStatus.DELIVERED),
    "optin": _consent,
    "referral": _opened,
    "policy-enforcement": _enforced,
}


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        return payloads.read_object(response.content)
    except errors.Unusable:
        return {}


def _refusal(response: requests.Response, error: dict[str, Any]) -> errors.SendFailed:
    code, subcode = error.get("code"), error.get("error_subcode")
    both = f"{code}/{subcode}" if subcode else str(code or "")
    kind = _CODES.get(both) or _CODES.get(str(code))
    again = retry_at(response.headers)
    return refusal(response.status_code, text_at(error, "message"), both, kind=kind, retry_at=again)


channel = Messenger
