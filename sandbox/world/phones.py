"""The customers' phones: register accounts, write as a customer, read the threads, follow them live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from sandbox.world import phones_messenger, phones_twitter, phones_whatsapp
from sandbox.world.accounts import Account, File, Phones
from sandbox.world.delivery import Attempt, Courier
from sandbox.world.handset import Act, Handset, Post
from sandbox.world.samples import SAMPLES, vcard
from sandbox.world.sse import Streams
from sandbox.world.threads import Content, Customer, Message, describe
from sandbox.world.world import World

T = TypeVar("T")
HANDSETS: Mapping[str, Handset] = {
    module.HANDSET.kind: module.HANDSET for module in (phones_twitter, phones_messenger, phones_whatsapp)
}
_NO_BUBBLE = {"typing", "read", "edit", "unsend", "revoke", "profile", "raw", "account_linking", "handover"}
#: What the customer does without writing: it opens no reply window. Meta's own list counts a reaction and a link into a
#: thread, its error pages only messages: the stricter of the two.
_NOT_WRITTEN = {"typing", "read", "echo", "raw", "revoke", "profile", "reaction", "edit", "unsend", "referral",
                "handover", "opt_in", "opt_out", "account_linking"}  # fmt: skip


class AccountForm(msgspec.Struct, forbid_unknown_fields=True):
    """POST /phones/accounts. See accounts.Account for the options' meaning."""

    kind: str
    webhook_url: str = ""
    credentials: dict[str, str] = {}
    deliver_to: str = ""
    shape: str = ""
    read_after: float | None = None
    limits: bool = True
    raised: float = 1.0
    retries: int | None = None
    name: str = ""


class Person(msgspec.Struct):
    id: str
    name: str = ""
    username: str = ""
    phone: str = ""
    locale: str = ""
    picture: str = ""


class PhoneMessage(msgspec.Struct, rename={"sender": "from"}):
    """POST /phones/{kind}/{address}/messages. `ago` backdates the event by so many seconds.

    `times` delivers the one event so often. `wait` answers only after the redeliveries have ended.
    """

    sender: Person
    content: Content
    times: int = 1
    forge: bool = False
    shape: str = ""
    ago: float = 0.0
    wait: bool = False


def refuse(why: str, **more: Any) -> web.HTTPBadRequest:
    body = msgspec.json.encode({"error": why, **more}).decode()
    return web.HTTPBadRequest(text=body, content_type="application/json")


def decode(body: bytes, into: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=into)
    except msgspec.DecodeError as problem:
        raise refuse(str(problem)) from problem


def handset_of(kind: str) -> Handset:
    if kind not in HANDSETS:
        raise refuse(f"no such kind: {kind}", kinds=list(HANDSETS))
    return HANDSETS[kind]


class PhoneService:
    """The HTTP surface of the phones. Bad requests are answered 400 with {"error"}, unknown accounts 404."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.phones = world.part(Phones)
        self.courier = world.part(Courier)
        self.streams = world.part(Streams)

    async def kinds(self, _request: web.Request) -> web.Response:
        """List for each channel the content types and what they are called."""
        listed = {
            kind: [{"type": name, "label": label} for name, label in handset.kinds.items()]
            for kind, handset in HANDSETS.items()
        }
        return web.json_response(listed)

    async def register(self, request: web.Request) -> web.Response:
        """Create or change an account, then ask the provider's handshake of its webhook."""
        form = decode(await request.read(), AccountForm)
        handset = handset_of(form.kind)
        address = form.credentials.get(handset.address_key, "").removeprefix("whatsapp:")
        if not address:
            raise refuse(f"credentials need {handset.address_key}")
        account = self.phones.accounts.setdefault((form.kind, address), Account(form.kind, address))
        for name in AccountForm.__struct_fields__:
            if getattr(form, name) != "" or name == "webhook_url":
                setattr(account, name, getattr(form, name))
        account.handshake = "no webhook_url yet"
        if account.webhook_url:
            account.handshake = await handset.handshake(account, self.courier)
        return web.json_response({"kind": form.kind, "address": address, "handshake": account.handshake})

    async def accounts(self, _request: web.Request) -> web.Response:
        return web.json_response([_public(account) for account in self.phones.accounts.values()])

    def account(self, request: web.Request) -> Account:
        kind, address = request.match_info["kind"], request.match_info["address"]
        account = self.phones.accounts.get((kind, address.removeprefix("whatsapp:")))
        if account is None:
            raise web.HTTPNotFound(text='{"error": "no such account"}', content_type="application/json")
        return account

    async def write(self, request: web.Request) -> web.Response:
        """Do what a customer does: put it on the phone, then deliver it as the provider would."""
        account = self.account(request)
        message = decode(await request.read(), PhoneMessage)
        handset = handset_of(account.kind)
        if message.content.type not in handset.kinds:
            raise refuse(f"{account.kind} cannot carry {message.content.type!r}", kinds=list(handset.kinds))
        customer = meet(account, message.sender)
        act = self._act(account, customer, message)
        posts = self._posts(handset, act)
        if not message.forge:
            self._on_phone(act)
        times = message.times + bool(self.world.faults.fires("webhook_double", account.kind))
        attempts = await self._deliver(handset, account, posts * times, forged=message.forge)
        if message.wait:
            await self.courier.idle()
        return web.json_response({"message_id": act.id, "deliveries": [msgspec.to_builtins(a) for a in attempts]})

    def _act(self, account: Account, customer: Customer, message: PhoneMessage) -> Act:
        content, at = message.content, time.time() - message.ago
        target = customer.by_id.get(content.to) if content.to else _about(customer, content.type)
        file: File | None
        if content.type == "contact" and not content.data:
            card = vcard(content.title or content.name or "Ann Example", content.phone or "+15550100")
            file = self.phones.put(card, "text/vcard", "contact.vcf")
        else:
            file = self.phones.file_for(content) if content.type in SAMPLES else None
        act_id = HANDSETS[account.kind].new_id(content, at)
        return Act(account, customer, content, act_id, at, self.world.base_url, message.shape, file, target)

    def _posts(self, handset: Handset, act: Act) -> list[Post]:
        if act.content.type == "read":
            unread = act.customer.unread()
            if unread or act.account.kind == "whatsapp":
                return handset.read(act.account, act.customer, unread) if unread else []
        ids = {"customer_id": act.customer.id, "message_id": act.id, "type": act.content.type}
        ids["text"] = describe(act.content)
        return [Post(act.account.webhook_url, handset.compose(act), "message", ids)]

    def _on_phone(self, act: Act) -> None:
        """Change the thread as the phone's own screen changes, and write the ledger line."""
        account, customer, content = act.account, act.customer, act.content
        if content.type not in _NOT_WRITTEN or (account.kind == "whatsapp" and content.type not in ("read", "raw")):
            customer.last_inbound = max(customer.last_inbound, act.at)
        if content.type in ("opt_in", "opt_out"):
            customer.opted_out = content.type == "opt_out"
        if content.type == "read":
            self._mark_read(account, customer)
        elif content.type in ("edit", "unsend") and act.target is not None:
            _rewrite(act.target, content)
            self.phones.show(account, customer, act.target)
        elif content.type not in _NO_BUBBLE and not (content.type.startswith("opt_") and account.kind != "whatsapp"):
            self.phones.show(account, customer, _bubble(act))
        self.world.ledger.append(
            "phone.message",
            kind=account.kind,
            address=account.address,
            customer_id=customer.id,
            message_id=act.id,
            type=content.type,
            text=describe(content),
        )

    def _mark_read(self, account: Account, customer: Customer) -> None:
        for message in customer.thread:
            if message.direction == "out":
                self.phones.rise(account, customer, message, "read")

    async def _deliver(
        self, handset: Handset, account: Account, posts: list[Post], *, forged: bool = False
    ) -> list[Attempt]:
        deliveries = [handset.sign(account, post, forged=forged) for post in posts if post.url]
        return await asyncio.gather(*(self.courier.deliver(delivery) for delivery in deliveries))

    async def thread(self, request: web.Request) -> web.Response:
        customer = self.account(request).find(request.match_info["customer_id"])
        return web.json_response([msgspec.to_builtins(m) for m in customer.thread] if customer else [])

    async def read(self, request: web.Request) -> web.Response:
        """Let the phone's owner read everything, and send the provider's receipts for it."""
        account = self.account(request)
        customer = account.meet(request.match_info["customer_id"])
        unread = customer.unread()
        handset = HANDSETS[account.kind]
        posts = handset.read(account, customer, unread) if unread else []
        self._mark_read(account, customer)
        attempts = await self._deliver(handset, account, posts)
        return web.json_response({"read": len(unread), "deliveries": [msgspec.to_builtins(a) for a in attempts]})

    async def decide(self, request: web.Request) -> web.Response:
        """Block the company or opt out of it, or take that back: {"blocked": bool, "opted_out": bool}."""
        customer = self.account(request).meet(request.match_info["customer_id"])
        choice = decode(await request.read(), dict[str, bool])
        customer.blocked = choice.get("blocked", customer.blocked)
        customer.opted_out = choice.get("opted_out", customer.opted_out)
        return web.json_response({"blocked": customer.blocked, "opted_out": customer.opted_out})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream thread changes, numbered, as Server-Sent Events; `after` resumes."""
        return await self.streams.send(request, self.phones.events, lambda line: line.fields)

    async def media(self, request: web.Request) -> web.Response:
        """Serve a file as the providers' public media servers do."""
        return file_response(self.phones, request.match_info["id"])


def meet(account: Account, person: Person) -> Customer:
    """Return the customer who is writing, with what this message says about them."""
    customer = account.meet(person.id.removeprefix("whatsapp:"))
    for name in ("name", "username", "phone", "locale", "picture"):
        if getattr(person, name):
            setattr(customer, name, getattr(person, name))
    if account.kind == "whatsapp":
        account.aliases[phones_whatsapp.address_of(customer).removeprefix("whatsapp:")] = customer.id
        account.aliases[phones_whatsapp.user_id_of(customer)] = customer.id
    return customer


def file_response(phones: Phones, file_id: str) -> web.Response:
    file = phones.files.get(file_id)
    if file is None:
        raise web.HTTPNotFound(text="no such file")
    disposition = f'inline; filename="{file.name}"'
    return web.Response(body=file.body, headers={"Content-Type": file.mime, "Content-Disposition": disposition})


def _public(account: Account) -> dict[str, Any]:
    shown = ("kind", "address", "name", "webhook_url", "deliver_to", "shape", "handshake", "read_after", "limits",
             "raised")  # fmt: skip
    people = {c.id: {"name": c.name, "messages": len(c.thread)} for c in account.customers.values()}
    return {**{name: getattr(account, name) for name in shown}, "customers": people}


def _about(customer: Customer, kind: str) -> Message | None:
    if kind in ("edit", "unsend"):
        return customer.last("in")
    if kind in ("reply", "reaction", "read", "quick_reply", "postback", "list_reply"):
        return customer.last("out") or (customer.last() if kind in ("reply", "reaction") else None)
    return None


def _rewrite(message: Message, content: Content) -> None:
    message.edits += content.type == "edit"
    message.text = content.text if content.type == "edit" else ""
    message.type = message.type if content.type == "edit" else "unsent"


def _bubble(act: Act) -> Message:
    out = act.content.type == "echo"
    return Message(
        id=act.id,
        direction="out" if out else "in",
        type="text" if out else act.content.type,
        text=describe(act.content),
        at=act.at,
        media=[f"{act.base_url}/phones/media/{act.file.id}/{act.file.name}"] if act.file else [],
        reply_to=act.target_id if act.content.type in ("reply", "reaction") else "",
    )


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    service = PhoneService(world)
    thread = "/phones/{kind}/{address}/threads/{customer_id}"
    return [
        web.get("/phones/kinds", service.kinds),
        web.get("/phones/accounts", service.accounts),
        web.post("/phones/accounts", service.register),
        web.get("/phones/events", service.events),
        web.get("/phones/media/{id}/{name}", service.media),
        web.post("/phones/{kind}/{address}/messages", service.write),
        web.get(thread, service.thread),
        web.post(thread + "/read", service.read),
        web.post(thread + "/decide", service.decide),
    ]
