"""Facebook Messenger: every webhook that a Page gets.

Source: developers.facebook.com, "Messenger Platform", webhook events reference.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from sandbox.world.accounts import Account
from sandbox.world.delivery import Courier, Schedule, connect_to
from sandbox.world.handset import FAST_DELAYS, Act, Handset, Post, delays, secret
from sandbox.world.signing import meta_json, meta_signature
from sandbox.world.threads import Content, Customer, Message, messenger_id

Json = dict[str, Any]

KINDS = {
    "text": "Text",
    "image": "Photo",
    "video": "Video",
    "audio": "Audio",
    "voice": "Voice message",
    "file": "File",
    "sticker": "Sticker",
    "like": "The thumb beside the text field",
    "location": "Location",
    "link": "Shared link",
    "reel": "Shared reel",
    "post": "Shared post",
    "template": "Forwarded template",
    "quick_reply": "Tap a quick reply",
    "postback": "Tap a button",
    "reply": "Reply to a message",
    "story": "Reply to a story",
    "reaction": "React with an emoji",
    "edit": "Edit a message",
    "unsend": "Unsend a message",
    "referral": "Come through a link or an ad",
    "opt_in": "Accept marketing messages",
    "opt_out": "Stop marketing messages",
    "read": "Read",
    "echo": "The Page answers from its own inbox",
    "standby": "Write while another app owns the thread",
    "handover": "The thread is passed to another app",
    "account_linking": "Link an account",
    "unsupported": "An event or attachment of a kind that nobody knows yet",
    "raw": "Any body, signed",
}
#: Meta wants the 2xx within 5 s; it repeats at once and then ever more rarely, for 36 h.
TIMEOUT = 5.0
#: The thumb, small, medium and large: not documented, reported by who got them (restfb issue 666).
THUMBS = {"small": 369239263222822, "medium": 369239343222814, "large": 369239383222810}
STICKER = 126361874215276
_FILES = {"image": "image", "video": "video", "audio": "audio", "voice": "audio", "file": "file"}
_SHARED = {"link": "fallback", "reel": "reel", "post": "post", "template": "template", "sticker": "sticker",
           "like": "sticker"}  # fmt: skip
INBOX_APP = 263902037430900  # the Page's own inbox, as echoes name it


def compose(act: Act) -> bytes:
    """Build the whole body, one entry with one event."""
    if act.content.type == "raw":
        body = act.content.payload
        return meta_json(body) if body is not None else act.content.bytes or act.content.text.encode()
    field = "standby" if act.content.type == "standby" else "messaging"
    people = (act.account.address, act.customer.id) if act.content.type == "echo" else (act.customer.id, "")
    return envelope(act.account, people[0], people[1] or act.account.address, act.ms, _event(act), field)


def envelope(account: Account, sender: str, recipient: str, ms: int, event: Json, field: str = "messaging") -> bytes:
    """Wrap one event of `ms` (milliseconds) as Meta does, escaped and ready to sign."""
    item = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": ms, **event}
    entry = {"time": int(time.time() * 1000), "id": account.address, field: [item]}
    return meta_json({"object": "page", "entry": [entry]})


def _event(act: Act) -> Json:
    build = _EVENTS.get(act.content.type)
    return build(act) if build else {"message": _message(act)}


def _message(act: Act) -> Json:
    content = act.content
    message: Json = {"mid": act.id}
    if content.text or content.title:
        message["text"] = content.text or content.title
    if content.type == "quick_reply":
        message["quick_reply"] = {"payload": _text(content.payload)}
    if content.type == "reply":
        message["reply_to"] = {"mid": act.target_id}
    if content.type == "story":
        message["reply_to"] = {"story": {"url": content.url or "https://example.com/story", "id": content.ref or "1"}}
    attachment = _attachment(act)
    if attachment:
        message["attachments"] = [attachment]
    return message


def _attachment(act: Act) -> Json | None:
    content = act.content
    if content.type == "location":
        place = {"lat": content.latitude, "long": content.longitude}
        url = content.url or f"https://l.facebook.com/l.php?u=map%2F{content.latitude}%2F{content.longitude}"
        return {"title": content.name or "Pinned Location", "url": url, "type": "location",
                "payload": {"coordinates": place}}  # fmt: skip
    if content.type in _FILES:
        return {"type": _FILES[content.type], "payload": {"url": _url(act)}}
    if content.type == "unsupported":
        return {"type": "hologram", "payload": {"hologram_id": act.id}}
    if content.type not in _SHARED:
        return None
    payload: Json = {"url": content.url or "https://example.com/shared"}
    if content.variant == "string_payload":  # seen of old shares: the address itself instead of an object
        return {"type": _SHARED[content.type], "payload": payload["url"], "title": content.title}
    if content.type in ("sticker", "like"):
        thumb = THUMBS.get(content.variant or "small", STICKER) if content.type == "like" else STICKER
        payload = {"url": _url(act), "sticker_id": thumb}
    elif content.title or content.name:
        payload["title"] = content.title or content.name
    return {"type": _SHARED[content.type], "payload": payload}


def _url(act: Act) -> str:
    assert act.file is not None
    return act.content.url or f"{act.base_url}/graph/cdn/{act.file.id}/{act.file.name}?oh=signed&oe=expires"


def _text(payload: object) -> str:
    return "" if payload is None else str(payload)


def _referral(act: Act) -> Json:
    content = act.content
    referral = {"ref": content.ref, "source": content.source or "SHORTLINK", "type": "OPEN_THREAD"}
    return {**referral, "source": "ADS", "ad_id": content.ad_id} if content.ad_id else referral


def _postback(act: Act) -> Json:
    content = act.content
    title = content.title or content.text or "Get Started"
    postback: Json = {"title": title, "payload": _text(content.payload) or "GET_STARTED", "mid": act.id}
    if content.ref or content.ad_id:
        postback["referral"] = _referral(act)
    return {"postback": postback}


def _reaction(act: Act) -> Json:
    reaction: Json = {"mid": act.target_id, "action": act.content.action}
    if act.content.action == "react":
        reaction |= {"reaction": "love" if act.content.emoji == "❤" else "other", "emoji": act.content.emoji}
    return {"reaction": reaction}


def _edit(act: Act) -> Json:
    edits = 1 + (act.target.edits if act.target else 0)
    return {"message_edit": {"mid": act.target_id, "text": act.content.text, "num_edit": edits}}


def _optin(act: Act) -> Json:
    optin: Json = {
        "type": "notification_messages",
        "payload": act.content.ref or "NEWS",
        "notification_messages_token": secrets.token_hex(16),
        "token_expiry_timestamp": act.ms + 365 * 86_400_000,
        "user_token_status": "REFRESHED",
        "title": act.content.title or "News from us",
    }
    if act.content.type == "opt_out":
        optin["notification_messages_status"] = "STOP_NOTIFICATIONS"
    return {"optin": optin}


def _echo(act: Act) -> Json:
    app = act.content.source or str(INBOX_APP)
    return {"message": {"mid": act.id, "is_echo": True, "app_id": int(app), "text": act.content.text}}


def _handover(act: Act) -> Json:
    owners = {"new_owner_app_id": act.content.source or str(INBOX_APP), "previous_owner_app_id": None}
    return {"pass_thread_control": {**owners, "metadata": act.content.text}}


def _unsupported(act: Act) -> Json:
    if act.content.variant == "attachment":
        return {"message": _message(act)}
    return {"hologram": {"mid": act.id, "anything": [1, {"nested": True}]}}


def _linking(act: Act) -> Json:
    code = _text(act.content.payload) or "authorization-code"
    return {"account_linking": {"status": act.content.action.replace("react", "linked"), "authorization_code": code}}


_EVENTS: dict[str, Callable[[Act], Json]] = {
    "postback": _postback,
    "reaction": _reaction,
    "edit": _edit,
    "unsend": lambda act: {"message": {"mid": act.target_id, "is_deleted": True}},
    "referral": lambda act: {"referral": _referral(act)},
    "opt_in": _optin,
    "opt_out": _optin,
    "read": lambda act: {"read": {"watermark": act.ms}},
    "echo": _echo,
    "account_linking": _linking,
    "handover": _handover,
    "unsupported": _unsupported,
}


def new_id(_content: Content, _at: float) -> str:
    return messenger_id()


def headers(account: Account, _url: str, body: bytes, forged: bool) -> dict[str, str]:  # noqa: FBT001
    signature = meta_signature(secret(account, "app_secret", forged=forged), body)
    return {
        "Content-Type": "application/json",
        "User-Agent": "facebookexternalua",
        "X-Hub-Signature-256": signature,
    }


def schedule(account: Account) -> Schedule:
    return Schedule(timeout=TIMEOUT, delays=delays(account, FAST_DELAYS))


async def handshake(account: Account, courier: Courier) -> str:
    """Ask the verification request; return "ok" or why Meta would refuse the callback URL."""
    challenge = str(secrets.randbelow(10**10))
    token = account.credentials.get("verify_token", "")
    query = urlencode({"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token})
    url = connect_to(account.webhook_url, account.deliver_to)
    status, body = await courier.get(url + ("&" if "?" in url else "?") + query, {}, TIMEOUT)
    if status // 100 != 2:  # noqa: PLR2004
        return f"The callback URL answered {status}: {body[:200]}"
    return "ok" if body == challenge else "The callback URL did not answer with hub.challenge"


def read(account: Account, customer: Customer, unread: list[Message]) -> list[Post]:
    """Build one receipt: its watermark covers everything sent until now. Source: message-reads."""
    now = int(time.time() * 1000)
    body = envelope(account, customer.id, account.address, now, {"read": {"watermark": now}})
    ids = {"customer_id": customer.id, "message_id": unread[-1].id}
    return [Post(account.webhook_url, body, "read", ids)]


HANDSET = Handset("messenger", "page_id", KINDS, new_id, compose, headers, handshake, read, schedule)
