"""Webhooks of WhatsApp as its documentation shows them."""

from __future__ import annotations

from channels_app.types import Part, PartKind

Form = dict[str, str]
SID = "SM" + "a" * 32
HEADER = "x-twilio-signature"


def form(**fields: str) -> Form:
    """Return an inbound form; a field given as "-" is left out."""
    usual = {
        "SmsMessageSid": SID,
        "MessageSid": SID,
        "SmsSid": SID,
        "SmsStatus": "received",
        "AccountSid": "AC" + "0" * 32,
        "From": "whatsapp:+15550001",
        "To": "whatsapp:+34600000000",
        "Body": "",
        "NumMedia": "0",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageType": "text",
        "ProfileName": "Ann",
        "WaId": "15550001",
        "ApiVersion": "2010-04-01",
    }
    return {name: value for name, value in {**usual, **fields}.items() if value != "-"}


def media(mime: str, kind: str, **fields: str) -> Form:
    return form(NumMedia="1", MediaUrl0="https://m/0", MediaContentType0=mime, MessageType=kind, **fields)


def status(word: str, **fields: str) -> Form:
    ours, theirs = "whatsapp:+34600000000", "whatsapp:+15550001"
    usual = {"MessageSid": SID, "SmsSid": SID, "MessageStatus": word, "SmsStatus": word, "From": ours, "To": theirs}
    return {**usual, "AccountSid": "AC" + "0" * 32, "ApiVersion": "2010-04-01", **fields}


def part(kind: PartKind, mime: str) -> tuple[Part, ...]:
    return (Part(kind=kind, media_ref="https://m/0", mime=mime),)


FLOW = '{"flow_token":"t","name":"Ann"}'
PLACE = Part(kind=PartKind.LOCATION, latitude=41.38, longitude=2.17, name="Plaza", caption="Barcelona")
REFERRED = {"ReferralHeadline": "Chat", "ReferralSourceUrl": "https://fb.me/1", "ReferralCtwaClid": "clid"}


def answers(*pairs: tuple[str, str]) -> tuple[Part, ...]:
    return (Part(kind=PartKind.FORM, answers=pairs),)
