"""Send webhooks to either endpoint in this process, signed as the providers sign them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application

from channels_app.models import ChannelAccount, InboundEntry, WebhookDelivery
from channels_app.webhooks.asgi import WebhookASGI
from config import urls as _urls  # noqa: F401 - loaded now, see DJANGO

#: The ASGI endpoint has connections of its own, so it must find accounts committed. Only what webhooks leave behind is
#: then emptied, not every table of the product: that would take longer than the test.
COMMITTED = pytest.mark.django_db(transaction=True, available_apps=["channels_app"])
ENDPOINTS = ("asgi", "django")
#: Made while all apps are there: a COMMITTED test sees no others.
DJANGO = get_asgi_application()
HOST = ("Host", "127.0.0.1")


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.body)
        return result

    @property
    def word(self) -> str:
        """What was answered, in a word: the error's code or the delivery's status."""
        status = self.headers.get("x-parley-status", "")
        return status or self.json["error"]


@dataclass(frozen=True)
class Post:
    """A request to a webhook. `chunks` is the body as the server hands it on."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = (b"",)
    query: str = ""
    method: str = "POST"
    host: tuple[str, str] = HOST

    @property
    def scope(self) -> dict[str, Any]:
        size = ("Content-Length", str(sum(map(len, self.chunks))))
        params = [self.host, *self.headers] if any(name == "Content-Length" for name, _ in self.headers) else None
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "path": self.path,
            "raw_path": quote(self.path).encode(),
            "query_string": self.query.encode(),
            "headers": [
                (name.lower().encode(), value.encode("utf-8"))
                for name, value in params or (self.host, *self.headers, size)
            ],
            "client": ("203.0.113.9", 4711),
            "server": ("127.0.0.1", 8000),
            "scheme": "http",
        }


async def ask(application: Any, post: Post) -> Reply:
    """Make one request of an ASGI application."""
    said: list[dict[str, Any]] = []
    waiting = list(post.chunks)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()  # the client stays, and says no more
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    await application(post.scope, receive, send)
    start = said[0]
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], headers, b"".join(message.get("body", b"") for message in said[1:]))


def deliver(endpoint: str, *posts: Post) -> list[Reply]:
    """Make requests of a endpoint, one after the other, and return the answers."""

    async def through() -> list[Reply]:
        if endpoint == "django":
            return [await ask(DJANGO, post) for post in posts]
        asgi = WebhookASGI(DJANGO)
        try:
            return [await ask(asgi, post) for post in posts]
        finally:
            await asgi.close()

    return async_to_sync(through)()


def path_of(account: ChannelAccount) -> str:
    return f"/webhooks/{account.kind}/{account.id}/"


def sign(account: ChannelAccount, body: bytes) -> tuple[str, str]:
    """Return the provider's signature header over a body."""
    held = account.credentials
    if account.kind == "messenger":
        return "X-Hub-Signature-256", "sha256=" + hmac.new(
            held["app_secret"].encode(), body, hashlib.sha256
        ).hexdigest()
    digest = hmac.new(held["consumer_secret"].encode(), body, hashlib.sha256).digest()
    return "x-twitter-webhooks-signature", "sha256=" + base64.b64encode(digest).decode()


def signed(account: ChannelAccount, body: bytes, **more: Any) -> Post:
    """Return a JSON webhook of Messenger or X, signed."""
    headers = (("Content-Type", "application/json"), sign(account, body), *more.pop("headers", ()))
    return Post(path_of(account), headers, (body,), **more)


def twilio(account: ChannelAccount, fields: Iterable[tuple[str, str]], **more: Any) -> Post:
    """Return a form of Twilio's, signed over the public address."""
    pairs = list(fields)
    query = more.get("query", "")
    url = f"{more.pop('base', settings.PUBLIC_BASE_URL)}{path_of(account)}" + (f"?{query}" if query else "")
    text = url + "".join(name + value for name, value in sorted(pairs))
    digest = hmac.new(account.credentials["auth_token"].encode(), text.encode(), hashlib.sha1).digest()
    headers = (
        ("Content-Type", more.pop("content_type", "application/x-www-form-urlencoded")),
        ("X-Twilio-Signature", base64.b64encode(digest).decode()),
        *more.pop("headers", ()),
    )
    return Post(path_of(account), headers, (urlencode(pairs).encode(),), **more)


def whatsapp_fields(account: ChannelAccount, **changed: str) -> list[tuple[str, str]]:
    """Return the fields of a WhatsApp message to this account."""
    fields = {
        "MessageSid": "SM" + "0" * 32,
        "AccountSid": account.credentials["account_sid"],
        "From": "whatsapp:+34611222333",
        "To": f"whatsapp:{account.address}",
        "Body": "hola",
        "NumMedia": "0",
        **changed,
    }
    return list(fields.items())


def said_on_page(account: ChannelAccount, *messages: dict[str, Any]) -> dict[str, Any]:
    """Return a Messenger batch in which a customer says these messages to the account's Page."""
    items = [
        {
            "sender": {"id": "8001"},
            "recipient": {"id": account.address},
            "timestamp": 1_790_000_000_000,
            "message": {"mid": f"m_{index}", "text": "hello", **message},
        }
        for index, message in enumerate(messages)
    ]
    return {"object": "page", "entry": [{"id": account.address, "time": 1, "messaging": items}]}


def page_post(account: ChannelAccount, *messages: dict[str, Any], **more: Any) -> Post:
    return signed(account, json.dumps(said_on_page(account, *messages)).encode(), **more)


def x_post(account: ChannelAccount, text: str = "hi", event: str = "95", user: str = "7001") -> Post:
    body = {
        "for_user_id": account.address,
        "direct_message_events": [
            {
                "type": "message_create",
                "id": event,
                "created_timestamp": "1790000000000",
                "message_create": {
                    "target": {"recipient_id": account.address},
                    "sender_id": user,
                    "message_data": {"text": text},
                },
            }
        ],
    }
    return signed(account, json.dumps(body).encode())


def message_post(account: ChannelAccount) -> Post:
    """Return a plain message on whatever channel the account is."""
    if account.kind == "whatsapp":
        return twilio(account, whatsapp_fields(account))
    return page_post(account, {}) if account.kind == "messenger" else x_post(account)


def deliveries(account: ChannelAccount) -> list[str]:
    result = WebhookDelivery.objects.filter(account=account).order_by("received_at")
    return list(result.values_list("state", flat=True))


def entries(account: ChannelAccount) -> Sequence[InboundEntry]:
    return list(InboundEntry.objects.filter(account=account).order_by("id"))
