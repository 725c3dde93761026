"""The messengers' side of the world and a webhook that keeps what it is sent, both on real sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from twilio.http.http_client import TwilioHttpClient

from sandbox.world import graph, phones, twilio, xapi
from sandbox.world.accounts import Account, Phones
from sandbox.world.delivery import Courier
from sandbox.world.faults import Fault
from sandbox.world.world import World

TestServer.__test__ = False
PUBLIC = "https://parley.example"
CREDENTIALS = {
    "twitter": {
        "consumer_key": "ck",
        "consumer_secret": "cs & more",
        "access_token": "at",
        "access_token_secret": "ats",
        "user_id": "4337869213",
        "oauth2_token": "user-token",
        "bearer_token": "app-token",
    },
    "messenger": {
        "app_secret": "app-secret",
        "page_id": "1067280970047460",
        "page_access_token": "page-token",
        "verify_token": "verify me",
    },
    "whatsapp": {"account_sid": "AC" + "0" * 32, "auth_token": "twilio-token", "number": "+15550001111"},
}
ADDRESSES = {"twitter": "4337869213", "messenger": "1067280970047460", "whatsapp": "+15550001111"}
CUSTOMERS = {
    "twitter": {"id": "3001969357", "name": "Zoë Ünal", "username": "zoe"},
    "messenger": {"id": "24987654321", "name": "Zoë Ünal"},
    "whatsapp": {"id": "+4915110000001", "name": "Zoë Ünal"},
}


@dataclass
class Hook:
    """One request that arrived at the webhook."""

    path_qs: str
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass
class Receiver:
    """The company's webhook: answers handshakes, keeps posts, and answers `statuses` in turn, then 200."""

    got: list[Hook] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def post(self, request: web.Request) -> web.Response:
        self.got.append(Hook(request.raw_path, request.headers.copy(), await request.read()))
        self.arrived.set()
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def shake(self, request: web.Request) -> web.Response:
        token = request.query.get("crc_token")
        if token is not None:
            digest = hmac.digest(CREDENTIALS["twitter"]["consumer_secret"].encode(), token.encode(), hashlib.sha256)
            return web.json_response({"response_token": "sha256=" + base64.b64encode(digest).decode()})
        if request.query.get("hub.verify_token") == CREDENTIALS["messenger"]["verify_token"]:
            return web.Response(text=request.query["hub.challenge"])
        return web.Response(status=403)

    async def until(self, count: int) -> list[Hook]:
        """Wait until so many posts have come."""
        async with asyncio.timeout(30):
            while len(self.got) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.got


@dataclass
class Lab:
    world: World
    receiver: Receiver
    hooks: str
    http: aiohttp.ClientSession

    async def register(self, kind: str, path: str = "/webhooks/hook/?a=1", **more: Any) -> dict[str, Any]:
        """Register with a public address whose connections end at the receiver."""
        form = {"kind": kind, "webhook_url": PUBLIC + path, "deliver_to": self.hooks, "credentials": CREDENTIALS[kind]}
        return await self.ask("POST", "/phones/accounts", {**form, **more})

    async def write(self, kind: str, content: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
        content = {"type": "text", "text": content} if isinstance(content, str) else content
        body = {"from": CUSTOMERS[kind], "content": content, **more}
        return await self.ask("POST", f"/phones/{kind}/{ADDRESSES[kind]}/messages", body)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http.request(method, self.world.base_url + path, json=body) as answer:
            text = await answer.text()
            assert answer.status == 200, f"{answer.status}: {text}"
            return json.loads(text)

    async def thread(self, kind: str) -> list[dict[str, Any]]:
        return await self.ask("GET", f"/phones/{kind}/{ADDRESSES[kind]}/threads/{CUSTOMERS[kind]['id']}")

    async def read(self, kind: str) -> Any:
        return await self.ask("POST", f"/phones/{kind}/{ADDRESSES[kind]}/threads/{CUSTOMERS[kind]['id']}/read")

    def account(self, kind: str) -> Account:
        return self.world.part(Phones).accounts[kind, ADDRESSES[kind]]

    def fault(self, name: str, **more: Any) -> None:
        self.world.faults.on.append(Fault(name=name, **more))

    def lines(self, what: str) -> list[dict[str, Any]]:
        return [line.fields for line in self.world.ledger.lines if line.what == what]

    async def idle(self) -> None:
        await self.world.part(Courier).idle()


@asynccontextmanager
async def messengers() -> Any:
    """Serve a world with the messengers' side and a receiver; close both."""
    world, receiver = World(base_url=""), Receiver()
    hooks_app = web.Application()
    hooks_app.router.add_post("/{tail:.*}", receiver.post)
    hooks_app.router.add_get("/{tail:.*}", receiver.shake)
    app = web.Application()
    for service in (xapi, graph, twilio, phones):
        app.add_routes(service.routes(world))
    async with TestServer(hooks_app) as hooks, TestServer(app) as server, aiohttp.ClientSession() as http:
        world.base_url = str(server.make_url("")).rstrip("/")
        try:
            yield Lab(world, receiver, str(hooks.make_url("")).rstrip("/"), http)
        finally:
            for part in world.parts.values():
                await part.close()


class Rewrite(HTTPAdapter):
    """Sends what was meant for a provider's host to the simulator, after it was signed."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        assert request.url is not None
        request.url = self.base_url + request.path_url
        return super().send(request, *args, **kwargs)


def rewriting(session: Session, host: str, base_url: str) -> Session:
    session.mount(host, Rewrite(base_url))
    return session


class TwilioClient(TwilioHttpClient):
    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        path = url.split("/", 3)[3]
        return super().request(method, f"{self.base_url}/{path}", *args, **kwargs)
