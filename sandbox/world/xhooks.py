"""X's webhooks and subscriptions, as an app manages them.

Sources: docs.x.com, "Webhooks API", "Account Activity API v2", "X Activity API".
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from sandbox.world.accounts import Account, Phones
from sandbox.world.calls import Provider, Refusal, note, reply
from sandbox.world.delivery import Courier
from sandbox.world.phones_twitter import handshake
from sandbox.world.threads import x_id
from sandbox.world.world import World
from sandbox.world.xauth import XAuth

Json = dict[str, Any]


def refused(status: int, message: str) -> Refusal:
    return Refusal(status, {"errors": [{"message": message}], "title": "Invalid Request", "detail": message}, status)


class XHooks:
    """One webhook for each app; every account of the app (same consumer key) shares it."""

    def __init__(self, world: World) -> None:
        self.auth = world.part(XAuth)
        self.phones = world.part(Phones)
        self.courier = world.part(Courier)

    def _accounts(self, app: Account) -> list[Account]:
        key = app.credentials.get("consumer_key")
        return [account for account in self.phones.of("twitter") if account.credentials.get("consumer_key") == key]

    async def create(self, request: web.Request) -> web.Response:
        """Create the webhook after a CRC; 400 when the address does not answer it."""
        app = self.auth.app(request, await request.read())
        url = str((await request.json()).get("url", ""))
        before = app.webhook_url
        app.webhook_url = url
        app.handshake = await handshake(app, self.courier)
        note(request, url=url, handshake=app.handshake)
        if app.handshake != "ok":
            app.webhook_url = before
            raise refused(400, f"CrcValidationFailed: {app.handshake}")
        webhook_id = x_id()
        for account in self._accounts(app):
            account.webhook_url, account.webhook_id = url, webhook_id
        return reply({"data": _webhook(app)})

    async def webhooks(self, request: web.Request) -> web.Response:
        app = self.auth.app(request, await request.read())
        data = [_webhook(app)] if app.webhook_url else []
        return reply({"data": data, "meta": {"result_count": len(data)}})

    async def validate(self, request: web.Request) -> web.Response:
        """PUT: run the CRC again now."""
        app = self._named(request, self.auth.app(request, await request.read()))
        app.handshake = await handshake(app, self.courier)
        note(request, handshake=app.handshake)
        return reply({"data": {"valid": app.handshake == "ok"}})

    async def delete(self, request: web.Request) -> web.Response:
        app = self._named(request, self.auth.app(request, await request.read()))
        for account in self._accounts(app):
            account.webhook_url, account.webhook_id = "", ""
        return reply({"data": {"deleted": True}})

    def _named(self, request: web.Request, app: Account) -> Account:
        if _webhook(app)["id"] != request.match_info["webhook_id"]:
            raise refused(404, "Webhook not found")
        return app

    async def subscribe_all(self, request: web.Request) -> web.Response:
        """Subscribe the calling user to Account Activity; afterwards its events come in that shape."""
        app = self._named(request, self.auth.user(request, await request.read()))
        app.shape = "aaa"
        return reply({"data": {"subscribed": True}})

    async def subscribed_all(self, request: web.Request) -> web.Response:
        app = self._named(request, self.auth.user(request, await request.read()))
        return reply({"data": {"subscribed": app.shape in ("", "aaa")}})

    async def subscribe(self, request: web.Request) -> web.Response:
        """Subscribe to one XAA event type of the calling user; afterwards its events come in that shape."""
        account = self.auth.user(request, await request.read())
        body: Json = await request.json()
        event_type = str(body.get("event_type", ""))
        if (body.get("filter") or {}).get("user_id") != account.address:
            raise refused(403, "filter.user_id must be the authorized user")
        row = {"subscription_id": x_id(), "event_type": event_type, "filter": body["filter"],
               "webhook_id": str(body.get("webhook_id", "")), "tag": str(body.get("tag", "")),
               "created_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())}  # fmt: skip
        account.subscriptions[event_type] = row
        account.shape = "chat" if event_type.startswith("chat.") else "xaa"
        return reply({"data": {"subscription": row}, "meta": {"total_subscriptions": len(account.subscriptions)}}, 201)

    async def subscriptions(self, request: web.Request) -> web.Response:
        app = self.auth.app(request, await request.read())
        rows = list(app.subscriptions.values())
        return reply({"data": rows, "meta": {"total_subscriptions": len(rows)}})

    async def unsubscribe(self, request: web.Request) -> web.Response:
        account, subscription_id = self.auth.app(request, await request.read()), request.match_info["subscription_id"]
        for event_type, row in tuple(account.subscriptions.items()):
            if row["subscription_id"] == subscription_id:
                del account.subscriptions[event_type]
                return reply({"data": {"deleted": True}, "meta": {"total_subscriptions": len(account.subscriptions)}})
        raise refused(404, "Subscription not found")


def _webhook(account: Account) -> Json:
    account.webhook_id = account.webhook_id or x_id()
    created = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    valid = account.handshake == "ok"
    return {"id": account.webhook_id, "url": account.webhook_url, "valid": valid, "created_at": created}


def routes(world: World, provider: Provider) -> Iterable[web.AbstractRouteDef]:
    hooks, serve = XHooks(world), provider.serve
    every = "/x/2/account_activity/webhooks/{webhook_id}/subscriptions/all"
    return [
        web.post("/x/oauth2/token", serve("token", hooks.auth.token)),
        web.post("/x/2/webhooks", serve("webhooks", hooks.create)),
        web.get("/x/2/webhooks", serve("webhooks", hooks.webhooks)),
        web.put("/x/2/webhooks/{webhook_id}", serve("webhooks", hooks.validate)),
        web.delete("/x/2/webhooks/{webhook_id}", serve("webhooks", hooks.delete)),
        web.post(every, serve("subscriptions", hooks.subscribe_all)),
        web.get(every, serve("subscriptions", hooks.subscribed_all)),
        web.post("/x/2/activity/subscriptions", serve("subscriptions", hooks.subscribe)),
        web.get("/x/2/activity/subscriptions", serve("subscriptions", hooks.subscriptions)),
        web.delete("/x/2/activity/subscriptions/{subscription_id}", serve("subscriptions", hooks.unsubscribe)),
    ]
