"""WhatsApp through Twilio.

Facts: twilio.com/docs, "Messaging webhook request", "WhatsApp: key concepts", "Messages resource".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from twilio.rest import Client

from channels_app import types
from channels_app.channel import Channel
from channels_app.errors import UnknownOutcome, Unusable
from channels_app.payloads import key_of, misaddressed, number, read_object, unrecognised
from channels_app.platforms import setting_up, twilio, twilio_codes, twilio_setup
from channels_app.signatures import Credentials
from channels_app.text import TextLimit
from channels_app.types import (
    Alias,
    AliasType,
    InboundEvent,
    Part,
    PartKind,
    Secret,
    Sender,
    VerifiedWebhook,
    WebhookRequest,
)

#: Free text is allowed for so long after the customer's last message; then only templates.
WINDOW = timedelta(hours=24)
_PREFIX = "whatsapp:"
_PHONE = re.compile(r"\+[1-9][0-9]{5,14}")
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_MEDIA = {
    "image": PartKind.IMAGE,
    "audio": PartKind.AUDIO,
    "video": PartKind.VIDEO,
    "sticker": PartKind.STICKER,
    "contacts": PartKind.CONTACT,
    "document": PartKind.FILE,
}


class Config(Credentials, frozen=True, kw_only=True):
    """One WhatsApp sender of a Twilio account."""

    account_sid: Annotated[str, msgspec.Meta(pattern=r"\AAC[0-9a-zA-Z]{1,64}\Z", description="Account SID, AC…")]
    auth_token: Annotated[Secret, msgspec.Meta(description="Auth token; Twilio signs webhooks with it.")]
    number: Annotated[
        str,
        msgspec.Meta(
            pattern=r"\A(whatsapp:)?\+[1-9][0-9]{5,14}\Z",
            description="Number that customers write to, e.g. +34600111222.",
        ),
    ]


class WhatsApp(setting_up.SetUpByApi, Channel[Config]):
    """One WhatsApp sender. Customers are known by their number or, without one, by a business-scoped user id."""

    kind = "whatsapp"
    label = "WhatsApp (Twilio)"
    text_limit = TextLimit(most=1_600)
    Config, guide, codes, advice = Config, twilio_setup.GUIDE, twilio_codes.CODES, twilio_codes.ADVICE

    @property
    def address(self) -> str:
        return self.config.number.removeprefix(_PREFIX)

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        return twilio.verify(request, self.config.auth_token)

    def acknowledge(self, status: str) -> types.Answer:  # noqa: ARG002 - whatever became of it
        return twilio.NOTHING

    @staticmethod
    def chat_link(address: str, greeting: str, code: str) -> str:
        """Fill the customer's first message in (WhatsApp Help Center, "How to use click to chat")."""
        return f"https://wa.me/{address.removeprefix('+')}?text={quote(f'{greeting} {code}', safe='')}"

    @staticmethod
    def window_closes(last_inbound_at: datetime) -> datetime:
        return last_inbound_at + WINDOW

    def parse(self, webhook: VerifiedWebhook) -> list[InboundEvent]:
        if twilio.media_type(webhook) == twilio.JSON:
            return [unrecognised(self.address, "json", read_object(webhook.body))]
        form = twilio.fields_of(webhook)
        sid = twilio.message_sid(form)
        writer, reader = form.get("From", ""), form.get("To", "")
        status = form.get("MessageStatus") or form.get("SmsStatus") or "received"
        is_receipt = status not in ("received", "receiving")
        addressee = writer if is_receipt else reader
        if form.get("AccountSid") != self.config.account_sid or addressee != _PREFIX + self.address:
            return [misaddressed(self.address, reader, form)]
        if is_receipt:
            return [self._receipt(form, sid, status, dict(parse_qsl(webhook.query)).get("outbox", ""))]
        if writer == addressee:
            sender = Sender(external_id=self.address)
            return [types.Echoed(key=key_of("m", sid), sender=sender, message_id=sid, text=form.get("Body", ""))]
        return [_message(form, sid), *_consent(form, sid)]

    def _receipt(self, form: Mapping[str, str], sid: str, status: str, correlation: str) -> InboundEvent:
        if status not in twilio.STATUSES:
            return unrecognised(self.address, f"status {status}", dict(form))
        return types.ReceiptReceived(
            key=key_of(f"r:{status}", sid),
            sender=_sender(form, form.get("To", "")),
            status=twilio.STATUSES[status],
            message_ids=(sid,),
            correlation=correlation,
            error_code=twilio.code_of(form.get("ErrorCode")),
            error_detail=form.get("ChannelStatusMessage") or form.get("ErrorMessage", ""),
        )

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        """POST Messages.json. No idempotency key: the status callback's URL carries ours and tells what arrived."""
        with self._client() as client:
            sent = client.messages.create(
                to=_PREFIX + message.recipient,
                from_=_PREFIX + self.address,
                body=message.text,
                status_callback=f"{self.webhook_url}?{urlencode({'outbox': message.correlation})}",
            )
        if not isinstance(sent.sid, str):
            raise UnknownOutcome("Twilio answered without a message id")
        return types.SendReceipt(message_ids=(sent.sid,))

    def find_sent(self, message: types.OutboundMessage, since: datetime) -> types.FoundSent:
        """GET Messages.json by To and From. A message that is queued has no DateSent, so that is not asked for."""
        with self._client() as client:
            ends = {"to": _PREFIX + message.recipient, "from_": _PREFIX + self.address}
            found = twilio.find_sent(client, ends, message.text, since)
        # Twilio may list a message to a user id under the number: then that it lists none says nothing.
        return found if _PHONE.fullmatch(message.recipient) else msgspec.structs.replace(found, complete=False)

    def list_inbound(self, since: datetime) -> types.ListedInbound:
        """GET Messages.json by To: Twilio gives up on a webhook after 15 s, by default after one repetition."""
        with self._client() as client:
            return twilio.list_received(client, _PREFIX + self.address, since)

    def list_sent(self, since: datetime) -> types.ListedSent:
        with self._client() as client:
            return twilio.list_sent(client, _PREFIX + self.address, since)

    def as_webhook(self, listed: types.Listed) -> VerifiedWebhook:
        with self._client() as client:
            return twilio.as_form(client, self.webhook_url, listed)

    @property
    def setup(self) -> twilio_setup.Setup:
        return twilio_setup.Setup(self._client, self.config.account_sid, self.address, self.webhook_url)

    def _client(self) -> AbstractContextManager[Client]:
        return twilio.client(self.http, self.config.account_sid, self.config.auth_token)


def _sender(form: Mapping[str, str], address: str) -> Sender:
    """Return the customer behind a From or To: by number if there is one, else by business-scoped user id."""
    who = address.removeprefix(_PREFIX)
    phone = next(
        ("+" + one.lstrip("+") for one in (who, form.get("WaId", "")) if _PHONE.fullmatch("+" + one.lstrip("+"))), ""
    )
    user = who if _BSUID.fullmatch(who) else form.get("ExternalUserId", "").removeprefix(_PREFIX)
    if not phone and not _BSUID.fullmatch(user):
        raise Unusable("neither a phone number nor a user id")
    known = {
        AliasType.PHONE: phone,
        AliasType.BSUID: user,
        AliasType.PARENT_BSUID: form.get("ParentExternalUserId", "").removeprefix(_PREFIX),
        AliasType.USERNAME: form.get("ProfileUsername", ""),
    }
    return Sender(
        external_id=phone or user,
        aliases=tuple(Alias(type=name, value=value) for name, value in known.items() if value),
        display_name=form.get("ProfileName", ""),
        handle=form.get("ProfileUsername", ""),
    )


def _message(form: Mapping[str, str], sid: str) -> InboundEvent:
    title = form.get("ButtonText") or form.get("ListTitle") or ""
    text, picked = form.get("Body") or title, form.get("ButtonPayload") or form.get("ListId", "")
    referral = (form.get(f"Referral{name}", "") for name in ("Headline", "SourceUrl"))
    return types.MessageReceived(
        key=key_of("m", sid),
        sender=_sender(form, form["From"]),
        message_id=sid,
        text=text,
        parts=tuple(_parts(form)),
        reply_to=form.get("OriginalRepliedMessageSid", ""),
        selection=types.Selection(title=title, id=picked) if title else None,
        referral=" · ".join(filter(None, referral)),
        forwarded="true" in (form.get("Forwarded"), form.get("FrequentlyForwarded")),
    )


def _parts(form: Mapping[str, str]) -> Iterator[Part]:
    count, kind = form.get("NumMedia", "0"), form.get("MessageType", "text")
    for index in range(int(count) if count.isdigit() and len(count) < len("100") else 0):
        mime = form.get(f"MediaContentType{index}", "")
        yield Part(kind=_media_kind(mime, kind), media_ref=form.get(f"MediaUrl{index}", ""), mime=mime)
    if "Latitude" in form:
        yield Part(
            kind=PartKind.LOCATION,
            latitude=number(form["Latitude"]),
            longitude=number(form.get("Longitude")),
            name=form.get("Label", ""),
            caption=form.get("Address", ""),
        )
    elif count == "0" and not form.get("Body") and kind not in ("text", "button", "interactive"):
        yield Part(kind=PartKind.ORDER if kind == "order" else PartKind.UNSUPPORTED, detail=kind)


def _media_kind(mime: str, message_type: str) -> PartKind:
    """WhatsApp records voice messages as Ogg, which nobody sends as a file; contact cards come as vCards."""
    if "ogg" in mime:
        return PartKind.VOICE
    if "vcard" in mime:
        return PartKind.CONTACT
    return _MEDIA.get(message_type) or _MEDIA.get(mime.partition("/")[0], PartKind.FILE)


def _consent(form: Mapping[str, str], sid: str) -> list[InboundEvent]:
    """STOP and START, when Twilio's Advanced Opt-Out recognised them: besides the message, not instead of it."""
    word = form.get("OptOutType", "")
    if word not in ("STOP", "START"):
        return []
    sender = _sender(form, form["From"])
    return [types.ConsentChanged(key=key_of("c", sid), sender=sender, granted=word == "START", topic=word)]


channel = WhatsApp
