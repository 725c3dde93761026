"""The Graph API as a Page uses it: send, profile, subscriptions, conversations.

Sources: developers.facebook.com, "Messenger Platform" (Send API, error codes) and "Graph API" (errors, me).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world import phones_messenger
from sandbox.world.accounts import REPLY_WINDOW, Account, Phones, window_open
from sandbox.world.arrivals import Arrivals
from sandbox.world.calls import Provider, note, reply
from sandbox.world.delivery import Courier
from sandbox.world.graph_errors import REFUSALS, bad_token, oops, outside_window, unavailable
from sandbox.world.handset import Post
from sandbox.world.phones_messenger import HANDSET, envelope
from sandbox.world.signing import appsecret_proof
from sandbox.world.threads import Customer, Message, messenger_id
from sandbox.world.world import World

Json = dict[str, Any]

LONGEST_TEXT = 2_000
MOST_QUICK_REPLIES = 13
LONGEST_QUICK_REPLY = 20
#: Humans may answer this long with the HUMAN_AGENT tag, in seconds.
HUMAN_WINDOW = 7 * 24 * 3600
DEAD_TAGS = {"CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE"}
MESSAGING_TYPES = ("RESPONSE", "UPDATE", "MESSAGE_TAG", "UTILITY")
LONGEST_METADATA = 1_000
#: Fields of a Page that an app may subscribe to for Messenger ("Page: subscribed_apps").
PAGE_FIELDS = frozenset(
    ("messages", "messaging_postbacks", "message_deliveries", "message_reads", "message_echoes", "message_edits",
     "message_reactions", "messaging_optins", "messaging_optouts", "messaging_referrals", "messaging_handovers",
     "messaging_account_linking", "messaging_policy_enforcement", "standby", "feed", "message_context",
     "response_feedback", "messaging_game_plays", "messaging_customer_information", "messaging_feedback",
     "messaging_in_thread_lead_form_submit")
)  # fmt: skip
ACTIONS = {"typing_on", "typing_off", "mark_seen", "react", "unreact"}
VERSION = r"/graph/{version:v\d+\.\d+}"


class Call(msgspec.Struct, kw_only=True):
    """A send call's body: JSON, or a form whose values are JSON."""

    recipient: Json = {}
    message: Json | None = None
    messaging_type: str = ""
    tag: str = ""
    sender_action: str = ""
    access_token: str = ""


class GraphApi:
    def __init__(self, world: World) -> None:
        self.world = world
        self.provider = Provider(world, "messenger", "graph", REFUSALS)
        self.phones = world.part(Phones)
        self.courier = world.part(Courier)
        self.arrivals = Arrivals(world)

    def page(self, request: web.Request, token: str = "") -> Account:
        """Return the Page whose token this is; it must also be the node that the path names, or "me"."""
        token = request.query.get("access_token", "") or token
        token = token or request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("OAuth ")
        if not token:
            raise oops(104, "An access token is required to request this resource.", 0, 401)
        account = self.phones.by_secret("messenger", "page_access_token", token)
        if account is None:
            raise bad_token()
        if 0 < int(account.credentials.get("token_expires_at", "0")) < time.time():
            raise oops(190, "Error validating access token: Session has expired.", 463, 401)
        proof = request.query.get("appsecret_proof")
        if proof is not None and proof != appsecret_proof(account.credentials.get("app_secret", ""), token):
            raise oops(100, "Invalid appsecret_proof provided in the API argument")
        return account

    def own(self, request: web.Request, account: Account) -> None:
        """Refuse a path that names another Page than the token's."""
        node = request.match_info["node"]
        if node not in ("me", account.address):
            text = f"Unsupported request. Object with ID '{node}' does not exist or cannot be loaded"
            raise oops(100, text, 33)

    async def send(self, request: web.Request) -> web.Response:
        """Send a message, or a sender action. Failures come in the answer; nothing later says "failed"."""
        call = await _call(request)
        account = self.page(request, call.access_token)
        self.own(request, account)
        recipient = str(call.recipient.get("id", ""))
        note(request, address=account.address, customer_id=recipient, action=call.sender_action)
        customer = self._recipient(account, recipient)
        if call.sender_action:
            if call.sender_action not in ACTIONS or call.message:
                raise oops(100, "(#100) Param sender_action must be sent alone and be one of the known actions")
            return reply({"recipient_id": recipient})
        self._check(call, customer)
        message = await self._bubble(account, call.message or {})
        note(request, message_id=message.id, text=message.text)
        receipts = _receipts(account, customer, message, call.message or {})
        message.status = "delivered"
        self.arrivals.arrive(HANDSET, account, customer, message, receipts)
        return reply({"recipient_id": recipient, "message_id": message.id})

    def _recipient(self, account: Account, recipient: str) -> Customer:
        if not recipient:
            raise oops(100, "(#100) The parameter recipient is required")
        customer = account.find(recipient)
        if customer is None:
            raise oops(100, "(#100) No matching user found", 2018001)
        if customer.blocked or self.provider.fault("blocked", "send"):
            raise unavailable()
        return customer

    def _check(self, call: Call, customer: Customer) -> None:
        _check_content(call.message or {})
        _check_type(call)
        allowed = window_open(customer, HUMAN_WINDOW if call.tag else REPLY_WINDOW)
        if not allowed or self.provider.fault("window_closed", "send"):
            raise outside_window()

    async def _bubble(self, account: Account, sent: Json) -> Message:
        """Make the bubble: text, fetched attachments, quick replies and buttons to tap."""
        attachments = sent.get("attachments") or ([sent["attachment"]] if sent.get("attachment") else [])
        media: list[str] = []
        text, choices = str(sent.get("text") or ""), _choices(sent.get("quick_replies") or [])
        for attachment in attachments:
            payload = attachment.get("payload") or {}
            if attachment.get("type") == "template":
                text = text or str(payload.get("text") or "")
                choices += _choices(payload.get("buttons") or [])
            elif payload.get("url"):
                shown = await self.arrivals.fetch(account, payload["url"])
                if shown is None:
                    raise oops(100, "(#100) Failed to fetch the file from the url", 2018008)
                media.append(shown)
        kind = str(attachments[0].get("type", "file")) if attachments else "text"
        message = Message(id=messenger_id(), direction="out", type=kind, text=text, at=time.time())
        message.media, message.choices = media, choices
        message.reply_to = str((sent.get("reply_to") or {}).get("mid", ""))
        return message

    async def node(self, request: web.Request) -> web.Response:
        """GET a customer's profile, the Page itself, or "me"."""
        account, node = self.page(request), request.match_info["node"]
        if node in ("me", account.address):
            return reply({"name": account.name, "id": account.address})
        if node == "app":
            return reply({"name": "Parley", "id": _app(account)})
        customer = account.find(node)
        if customer is None:
            text = f"Unsupported get request. Object with ID '{node}' does not exist"
            raise oops(100, text, 33)
        if self.provider.fault("no_consent", "profile"):
            raise oops(230, "(#230) Requires pages_messaging permission to manage the object", 0, 403)
        first, _, last = customer.name.partition(" ")
        known = {"first_name": first, "last_name": last, "name": customer.name, "profile_pic": customer.picture}
        asked = request.query.get("fields", "first_name,last_name,profile_pic").split(",")
        extra = {"locale": customer.locale} if customer.locale else {}
        return reply({key: value for key, value in {**known, **extra}.items() if key in asked} | {"id": customer.id})

    async def subscribed_apps(self, request: web.Request) -> web.Response:
        """Read, set (POST subscribed_fields) or remove (DELETE) which events the app gets."""
        form = {} if request.method == "GET" else dict(await request.post())
        account = self.page(request, str(form.get("access_token", "")))
        self.own(request, account)
        if request.method == "GET":
            app = {"category": "Business", "link": "https://example.com", "name": "Parley", "id": _app(account)}
            every = ["messages", "messaging_postbacks", "message_deliveries", "message_reads", "message_echoes"]
            fields = every if account.fields is None else account.fields
            return reply({"data": [{**app, "subscribed_fields": fields}] if fields and account.webhook_url else []})
        requested = request.query.get("subscribed_fields", "") or str(form.get("subscribed_fields", ""))
        fields = [] if request.method == "DELETE" else requested.split(",")
        if unknown := [name for name in fields if name not in PAGE_FIELDS]:
            raise oops(100, f"(#100) Param subscribed_fields[0] must be one of the Page's fields - got {unknown[0]!r}")
        account.fields = fields
        return reply({"success": True})

    async def subscriptions(self, request: web.Request) -> web.Response:
        """Read, or set, the app's callback URL, with the app token "app id|app secret"; verifies it first."""
        form: Json = {**request.query, **(dict(await request.post()) if request.method == "POST" else {})}
        account = self._owner(str(form.get("access_token", "")))
        if request.method == "GET":
            every = ("messages", "messaging_postbacks", "message_deliveries", "message_reads", "message_echoes")
            fields = [{"name": name, "version": "v26.0"} for name in every]
            row = {"object": "page", "callback_url": account.webhook_url, "active": True, "fields": fields}
            return reply({"data": [row] if account.webhook_url else []})
        before = account.webhook_url, account.credentials.get("verify_token", "")
        account.webhook_url = str(form.get("callback_url", ""))
        account.credentials["verify_token"] = str(form.get("verify_token", ""))
        account.handshake = await phones_messenger.handshake(account, self.courier)
        note(request, url=account.webhook_url, handshake=account.handshake)
        if account.handshake != "ok":
            account.webhook_url, account.credentials["verify_token"] = before
            raise oops(2200, f"(#2200) Callback verification failed: {account.handshake}")
        return reply({"success": True})

    def _owner(self, token: str) -> Account:
        """Return a Page of the app whose own token this is."""
        account = self.phones.by_secret("messenger", "app_secret", token.partition("|")[2])
        if account is None:
            raise oops(190, "Error validating application. Cannot get application info due to a system error.")
        return account

    async def conversations(self, request: web.Request) -> web.Response:
        """List threads with their newest messages, for reconciliation; `user_id` names one customer."""
        account, only = self.page(request), request.query.get("user_id")
        self.own(request, account)
        people = [c for c in account.customers.values() if c.thread and only in (None, c.id)]
        return reply({"data": [_conversation(account, customer) for customer in people]})

    async def debug_token(self, request: web.Request) -> web.Response:
        """Say whether a Page token is still good, and for how long; who asks must own the app."""
        self._owner(request.query.get("access_token", ""))
        account = self.phones.by_secret("messenger", "page_access_token", request.query.get("input_token", ""))
        if account is None:
            wrong = {"code": 190, "message": "Invalid OAuth access token.", "subcode": 463}
            return reply({"data": {"error": wrong, "is_valid": False, "scopes": []}})
        scopes = ["pages_messaging", "pages_manage_metadata", "pages_show_list"]
        if (ends := int(account.credentials.get("token_expires_at", "0"))) and ends < time.time():
            wrong = {"code": 190, "message": "Error validating access token: Session has expired.", "subcode": 463}
            return reply({"data": {"error": wrong, "is_valid": False, "expires_at": ends, "scopes": scopes}})
        data = {"app_id": _app(account), "type": "PAGE", "is_valid": True, "expires_at": ends}
        return reply({"data": {**data, "profile_id": account.address, "scopes": scopes}})

    async def cdn(self, request: web.Request) -> web.StreamResponse:
        """Serve an attachment; its URL is its own permission, as on Meta's CDN."""
        file = self.phones.files.get(request.match_info["id"])
        if file is None:
            return web.Response(status=403, text="URL signature expired")
        return web.Response(body=file.body, headers={"Content-Type": file.mime})


def _check_content(message: Json) -> None:
    text, replies = str(message.get("text") or ""), message.get("quick_replies") or []
    if not text and not message.get("attachment") and not message.get("attachments"):
        raise oops(100, "(#100) Message cannot be empty, must provide valid attachment or text", 2018034)
    if text and (message.get("attachment") or message.get("attachments")):
        raise oops(100, "(#100) Param message must have either text or an attachment, not both")
    if len(text) > LONGEST_TEXT:
        raise oops(100, f"(#100) Length of param message[text] must be less than or equal to {LONGEST_TEXT}")
    if len(str(message.get("metadata") or "")) > LONGEST_METADATA:
        raise oops(100, f"(#100) Length of param message[metadata] must be less than or equal to {LONGEST_METADATA}")
    if len(replies) > MOST_QUICK_REPLIES:
        raise oops(100, f"(#100) Param message[quick_replies] has too many elements (max {MOST_QUICK_REPLIES})")
    if any(len(str(option.get("title", ""))) > LONGEST_QUICK_REPLY for option in replies):
        text = f"(#100) Length of param title must be less than or equal to {LONGEST_QUICK_REPLY}"
        raise oops(100, text, 2018081)


def _check_type(call: Call) -> None:
    """Refuse a send call without a type, and tags that are dead, unknown, missing, or beside another type."""
    if call.messaging_type not in MESSAGING_TYPES:
        raise oops(100, f"(#100) Param messaging_type must be one of {{{', '.join(MESSAGING_TYPES)}}}")
    if call.tag in DEAD_TAGS:
        raise oops(100, f"(#100) The message tag {call.tag} is deprecated and can no longer be used")
    if call.tag != ("HUMAN_AGENT" if call.messaging_type == "MESSAGE_TAG" else ""):
        raise oops(100, "(#100) Param tag must be one of {HUMAN_AGENT}, with messaging_type MESSAGE_TAG and no other")


async def _call(request: web.Request) -> Call:
    try:
        if request.content_type == "application/json":
            return msgspec.json.decode(await request.read(), type=Call)
        form: Json = dict(await request.post())
        for name in ("recipient", "message"):
            if name in form:
                form[name] = msgspec.json.decode(str(form[name]))
        return msgspec.convert(form, Call)
    except (msgspec.DecodeError, msgspec.ValidationError) as problem:
        raise oops(100, f"(#100) Invalid parameter: {problem}") from problem


def _app(account: Account) -> str:
    return account.credentials.get("app_id", "219055123456789")


def _choices(options: list[Json]) -> list[dict[str, str]]:
    return [
        {"title": str(o.get("title", "")), "payload": str(o.get("payload", "")), "url": str(o.get("url", ""))}
        for o in options
    ]


def _receipts(account: Account, customer: Customer, message: Message, sent: Json) -> list[Post]:
    """Build the echo, sender and recipient swapped, and the delivery receipt; each only if subscribed to."""
    ms = int(message.at * 1000)
    echo: Json = {"mid": message.id, "is_echo": True, "app_id": int(_app(account))}
    if message.text:
        echo["text"] = message.text
    if sent.get("metadata"):
        echo["metadata"] = sent["metadata"]
    if message.media:
        echo["attachments"] = [{"type": message.type, "payload": {"url": url}} for url in message.media]
    ids = {"customer_id": customer.id, "message_id": message.id}
    delivered = {"delivery": {"mids": [message.id], "watermark": ms}}
    echoed = envelope(account, account.address, customer.id, ms, {"message": echo})
    arrived = envelope(account, customer.id, account.address, ms + 1, delivered)
    posts = {"message_echoes": Post(account.webhook_url, echoed, "echo", ids),
             "message_deliveries": Post(account.webhook_url, arrived, "delivery", ids)}  # fmt: skip
    return [post for field, post in posts.items() if account.fields is None or field in account.fields]


def _conversation(account: Account, customer: Customer) -> Json:
    def one(message: Message) -> Json:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(message.at))
        page, person = {"name": account.name, "id": account.address}, {"name": customer.name, "id": customer.id}
        sender, to = (person, page) if message.direction == "in" else (page, person)
        body = {"id": message.id, "created_time": stamp, "message": message.text}
        return {**body, "from": sender, "to": {"data": [to]}}

    newest = [one(message) for message in reversed(customer.thread)]
    return {"id": f"t_{customer.id}", "messages": {"data": newest[:25]}}


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    api = GraphApi(world)
    serve = api.provider.serve
    apps = serve("subscribed_apps", api.subscribed_apps)
    return [
        web.get("/graph/cdn/{id}/{name}", api.cdn),
        web.get(VERSION + "/debug_token", serve("debug_token", api.debug_token)),
        web.post(VERSION + "/{node}/messages", serve("send", api.send)),
        web.get(VERSION + "/{node}/conversations", serve("conversations", api.conversations)),
        *(web.route(method, VERSION + "/{node}/subscribed_apps", apps) for method in ("GET", "POST", "DELETE")),
        web.get(VERSION + "/{app}/subscriptions", serve("subscriptions", api.subscriptions)),
        web.post(VERSION + "/{app}/subscriptions", serve("subscriptions", api.subscriptions)),
        web.get(VERSION + "/{node}", serve("profile", api.node)),
    ]
