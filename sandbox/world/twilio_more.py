"""Twilio around the message: templates (Content), senders and phone numbers with their webhooks, the account.

Sources: twilio.com/docs, "Content API", "Senders API", "IncomingPhoneNumber resource".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world.accounts import Account
from sandbox.world.calls import Provider, note, reply
from sandbox.world.threads import twilio_sid
from sandbox.world.twilio_errors import no_such, oops
from sandbox.world.world import World

Json = dict[str, Any]


@dataclass(slots=True)
class Contents:
    """Content templates by sid. A sid that nobody created renders as itself, so that senders need no set-up."""

    world: World
    by_sid: dict[str, Json] = field(default_factory=dict)

    def reset(self) -> None:
        self.by_sid.clear()

    async def close(self) -> None:
        """Nothing is open here."""

    def _type(self, sid: str) -> Json:
        types = self.by_sid.get(sid, {}).get("types") or {}
        return next(iter(types.values()), {})

    def render(self, sid: str, variables: str) -> str:
        """Fill {{1}} and {{name}}; 400/21656 when the variables are no JSON object."""
        try:
            values: Json = msgspec.json.decode(variables, type=Json) if variables else {}
        except msgspec.DecodeError as problem:
            raise oops(400, 21656, "The Content Variables Parameter is invalid.") from problem
        body = str(self._type(sid).get("body") or f"[template {sid}]" + "".join(f" {{{{{key}}}}}" for key in values))
        return re.sub(r"\{\{(\w+)\}\}", lambda match: str(values.get(match[1], match[0])), body)

    def choices(self, sid: str) -> list[dict[str, str]]:
        """Return what the customer can tap: buttons or list items."""
        content = self._type(sid)
        options = content.get("actions") or content.get("items") or []
        return [{"title": str(o.get("title") or o.get("item", "")), "payload": str(o.get("id", ""))} for o in options]


class MoreApi:
    def __init__(self, world: World, accounts: Callable[[web.Request], list[Account]]) -> None:
        self.contents = world.part(Contents)
        self.accounts = accounts

    async def create_content(self, request: web.Request) -> web.Response:
        account = self.accounts(request)[0]
        asked: Json = await request.json()
        sid = twilio_sid("HX")
        self.contents.by_sid[sid] = {**asked, "sid": sid, "account_sid": account.credentials["account_sid"]}
        return reply(self.contents.by_sid[sid], 201)

    async def fetch_content(self, request: web.Request) -> web.Response:
        self.accounts(request)
        sid = request.match_info["content"]
        if sid not in self.contents.by_sid:
            raise no_such(request)
        return reply(self.contents.by_sid[sid])

    async def account(self, request: web.Request) -> web.Response:
        sid = self.accounts(request)[0].credentials["account_sid"]
        body = {"sid": sid, "friendly_name": "Parley", "status": "active", "type": "Full"}
        return reply({**body, "uri": f"/2010-04-01/Accounts/{sid}.json"})

    async def senders(self, request: web.Request) -> web.Response:
        own = self.accounts(request)
        return reply({"senders": [_sender(account) for account in own], "meta": _meta("senders")})

    async def sender(self, request: web.Request) -> web.Response:
        """Read one WhatsApp sender, or (POST) set the webhook that gets its messages."""
        account = self._named(request, _sender_sid)
        if request.method == "POST":
            asked: Json = await request.json()
            url = str((asked.get("webhook") or {}).get("callback_url", account.webhook_url))
            account.webhook_url = url
            note(request, url=url)
        return reply(_sender(account), 202 if request.method == "POST" else 200)

    async def services(self, request: web.Request) -> web.Response:
        """List Messaging Services: one, if an account was registered as being in it ("service_url")."""
        own = [account for account in self.accounts(request) if "service_url" in account.credentials]
        rows = [
            {"sid": _stable("MG", account.address), "account_sid": account.credentials["account_sid"],
             "friendly_name": "Campaigns", "inbound_request_url": account.credentials["service_url"] or None,
             "use_inbound_webhook_on_number": False, "url": ""}
            for account in own
        ]  # fmt: skip
        return reply({"services": rows, "meta": _meta("services")})

    async def service_senders(self, request: web.Request) -> web.Response:
        service_sid = request.match_info["service"]
        own = [account for account in self.accounts(request) if _stable("MG", account.address) == service_sid]
        rows = [{"sid": _sender_sid(account), "sender": f"whatsapp:{account.address}"} for account in own]
        return reply({"senders": rows, "meta": _meta("senders")})

    async def numbers(self, request: web.Request) -> web.Response:
        phone_number = request.query.get("PhoneNumber")
        own = [account for account in self.accounts(request) if phone_number in (None, account.address)]
        return reply({"incoming_phone_numbers": [_number(account) for account in own], "page": 0, "page_size": 50})

    async def number(self, request: web.Request) -> web.Response:
        """Read one number, or (POST SmsUrl) set its webhook."""
        account = self._named(request, _number_sid)
        if request.method == "POST":
            account.webhook_url = str((await request.post()).get("SmsUrl", account.webhook_url))
            note(request, url=account.webhook_url)
        return reply(_number(account))

    def _named(self, request: web.Request, sid_of: Callable[[Account], str]) -> Account:
        requested = request.match_info["requested"]
        for account in self.accounts(request):
            if sid_of(account) == requested:
                return account
        raise no_such(request)


def _meta(key: str) -> Json:
    return {"page": 0, "page_size": 50, "key": key, "next_page_url": None}


def _stable(prefix: str, text: str) -> str:
    return prefix + hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _sender_sid(account: Account) -> str:
    return _stable("XE", account.address)


def _number_sid(account: Account) -> str:
    return _stable("PN", account.address)


def _sender(account: Account) -> Json:
    hook = {"callback_url": account.webhook_url, "callback_method": "POST", "fallback_url": "",
            "fallback_method": "POST", "status_callback_url": "", "status_callback_method": "POST"}  # fmt: skip
    body = {"sid": _sender_sid(account), "sender_id": f"whatsapp:{account.address}", "status": "ONLINE"}
    return {**body, "webhook": hook, "configuration": {}, "profile": {"name": account.name}, "properties": {}}


def _number(account: Account) -> Json:
    sid = account.credentials.get("account_sid", "")
    body = {"sid": _number_sid(account), "account_sid": sid, "phone_number": account.address}
    return {**body, "friendly_name": account.address, "sms_url": account.webhook_url, "sms_method": "POST"}


def routes(
    world: World, provider: Provider, accounts: Callable[[web.Request], list[Account]]
) -> Iterable[web.AbstractRouteDef]:
    api, serve = MoreApi(world, accounts), provider.serve
    account = "/twilio/2010-04-01/Accounts/{sid}"
    sender = "/twilio/v2/Channels/Senders/{requested}"
    number = account + "/IncomingPhoneNumbers/{requested}.json"
    return [
        web.get("/twilio/2010-04-01/Accounts/{sid}.json", serve("account", api.account)),
        web.post("/twilio/v1/Content", serve("content", api.create_content)),
        web.get("/twilio/v1/Content/{content}", serve("content", api.fetch_content)),
        web.get("/twilio/v1/Services", serve("services", api.services)),
        web.get("/twilio/v1/Services/{service}/ChannelSenders", serve("services", api.service_senders)),
        web.get("/twilio/v2/Channels/Senders", serve("senders", api.senders)),
        web.get(sender, serve("senders", api.sender)),
        web.post(sender, serve("senders", api.sender)),
        web.get(account + "/IncomingPhoneNumbers.json", serve("numbers", api.numbers)),
        web.get(number, serve("numbers", api.number)),
        web.post(number, serve("numbers", api.number)),
    ]
