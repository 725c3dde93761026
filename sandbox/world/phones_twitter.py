"""X: direct messages as Account Activity, as X Activity (XAA), and as X Chat's encrypted events.

Sources: docs.x.com, "Account Activity API" (data objects) and "X Activity API"; v1.1 direct message events.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
import uuid
from typing import Any
from urllib.parse import urlencode

from sandbox.world.accounts import Account
from sandbox.world.delivery import Courier, Schedule, connect_to
from sandbox.world.handset import FAST_DELAYS, Act, Handset, Post, delays, secret
from sandbox.world.signing import x_signature
from sandbox.world.threads import Content, Customer, Message, x_id

Json = dict[str, Any]

KINDS = {
    "text": "Text",
    "image": "Photo",
    "gif": "GIF",
    "video": "Video",
    "location": "Location",
    "link": "Link or shared post",
    "quick_reply": "Tap a quick reply",
    "referral": "Write after a post's or a welcome message's button",
    "typing": "Type",
    "read": "Read",
    "opt_in": "Follow the account",
    "echo": "The company writes from X's own app",
    "revoke": "The account's owner revokes the app",
    "profile": "Change the handle (X Activity)",
    "unsupported": "An event of a kind that nobody knows yet",
    "raw": "Any body, signed",
}
#: X waits 10 s for the 2xx; how often it tries again is not documented.
TIMEOUT = 10.0
EVENT_TYPES = {"typing": "dm.indicate_typing", "read": "dm.read", "echo": "dm.sent", "revoke": "oauth.revoke"}
_MEDIA_TYPES = {"image": "photo", "gif": "animated_gif", "video": "video"}


def compose(act: Act) -> bytes:
    """Build the body in the shape that the act asks for: aaa (default), xaa, or chat."""
    if act.content.type == "raw":
        return _raw(act)
    shape = act.shape or act.account.shape or "aaa"
    if act.content.type == "profile":
        shape = "xaa"
    build = {"aaa": _account_activity, "xaa": _activity, "chat": _chat}[shape]
    return json.dumps(build(act), ensure_ascii=False, separators=(",", ":")).encode()


def _raw(act: Act) -> bytes:
    if act.content.payload is not None:
        return json.dumps(act.content.payload, ensure_ascii=False).encode()
    return act.content.bytes or act.content.text.encode()


def _account_activity(act: Act) -> Json:
    if act.content.type == "revoke":
        source, app = {"user_id": act.account.address}, {"app_id": _app_id(act.account)}
        when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(act.at))
        return {"user_event": {"revoke": {"date_time": when, "target": app, "source": source}}}
    return {"for_user_id": act.account.address, **_events(act), **_users(act, xaa=False)}


def _activity(act: Act) -> Json:
    event_type = EVENT_TYPES.get(act.content.type, "dm.received")
    payload: Json = {**_events(act), **_users(act, xaa=True)}
    if act.content.type == "revoke":
        payload = {"user_id": act.account.address, "app_id": _app_id(act.account)}
    elif act.content.type == "profile":
        event_type = "profile.update.handle"
        payload = {"before": act.customer.username or _handle(act.customer), "after": act.content.text or "new_handle"}
    elif act.content.type == "opt_in":
        event_type = "follow.follow"
    elif act.content.type == "unsupported":
        event_type = "dm.not_known_yet"
    return _envelope(act, event_type, payload)


def _chat(act: Act) -> Json:
    """Wrap ciphertext as X Chat does. The bytes are random: only a holder of the keys could read a real one."""
    sent = act.content.type == "echo"
    sender, other = (act.account.address, act.customer.id) if sent else (act.customer.id, act.account.address)
    payload = {
        "id": act.id,
        "sender_id": sender,
        "conversation_id": f"{act.customer.id}:{act.account.address}",
        "recipient_id": other,
        "encoded_event": base64.b64encode(secrets.token_bytes(160)).decode(),
        "conversation_token": secrets.token_urlsafe(24),
        "message_event_signature": {"signature": base64.b64encode(secrets.token_bytes(64)).decode(), "version": "4"},
        "created_at_msec": str(act.ms),
    }
    return _envelope(act, "chat.sent" if sent else "chat.received", payload)


def _envelope(act: Act, event_type: str, payload: Json) -> Json:
    data = {
        # Seen in the wild: a signed 64-bit number in a string, often negative.
        "event_uuid": str(uuid.uuid4().int % 2**64 - 2**63),
        "event_type": event_type,
        "filter": {"user_id": act.account.address},
        "tag": str(act.account.subscriptions.get(event_type, {}).get("tag", "")),
        "payload": payload,
    }
    return {"data": data}


def _events(act: Act) -> Json:
    stamp, sender, target = str(act.ms), act.customer.id, {"recipient_id": act.account.address}
    if act.content.type == "typing":
        event = {"created_timestamp": stamp, "sender_id": sender, "target": target}
        return {"direct_message_indicate_typing_events": [event]}
    if act.content.type == "read":
        event = {"created_timestamp": stamp, "sender_id": sender, "target": target}
        return {"direct_message_mark_read_events": [{**event, "last_read_event_id": act.target_id}]}
    if act.content.type == "opt_in":
        source, company = _user(act.customer), {"id": act.account.address, "screen_name": "company"}
        follow = {"type": "follow", "created_timestamp": stamp, "target": company, "source": source}
        return {"follow_events": [follow]}
    if act.content.type == "unsupported":
        return {"direct_message_hologram_events": [{"id": act.id, "created_timestamp": stamp, "sender_id": sender}]}
    return _message_events(act)


def _message_events(act: Act) -> Json:
    echo = act.content.type == "echo"
    sender, to = (act.account.address, act.customer.id) if echo else (act.customer.id, act.account.address)
    create: Json = {"target": {"recipient_id": to}, "sender_id": sender, "message_data": _message_data(act)}
    event: Json = {"type": "message_create", "id": act.id, "created_timestamp": str(act.ms)}
    if act.content.type == "referral":
        key = "welcome_message_id" if act.content.source == "welcome_message" else "tweet_id"
        event["initiated_via"] = {key: act.content.ref or x_id(act.at)}
    app = act.content.source or (x_id() if echo else "")
    if echo and app:
        create["source_app_id"] = app
    result: Json = {"direct_message_events": [{**event, "message_create": create}]}
    if echo and app:
        result["apps"] = {app: {"id": app, "name": "X Web App", "url": "https://x.com"}}
    return result


def escaped(text: str) -> str:
    """Escape as X does, once: `&`, `<` and `>` and nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _message_data(act: Act) -> Json:
    content, text = act.content, escaped(act.content.text)
    if content.type == "link":
        return _with_link(text, content.url or "https://x.com/company/status/1")
    if content.type in _MEDIA_TYPES:
        link = f"https://t.co/{act.id[-10:]}"
        data = _with_link(text, f"https://x.com/messages/media/{act.id}", link)
        data["attachment"] = {"type": "media", "media": _media(act, link, len(data["text"]))}
        return data
    data = {"text": text or escaped(content.title), "entities": _entities([])}
    if content.type == "location":
        point = {"type": "Point", "coordinates": [content.longitude, content.latitude]}
        shared = {"type": "shared_coordinate", "shared_coordinate": {"coordinates": point}}
        data["attachment"] = {"type": "location", "location": shared}
    if content.type == "quick_reply":
        data["quick_reply_response"] = {"type": "options", "metadata": str(content.payload or "")}
    return data


def _with_link(text: str, expanded: str, short: str = "https://t.co/parleydemo") -> Json:
    whole = f"{text} {short}" if text else short
    at = [len(whole) - len(short), len(whole)]
    url = {"url": short, "expanded_url": expanded, "display_url": expanded.removeprefix("https://"), "indices": at}
    return {"text": whole, "entities": _entities([url])}


def _entities(urls: list[Json]) -> Json:
    return {"hashtags": [], "symbols": [], "user_mentions": [], "urls": urls}


def _media(act: Act, link: str, end: int) -> Json:
    assert act.file is not None
    name, kind = act.file.name, _MEDIA_TYPES[act.content.type]
    picture = act.content.url or f"{act.base_url}/x/1.1/ton/data/dm/{act.id}/{act.file.id}/{name}"
    size = {"w": 96, "h": 64, "resize": "fit"}
    media: Json = {
        "id": int(act.id),
        "id_str": act.id,
        "indices": [end - len(link), end],
        "media_url": picture,
        "media_url_https": picture,
        "url": link,
        "display_url": f"pic.x.com/{link[-10:]}",
        "expanded_url": f"https://x.com/messages/media/{act.id}",
        "type": kind,
        "sizes": {"thumb": {**size, "resize": "crop"}, "small": size, "medium": size, "large": size},
    }
    if kind != "photo":
        clip = act.content.url or f"{act.base_url}/phones/media/{act.file.id}/{name}"
        variant = {"bitrate": 0, "content_type": act.file.mime, "url": clip}
        media["video_info"] = {"aspect_ratio": [3, 2], "duration_millis": 1000, "variants": [variant]}
    return media


def _handle(customer: Customer) -> str:
    return customer.username or (customer.name or "user").replace(" ", "_").lower()[:15]


def _user(customer: Customer) -> Json:
    picture = "https://abs.twimg.com/sticky/default_profile_images/default_profile_normal.png"
    return {
        "id": customer.id,
        "created_timestamp": "1422556069340",
        "name": escaped(customer.name or _handle(customer)),
        "screen_name": _handle(customer),
        "protected": False,
        "verified": False,
        "followers_count": 12,
        "friends_count": 34,
        "statuses_count": 56,
        "profile_image_url": picture,
        "profile_image_url_https": picture,
    }


def _users(act: Act, *, xaa: bool) -> Json:
    company = Customer(id=act.account.address, name=act.account.name, username="company")
    people = [_user(act.customer), _user(company)]
    if not xaa:
        return {"users": {person["id"]: person for person in people}}
    keys = {"id": "id", "name": "name", "screen_name": "username", "profile_image_url": "profile_image_url"}
    return {"users": {p["id"]: {"data": {new: p[old] for old, new in keys.items()}} for p in people}}


def _app_id(account: Account) -> str:
    return account.credentials.get("app_id", "13090192")


def new_id(_content: Content, at: float) -> str:
    return x_id(at)


def headers(account: Account, _url: str, body: bytes, forged: bool) -> dict[str, str]:  # noqa: FBT001
    signature = x_signature(secret(account, "consumer_secret", forged=forged), body)
    return {"Content-Type": "application/json", "x-twitter-webhooks-signature": signature}


def schedule(account: Account) -> Schedule:
    return Schedule(timeout=TIMEOUT, delays=delays(account, FAST_DELAYS))


async def handshake(account: Account, courier: Courier) -> str:
    """Ask for the CRC answer, as on creation and then hourly; return "ok" or why X would refuse the webhook."""
    token = base64.b64encode(secrets.token_bytes(32)).decode()
    query = urlencode({"crc_token": token, "nonce": secrets.token_urlsafe(24)})
    consumer_secret = account.credentials.get("consumer_secret", "")
    signed = {"x-twitter-webhooks-signature": x_signature(consumer_secret, query.encode())}
    url = connect_to(account.webhook_url, account.deliver_to)
    status, body = await courier.get(url + ("&" if "?" in url else "?") + query, signed, 3.0)
    if status // 100 != 2:  # noqa: PLR2004
        return f"CRC GET request returned {status}: {body[:200]}"
    try:
        answer = json.loads(body).get("response_token")
    except (ValueError, AttributeError):
        return "CRC answer is not a JSON object"
    return "ok" if answer == x_signature(consumer_secret, token.encode()) else "CRC response_token is wrong"


def read(account: Account, customer: Customer, unread: list[Message]) -> list[Post]:
    """Build one receipt that covers everything up to the newest unread message."""
    newest = max(unread, key=lambda message: message.at)
    act = Act(account, customer, Content(type="read"), x_id(), newest.at, "", target=newest)
    return [Post(account.webhook_url, compose(act), "read", {"customer_id": customer.id, "message_id": newest.id})]


HANDSET = Handset("twitter", "user_id", KINDS, new_id, compose, headers, handshake, read, schedule)
