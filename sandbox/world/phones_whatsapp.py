"""WhatsApp through Twilio: inbound message forms and status callbacks.

Sources: twilio.com/docs, "Messaging webhook request", "WhatsApp status callbacks", "Webhooks connection overrides".
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from sandbox.world.accounts import Account
from sandbox.world.delivery import Courier, Schedule
from sandbox.world.handset import Act, Handset, Post, delays, secret
from sandbox.world.signing import twilio_signature
from sandbox.world.threads import Content, Customer, Message, Status, twilio_sid

Form = dict[str, str]

KINDS = {
    "text": "Text",
    "image": "Photo",
    "video": "Video",
    "audio": "Audio",
    "voice": "Voice message",
    "file": "Document",
    "sticker": "Sticker",
    "location": "Location",
    "contact": "Contact card",
    "quick_reply": "Tap a button",
    "postback": "Tap a template's button",
    "list_reply": "Choose from a list",
    "form": "Fill in a Flow",
    "reply": "Reply to a message",
    "forwarded": "Forward a message",
    "referral": "Come through an ad",
    "opt_out": "Write STOP",
    "opt_in": "Write START",
    "read": "Read",
    "unsupported": "A message of a kind that nobody knows yet",
    "raw": "Any form, signed",
}
_FILES = {"image": "image", "video": "video", "audio": "audio", "voice": "audio", "file": "document",
          "sticker": "sticker", "contact": "contacts"}  # fmt: skip
_BSUID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
#: Twilio gives up on a webhook after 15 s and by default repeats it once, only if it could not connect.
TIMEOUT = 15.0
RETRY_DELAY = 0.5
_POLICIES = {"ct": {"connect"}, "rt": {"timeout"}, "4xx": {"4xx"}, "5xx": {"5xx"},
             "all": {"connect", "timeout", "4xx", "5xx"}}  # fmt: skip


def phone_of(customer: Customer) -> str:
    """Return the customer's number with its plus sign, or "" for a user who shows only a user name."""
    number = customer.phone or (customer.id if customer.id.lstrip("+").isdigit() else "")
    return "+" + number.lstrip("+") if number else ""


def user_id_of(customer: Customer) -> str:
    """Return the business-scoped user id, which every user has since April 2026; made up when none was given."""
    if _BSUID.fullmatch(customer.id):
        return customer.id
    return "US." + str(int(hashlib.sha256(customer.id.encode()).hexdigest()[:13], 16))


def address_of(customer: Customer) -> str:
    """Return what From and To hold: the number, or for a user without one the business-scoped id."""
    return "whatsapp:" + (phone_of(customer) or user_id_of(customer))


def compose(act: Act) -> bytes:
    """Build the form that Twilio posts to the account's webhook."""
    if act.content.type == "raw":
        form = act.content.payload
        return urlencode(form, doseq=True).encode() if isinstance(form, dict) else _raw(act.content)
    form = _envelope(act)
    form |= {"Body": act.content.text, "NumMedia": "0", "MessageType": "text"}
    build = _FORMS.get(act.content.type)
    if build is not None:
        form |= build(act)
    return urlencode(form).encode()


def _raw(content: Content) -> bytes:
    return content.bytes or content.text.encode()


def _envelope(act: Act) -> Form:
    customer, phone = act.customer, phone_of(act.customer)
    user = {"ProfileName": customer.name, "WaId": phone.lstrip("+")}
    form = {
        "SmsMessageSid": act.id,
        "MessageSid": act.id,
        "SmsSid": act.id,
        "SmsStatus": "received",
        "AccountSid": act.account.credentials.get("account_sid", ""),
        "From": address_of(customer),
        "To": f"whatsapp:{act.account.address}",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "ApiVersion": "2010-04-01",
        "ExternalUserId": f"whatsapp:{user_id_of(customer)}",
        "ChannelMetadata": json.dumps({"type": "whatsapp", "data": {"context": user}}),
        **user,
    }
    if not phone:
        del form["WaId"]
    if customer.username:
        form["ProfileUsername"] = customer.username
    return form


def _file(act: Act) -> Form:
    assert act.file is not None
    sid = act.account.credentials.get("account_sid", "")
    media = f"{act.base_url}/twilio/2010-04-01/Accounts/{sid}/Messages/{act.id}/Media/ME{act.file.id}"
    form = {
        "NumMedia": "1",
        "MediaUrl0": act.content.url or media,
        "MediaContentType0": act.file.mime,
        "MessageType": _FILES[act.content.type],
    }
    if act.content.type == "file" and not act.content.text:
        form["Body"] = act.file.name  # a document without a caption arrives with its file name as Body
    return form


def _location(act: Act) -> Form:
    content = act.content
    form = {"MessageType": "location", "Latitude": str(content.latitude), "Longitude": str(content.longitude)}
    return form | {key: value for key, value in (("Address", content.address), ("Label", content.name)) if value}


def _replied(act: Act) -> Form:
    if not act.target_id:
        return {}
    outbound = act.target is None or act.target.direction == "out"
    sender = f"whatsapp:{act.account.address}" if outbound else address_of(act.customer)
    return {"OriginalRepliedMessageSid": act.target_id, "OriginalRepliedMessageSender": sender}


def _button(act: Act) -> Form:
    title = act.content.title or act.content.text
    kind = "button" if act.content.type == "postback" else "interactive"
    payload = title if act.content.payload is None else str(act.content.payload)
    return {"MessageType": kind, "Body": title, "ButtonText": title, "ButtonPayload": payload, **_replied(act)}


def _list(act: Act) -> Form:
    title = act.content.title or act.content.text
    chosen = title if act.content.payload is None else str(act.content.payload)
    return {"MessageType": "interactive", "Body": title, "ListTitle": title, "ListId": chosen, **_replied(act)}


def _filled(act: Act) -> Form:
    """Hand in a Flow: `payload` is what was filled in."""
    answers = act.content.payload if act.content.payload is not None else {"name": "Ann", "flow_token": "unused"}
    return {"MessageType": "interactive", "Body": "", "InteractiveData": json.dumps(answers), **_replied(act)}


def _referral(act: Act) -> Form:
    content = act.content
    return {
        "ReferralBody": content.title or "Ask us anything",
        "ReferralHeadline": "Chat with us",
        "ReferralSourceId": content.ad_id or "120208000000000000",
        "ReferralSourceType": content.source or "ad",
        "ReferralSourceUrl": content.url or "https://fb.me/parley",
        "ReferralCtwaClid": content.ref or "ctwa-click-id",
    }


def _opt(act: Act) -> Form:
    word = "STOP" if act.content.type == "opt_out" else "START"
    return {"Body": act.content.text or word, "OptOutType": word}


_FORMS: dict[str, Callable[[Act], Form]] = {
    **dict.fromkeys(_FILES, _file),
    "location": _location,
    "quick_reply": _button,
    "postback": _button,
    "list_reply": _list,
    "form": _filled,
    "reply": _replied,
    "forwarded": lambda _act: {"Forwarded": "true"},
    "referral": _referral,
    "opt_out": _opt,
    "opt_in": _opt,
    "unsupported": lambda _act: {"MessageType": "hologram", "Body": ""},
}


def status_post(account: Account, customer: Customer, message: Message, status: str) -> Post:
    """Build the status callback of one message; its URL is the StatusCallback of the send call."""
    form = {
        "AccountSid": account.credentials.get("account_sid", ""),
        "MessageSid": message.id,
        "SmsSid": message.id,
        "MessageStatus": status,
        "SmsStatus": status,
        "From": f"whatsapp:{account.address}",
        "To": address_of(customer),
        "ChannelToAddress": address_of(customer).removeprefix("whatsapp:"),
        "ChannelPrefix": "whatsapp",
        "ChannelInstallSid": "XE" + hashlib.md5(account.address.encode(), usedforsecurity=False).hexdigest(),
        "StructuredMessage": "false",
        "ApiVersion": "2010-04-01",
    }
    if status in ("delivered", "read"):
        form["EventType"] = status.upper()
    if message.error:
        form |= {"ErrorCode": str(message.error), "ChannelStatusMessage": f"Error {message.error}"}
    ids = {"customer_id": customer.id, "message_id": message.id, "message_status": status}
    return Post(message.callback, urlencode(form).encode(), "status", ids)


def read(account: Account, customer: Customer, unread: list[Message]) -> list[Post]:
    """Build one callback for each message that was read and that asked for callbacks."""
    status: Status = "read"
    return [status_post(account, customer, message, status) for message in unread if message.callback]


def new_id(content: Content, _at: float) -> str:
    return twilio_sid("MM" if content.type in _FILES else "SM")


def headers(account: Account, url: str, body: bytes, forged: bool) -> dict[str, str]:  # noqa: FBT001
    params = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    signed = urlsplit(url)._replace(fragment="").geturl()
    return {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "User-Agent": "TwilioProxy/1.1",
        "X-Home-Region": "us1",
        "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
        "X-Twilio-Signature": twilio_signature(secret(account, "auth_token", forged=forged), signed, params),
    }


def schedule(account: Account) -> Schedule:
    """Read the connection overrides (#rc=5&rp=all) from the webhook's URL; the default is one retry of "ct"."""
    options = parse_qs(urlsplit(account.webhook_url).fragment)
    count = min(5, int(options.get("rc", ["1"])[0]))
    on: set[str] = set()
    for policy in options.get("rp", ["ct"])[0].split(","):
        on |= _POLICIES.get(policy, set())
    if account.retries is not None:
        on = _POLICIES["all"]
    waits = tuple(RETRY_DELAY * 2**n for n in range(count))
    return Schedule(timeout=TIMEOUT, delays=delays(account, waits), on=frozenset(on))


async def handshake(_account: Account, _courier: Courier) -> str:
    """Twilio asks nothing of a webhook before it uses it."""
    return "ok"


HANDSET = Handset("whatsapp", "number", KINDS, new_id, compose, headers, handshake, read, schedule)
