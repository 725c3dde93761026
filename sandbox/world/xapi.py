"""The X API: direct messages, users and media, in v2 and in the v1.1 paths that clients still use.

Sources: docs.x.com (v2 direct messages, users, media) and the v1.1 direct message reference.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.world import xhooks, xmedia
from sandbox.world.accounts import Account, Phones
from sandbox.world.arrivals import Arrivals
from sandbox.world.calls import Provider, Refusal, note, reply
from sandbox.world.faults import Fault
from sandbox.world.handset import Act, Post
from sandbox.world.phones_twitter import HANDSET, compose, escaped
from sandbox.world.threads import Content, Customer, Message, x_id
from sandbox.world.world import World
from sandbox.world.xauth import XAuth, unauthorized
from sandbox.world.xlimits import count, too_many

Json = dict[str, Any]

LONGEST_TEXT = 10_000
_USER_ID = re.compile(r"[0-9]{1,19}")
#: What a send may hold, and what a list of events may be asked for: "Manage Direct Messages", "Direct Messages lookup".
SEND_FIELDS = frozenset(("text", "attachments"))
LARGEST_PAGE = 100
#: Seconds for which a message is listed.
LISTED_FOR = 30 * 24 * 3600
LIST_VALUES = {
    "dm_event.fields": frozenset(
        ("id", "text", "event_type", "created_at", "dm_conversation_id", "sender_id", "participant_ids",
         "referenced_tweets", "attachments", "entities")
    ),
    "event_types": frozenset(("MessageCreate", "ParticipantsJoin", "ParticipantsLeave")),
    "expansions": frozenset(("attachments.media_keys", "referenced_tweets.id", "sender_id", "participant_ids")),
}  # fmt: skip


def problem(status: int, title: str, detail: str, kind: str = "about:blank") -> Refusal:
    return Refusal(status, {"title": title, "detail": detail, "type": kind, "status": status}, status)


def invalid(parameter: str, value: str, message: str) -> Refusal:
    """Refuse one parameter, as v2 does (400)."""
    body = {
        "errors": [{"parameters": {parameter: [value]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.twitter.com/2/problems/invalid-request",
    }
    return Refusal(400, body, "invalid-request")


def no_permission() -> Refusal:
    return problem(403, "Forbidden", "You do not have permission to DM one or more participants.")


def _down(fault: Fault) -> Refusal:
    return problem(fault.status or 503, "Service Unavailable", "Service Unavailable")


REFUSALS = {
    "throttle": lambda fault: too_many(int(time.time() + (fault.seconds or 60))),
    "error5xx": _down,
    "auth": lambda _fault: unauthorized(v1=False),
    "expire_token": lambda _fault: unauthorized(v1=False),
}


class XApi:
    """Direct messages and users."""

    def __init__(self, world: World) -> None:
        self.provider = Provider(world, "twitter", "x", REFUSALS)
        self.auth = world.part(XAuth)
        self.phones = world.part(Phones)
        self.media = world.part(xmedia.XMedia)
        self.arrivals = Arrivals(world)

    async def send_with(self, request: web.Request) -> web.Response:
        account = self.auth.user(request, await request.read())
        return await self._send_v2(request, account, request.match_info["participant_id"])

    async def send_in(self, request: web.Request) -> web.Response:
        """Send into a conversation "A-B"; the other one of the two gets it."""
        account = self.auth.user(request, await request.read())
        pair = request.match_info["conversation_id"].split("-")
        others = [part for part in pair if part != account.address]
        if len(pair) != 2 or len(others) != 1:  # noqa: PLR2004
            raise invalid("dm_conversation_id", "-".join(pair), "not a conversation of this user")
        return await self._send_v2(request, account, others[0])

    async def _send_v2(self, request: web.Request, account: Account, recipient: str) -> web.Response:
        headers = count(account, "send")
        body = _json(await request.read())
        for name in body.keys() - SEND_FIELDS:
            raise invalid(
                name, "", f"$.{name}: is not defined in the schema and the schema does not allow additional properties"
            )
        if not isinstance(body.get("text", ""), str):
            raise invalid("text", "", "$.text: is of the wrong type, string expected")
        text, media = str(body.get("text") or ""), [str(a.get("media_id", "")) for a in body.get("attachments") or []]
        message = self._deliver(request, account, recipient, text, media)
        pair = "-".join(sorted((account.address, recipient), key=int))
        data = {"dm_conversation_id": pair, "dm_event_id": message.id}
        return reply({"data": data}, 201, headers)

    async def send_v1(self, request: web.Request) -> web.Response:
        """POST direct_messages/events/new: the old call, which alone can offer quick replies."""
        raw = await request.read()
        account = self.auth.user(request, raw)
        event = _json(raw).get("event") or {}
        create = event.get("message_create") or {}
        recipient, data = str((create.get("target") or {}).get("recipient_id", "")), create.get("message_data") or {}
        media = ((data.get("attachment") or {}).get("media") or {}).get("id")
        choices = [
            {"title": option.get("label", ""), "payload": option.get("metadata", "")}
            for option in (data.get("quick_reply") or {}).get("options", [])
        ]
        headers = count(account, "send by v1.1")
        text = str(data.get("text") or "")
        message = self._deliver(request, account, recipient, text, [str(media)] if media else [], choices)
        sent = {"type": "message_create", "id": message.id, "created_timestamp": str(int(message.at * 1000))}
        body = {**create, "sender_id": account.address, "message_data": {**data, "entities": {"urls": []}}}
        return reply({"event": {**sent, "message_create": body}}, 200, headers)

    def _deliver(
        self,
        request: web.Request,
        account: Account,
        recipient: str,
        text: str,
        media: list[str],
        choices: list[dict[str, str]] | None = None,
    ) -> Message:
        note(request, address=account.address, customer_id=recipient, text=text)
        customer = self._check(account, recipient, text, media)
        message = Message(id=x_id(), direction="out", type="image" if media else "text", text=text, at=time.time())
        message.media = [self.media.url(media_id) for media_id in media]
        message.choices = choices or []
        note(request, message_id=message.id)
        message.status = "delivered"
        self.arrivals.arrive(HANDSET, account, customer, message, [_echo(account, customer, message)])
        return message

    def _check(self, account: Account, recipient: str, text: str, media: list[str]) -> Customer:
        """Refuse what X refuses; return whose phone it goes to."""
        if not _USER_ID.fullmatch(recipient):
            raise invalid("participant_id", recipient, f"The participant_id [{recipient}] is not valid")
        if not text and not media:
            raise invalid("text", "", "One of text or attachments is required")
        if len(text) > LONGEST_TEXT:
            raise invalid("text", text[:20], f"text: size must be at most {LONGEST_TEXT}")
        if len(media) > 1 or any(media_id not in self.media.uploads for media_id in media):
            raise invalid("attachments.media_id", ",".join(media), "Your media IDs are invalid.")
        customer = account.find(recipient)
        if customer is None or customer.blocked or self.provider.fault("blocked", "send"):
            raise no_permission()
        return customer

    async def me(self, request: web.Request) -> web.Response:
        account = self.auth.user(request, await request.read())
        return reply({"data": {"id": account.address, "name": account.name, "username": "company"}})

    async def user(self, request: web.Request) -> web.Response:
        """Look one user up by id or by user name; an unknown one is a 200 with errors, as in v2."""
        account = self.auth.app(request, await request.read())
        requested = request.match_info["requested"]
        person = account.find(requested) or next(
            (c for c in account.customers.values() if c.username == requested), None
        )
        if person is None:
            title = {"title": "Not Found Error", "resource_type": "user", "value": requested}
            detail = {
                "detail": f"Could not find user with id: [{requested}].",
                "parameter": "id",
                "resource_id": requested,
            }
            return reply(
                {"errors": [{**title, **detail, "type": "https://api.twitter.com/2/problems/resource-not-found"}]}
            )
        return reply({"data": _user(person)})

    async def users(self, request: web.Request) -> web.Response:
        account = self.auth.app(request, await request.read())
        people = [account.find(requested) for requested in request.query.get("ids", "").split(",")]
        return reply({"data": [_user(customer) for customer in people if customer]})

    async def events(self, request: web.Request) -> web.Response:
        """List direct message events, newest first: all, or those with one participant. For reconciliation.

        `pagination_token` is where the next page begins; the sender and the files are included when asked for.
        """
        account = self.auth.user(request, await request.read())
        other = request.match_info.get("participant_id")
        headers = count(account, "list with one" if other else "list")
        _check_list(request)
        people = [c for c in account.customers.values() if other in (None, c.id)]
        since = time.time() - LISTED_FOR
        pairs = [(m, c) for c in people for m in c.thread if m.id.isdecimal() and m.type != "unsent" and m.at > since]
        pairs.sort(key=lambda pair: int(pair[0].id), reverse=True)
        start, size = (
            int(request.query.get("pagination_token") or 0),
            int(request.query.get("max_results", LARGEST_PAGE)),
        )
        shown = pairs[start : start + size]
        meta: Json = {"result_count": len(shown)}
        if len(pairs) > start + size:
            meta["next_token"] = str(start + size)
        includes = _includes(shown, request.query.get("expansions", "").split(","))
        data = [_event(account, c, m) for m, c in shown]
        return reply({"data": data, "meta": meta, **({"includes": includes} if includes else {})}, 200, headers)

    async def signal(self, request: web.Request) -> web.Response:
        """Typing and mark-read of v1.1: no answer body (204)."""
        account = self.auth.user(request, await request.read())
        recipient = request.query.get("recipient_id", "")
        if account.find(recipient) is None:
            raise Refusal(404, {"errors": [{"code": 34, "message": "Sorry, that page does not exist."}]}, 34)
        note(request, address=account.address, customer_id=recipient)
        return web.Response(status=204)

    async def verify_credentials(self, request: web.Request) -> web.Response:
        account = self.auth.user(request, await request.read())
        body = {"id": int(account.address), "id_str": account.address, "name": account.name, "screen_name": "company"}
        return reply(body)


def _check_list(request: web.Request) -> None:
    """Refuse parameters of a list that X does not document."""
    other, size = request.match_info.get("participant_id"), request.query.get("max_results", "1")
    if other is not None and not _USER_ID.fullmatch(other):
        raise invalid("participant_id", other, f"The `participant_id` query parameter value [{other}] is not valid")
    if not size.isdecimal() or not 1 <= int(size) <= LARGEST_PAGE:
        raise invalid("max_results", size, f"The `max_results` query parameter value [{size}] is not between 1 and 100")
    if not request.query.get("pagination_token", "0").isdecimal():
        raise invalid("pagination_token", "", "The `pagination_token` query parameter value is not valid")
    for name, known in LIST_VALUES.items():
        asked = [value for value in request.query.get(name, "").split(",") if value]
        if wrong := [value for value in asked if value not in known]:
            raise invalid(
                name, wrong[0], f"The `{name}` query parameter value [{wrong[0]}] is not one of [{sorted(known)}]"
            )


def _json(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=Json)
    except msgspec.DecodeError as wrong:
        raise invalid("body", "", "The request body is not valid JSON.") from wrong


def _user(customer: Customer) -> Json:
    body: Json = {
        "id": customer.id,
        "name": escaped(customer.name),
        "username": customer.username or f"user{customer.id}",
    }
    return {**body, "receives_your_dm": not customer.blocked, "profile_image_url": customer.picture}


def _event(account: Account, customer: Customer, message: Message) -> Json:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(message.at)) + f".{int(message.at * 1000) % 1000:03d}Z"
    files = {"attachments": {"media_keys": [_media_key(message)]}} if message.media else {}
    return files | {
        "id": message.id,
        "event_type": "MessageCreate",
        "text": escaped(message.text),
        "created_at": stamp,
        "sender_id": customer.id if message.direction == "in" else account.address,
        "dm_conversation_id": "-".join(sorted((account.address, customer.id), key=int)),
    }


def _media_key(message: Message) -> str:
    return f"3_{message.id}"


def _includes(shown: list[tuple[Message, Customer]], expansions: list[str]) -> Json:
    files = [{"media_key": _media_key(m), "type": "photo", "url": m.media[0]} for m, _ in shown if m.media]
    users = [_user(customer) for customer in {c.id: c for m, c in shown if m.direction == "in"}.values()]
    included = {"users": users if "sender_id" in expansions else []}
    included["media"] = files if "attachments.media_keys" in expansions else []
    return {name: rows for name, rows in included.items() if rows}


def _echo(account: Account, customer: Customer, message: Message) -> Post:
    """Build dm.sent: X tells the app about its own message too, with the app's id as source_app_id."""
    content = Content(type="echo", text=message.text, source=account.credentials.get("app_id", "13090192"))
    body = compose(Act(account, customer, content, message.id, message.at, ""))
    return Post(account.webhook_url, body, "echo", {"customer_id": customer.id, "message_id": message.id})


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    api = XApi(world)
    serve = api.provider.serve
    return [
        web.post("/x/2/dm_conversations/with/{participant_id}/messages", serve("send", api.send_with)),
        web.post("/x/2/dm_conversations/{conversation_id}/messages", serve("send", api.send_in)),
        web.post("/x/1.1/direct_messages/events/new.json", serve("send", api.send_v1)),
        web.post("/x/1.1/direct_messages/indicate_typing.json", serve("typing", api.signal)),
        web.post("/x/1.1/direct_messages/mark_read.json", serve("mark_read", api.signal)),
        web.get("/x/1.1/account/verify_credentials.json", serve("me", api.verify_credentials)),
        web.get("/x/2/users/me", serve("me", api.me)),
        web.get("/x/2/users", serve("users", api.users)),
        web.get("/x/2/users/by/username/{requested}", serve("users", api.user)),
        web.get("/x/2/users/{requested}", serve("users", api.user)),
        web.get("/x/2/dm_events", serve("dm_events", api.events)),
        web.get("/x/2/dm_conversations/with/{participant_id}/dm_events", serve("dm_events", api.events)),
        *xmedia.routes(world, api.provider),
        *xhooks.routes(world, api.provider),
    ]
