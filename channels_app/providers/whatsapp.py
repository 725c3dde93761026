"""WhatsApp through Twilio: forms in, Twilio's SDK out.

Facts: twilio.com/docs, "Messaging webhook request", "Webhooks security", "WhatsApp", "Error and warning dictionary".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from twilio.base.exceptions import TwilioException
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from channels_app import errors, payloads, types
from channels_app.channel import Channel
from channels_app.http import Http
from channels_app.payloads import key_of, number
from channels_app.refusals import refusal, retry_at
from channels_app.signatures import Credentials, signature_of
from channels_app.text import TextLimit
from channels_app.types import (
    Alias,
    AliasType,
    InboundEvent,
    Part,
    PartKind,
    ReceiptStatus,
    Secret,
    Sender,
    VerifiedWebhook,
    WebhookRequest,
)

#: Customer service window. Source: "WhatsApp: key concepts".
WINDOW = timedelta(hours=24)
MOST_FIELDS = 1_000
_PREFIX = "whatsapp:"
_PHONE = re.compile(r"\+[1-9][0-9]{5,14}")
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
_STATUSES = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent"), ReceiptStatus.ACCEPTED),
    "delivered": ReceiptStatus.DELIVERED,
    "read": ReceiptStatus.READ,
    **dict.fromkeys(("undelivered", "failed", "canceled"), ReceiptStatus.FAILED),
}
_MEDIA = {
    "image": PartKind.IMAGE,
    "audio": PartKind.AUDIO,
    "video": PartKind.VIDEO,
    "sticker": PartKind.STICKER,
    "contacts": PartKind.CONTACT,
    "document": PartKind.FILE,
}
_CODES: dict[int, type[errors.SendFailed]] = {
    **dict.fromkeys((20003, 63001), errors.AuthFailed),
    **dict.fromkeys((20429, 14107, 63017, 63018, 63038), errors.Throttled),
    **dict.fromkeys((20500, 20503, 63010, 63012), errors.Unavailable),
    **dict.fromkeys((63016,), errors.WindowClosed),
    **dict.fromkeys((63014, 63033), errors.Blocked),
    **dict.fromkeys((21610,), errors.OptedOut),
    **dict.fromkeys((21211, 21614, 63003, 63024, 63031), errors.InvalidRecipient),
    **dict.fromkeys((21602, 21617, 21619, 63005, 63019, 63021, 63027, 63028, 63030, 63041), errors.InvalidContent),
    **dict.fromkeys((63013, 63032, 63049), errors.PolicyViolation),
    **dict.fromkeys((20005, 21408, 21603, 21606, 21609, 63002, 63007, 63015, 63020, 63112), errors.AccountProblem),
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


class WhatsApp(Channel[Config]):
    """One WhatsApp sender. Customers are known by their number or, without one, by a business-scoped user id."""

    kind = "whatsapp"
    label = "WhatsApp (Twilio)"
    text_limit = TextLimit(most=1_600)
    Config = Config

    @property
    def address(self) -> str:
        return self.config.number.removeprefix(_PREFIX)

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check X-Twilio-Signature over the configured URL and the form with Twilio's own validator.

        JSON is signed through `bodySHA256` in the query. Whatever the validator stumbles over is a bad signature.
        """
        media_type = _media_type(request)
        if request.body.count(b"&") >= MOST_FIELDS:
            raise errors.BadRequest("too_many_fields")
        signature = signature_of(request, "x-twilio-signature").decode()
        if media_type not in ("application/x-www-form-urlencoded", "application/json"):
            raise errors.BadRequest("content_type")
        url = f"{request.url}?{request.query}" if request.query else request.url
        try:
            is_json = media_type == "application/json"
            said: Any = request.body.decode() if is_json else _form(request.body)
            good = RequestValidator(self.config.auth_token.reveal()).validate(url, said, signature)
        except Exception:  # noqa: BLE001 - the validator raises TypeError and more on what no provider sends
            good = False
        if not good or (is_json and "bodySHA256=" not in request.query):
            raise errors.BadSignature("the signature does not match")
        return VerifiedWebhook(request)

    def acknowledge(self, status: str) -> types.Answer:  # noqa: ARG002 - whatever became of it, Twilio wants TwiML
        """Answer with empty TwiML: anything else Twilio would send to the customer, or log as an error."""
        return types.Answer(status=200, body=b"<Response/>", content_type="text/xml")

    def window_closes(self, last_inbound_at: datetime) -> datetime:
        return last_inbound_at + WINDOW

    def parse(self, webhook: VerifiedWebhook) -> list[InboundEvent]:
        if _media_type(webhook) == "application/json":
            return [payloads.unrecognised(self.address, "json", payloads.read_object(webhook.body))]
        form = _form(webhook.body)
        sid = _message_sid(form)
        writer, reader = form.get("From", ""), form.get("To", "")
        status = form.get("MessageStatus") or form.get("SmsStatus") or "received"
        is_receipt = status not in ("received", "receiving")
        addressee = writer if is_receipt else reader
        if form.get("AccountSid") != self.config.account_sid or addressee != _PREFIX + self.address:
            return [payloads.misaddressed(self.address, reader, form)]
        if is_receipt:
            return [self._receipt(form, sid, status, dict(parse_qsl(webhook.query)).get("outbox", ""))]
        if writer == addressee:
            sender = Sender(external_id=self.address)
            return [types.Echoed(key=key_of("m", sid), sender=sender, message_id=sid, text=form.get("Body", ""))]
        return [_message(form, sid), *_consent(form, sid)]

    def _receipt(self, form: Mapping[str, str], sid: str, status: str, correlation: str) -> InboundEvent:
        if status not in _STATUSES:
            return payloads.unrecognised(self.address, f"status {status}", dict(form))
        return types.ReceiptReceived(
            key=key_of(f"r:{status}", sid),
            sender=_sender(form, form.get("To", "")),
            status=_STATUSES[status],
            message_ids=(sid,),
            correlation=correlation,
            error_code=form.get("ErrorCode", ""),
            error_detail=form.get("ChannelStatusMessage") or form.get("ErrorMessage", ""),
        )

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        """POST Messages.json. No idempotency key: the status callback's URL carries ours and tells what arrived."""
        seam = _Seam(self.http)
        try:
            sent = self._client(seam).messages.create(
                to=_PREFIX + message.recipient,
                from_=_PREFIX + self.address,
                body=message.text,
                status_callback=f"{self.webhook_url}?{urlencode({'outbox': message.correlation})}",
            )
        except TwilioException as problem:
            raise _refusal(problem, seam.headers) from None
        except (ValueError, KeyError, TypeError):
            raise errors.UnknownOutcome(
                "Twilio answered, but not in a way that tells whether it took the message"
            ) from None
        return types.SendReceipt(message_ids=(sent.sid,))

    def show_typing(self, recipient: str, message_id: str) -> None:  # noqa: ARG002 - the contract's
        """Show the dots for 25 seconds or until the next message; Twilio marks the message as read with it."""
        seam = _Seam(self.http)
        try:
            self._client(seam).messaging.v2.typing_indicator.create(channel="whatsapp", message_id=message_id)
        except TwilioException as problem:
            raise _refusal(problem, seam.headers) from None

    def _client(self, seam: _Seam) -> Client:
        return Client(self.config.account_sid, self.config.auth_token.reveal(), http_client=seam)


class _Seam:
    """The HTTP client that Twilio's SDK is given: ours. It keeps the headers, which the SDK's exceptions drop."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.headers: Mapping[str, str] = {}

    def request(self, method: str, uri: str, params: Any = None, data: Any = None, **options: Any) -> Response:
        wanted = {name: options.get(name) for name in ("headers", "auth")}
        response = self._http.request(method, uri, params=params, data=data, **wanted)
        self.headers = response.headers
        return Response(response.status_code, response.text, response.headers)


def _media_type(request: WebhookRequest) -> str:
    """Return the content type; raise BadRequest for another charset than Twilio's."""
    media_type, _, rest = request.headers.get("content-type", "").lower().partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", rest)
    if charset and charset[1] not in ("utf-8", "utf8"):
        raise errors.BadRequest("charset")
    return media_type.strip()


def _form(body: bytes) -> dict[str, str]:
    """Return the form's fields, blank ones too; raise ValueError if one comes twice or is not UTF-8."""
    pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
    form = dict(pairs)
    if len(form) != len(pairs):
        raise ValueError("a field comes twice")
    return form


def _message_sid(form: Mapping[str, str]) -> str:
    """Return the message's id.

    Twilio's signature does not say where a value ends and the next name begins, so whoever replays a form can move
    that boundary, and with it the id that we know duplicates by: an id counts only in its documented form.
    """
    sid = form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid", "")
    if not _SID.fullmatch(sid):
        raise errors.Unusable("no MessageSid of 34 characters")
    return sid


def _sender(form: Mapping[str, str], address: str) -> Sender:
    """Return the customer behind a From or To: by number if there is one, else by business-scoped user id."""
    who = address.removeprefix(_PREFIX)
    phone = next(
        ("+" + one.lstrip("+") for one in (who, form.get("WaId", "")) if _PHONE.fullmatch("+" + one.lstrip("+"))), ""
    )
    user = who if _BSUID.fullmatch(who) else form.get("ExternalUserId", "").removeprefix(_PREFIX)
    if not phone and not _BSUID.fullmatch(user):
        raise errors.Unusable("neither a phone number nor a user id")
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
    referral = (form.get(f"Referral{name}", "") for name in ("Headline", "SourceUrl", "SourceId", "CtwaClid"))
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


def _refusal(problem: TwilioException, headers: Mapping[str, str]) -> errors.SendFailed:
    code, status = getattr(problem, "code", None) or 0, getattr(problem, "status", None) or 0
    words = getattr(problem, "msg", "") or getattr(problem, "detail", "") or ""
    return refusal(status, words, str(code), kind=_CODES.get(code), retry_at=retry_at(headers))


channel = WhatsApp
