"""Twilio's API as a WhatsApp sender uses it: messages, media, typing, numbers and senders.

Sources: twilio.com/docs, "Message resource", "Error and warning dictionary", "WhatsApp typing indicators".
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from multidict import MultiMapping

from sandbox.world import twilio_more
from sandbox.world.accounts import Account, Phones, window_open
from sandbox.world.arrivals import Arrivals
from sandbox.world.calls import Provider, note, reply
from sandbox.world.handset import Post
from sandbox.world.phones_whatsapp import HANDSET, address_of, status_post
from sandbox.world.threads import Customer, Message, twilio_sid
from sandbox.world.twilio_errors import REFUSALS, no_such, oops
from sandbox.world.world import World

Json = dict[str, Any]
Form = MultiMapping[str | bytes | bytearray | web.FileField]

LONGEST_BODY = 1_600
#: Errors that Twilio reports only afterwards, by status callback.
OUTSIDE_WINDOW, BAD_RECIPIENT, BLOCKED, MEDIA_FAILED = 63016, 63024, 63033, 63019
#: E.164, or a business-scoped user id.
ADDRESS = re.compile(r"\+[1-9][0-9]{6,14}|[A-Z]{2}\.[A-Za-z0-9.]{1,128}")
MOST_MEDIA, LARGEST_PAGE, LONGEST_CALLBACK = 10, 1_000, 4_096
ACCOUNT = "/twilio/2010-04-01/Accounts/{sid}"


class TwilioApi:
    def __init__(self, world: World) -> None:
        self.world = world
        self.provider = Provider(world, "whatsapp", "twilio", REFUSALS)
        self.phones = world.part(Phones)
        self.contents = world.part(twilio_more.Contents)
        self.arrivals = Arrivals(world)

    def accounts(self, request: web.Request) -> list[Account]:
        """Return the senders of the Twilio account that authenticates (basic), and that the path names."""
        try:
            kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            kind = user = password = ""
        own = [
            account
            for account in self.phones.of("whatsapp")
            if kind == "Basic" and user and account.credentials.get("account_sid") == user
            and account.credentials.get("auth_token") == password
        ]  # fmt: skip
        if not own:
            raise oops(401, 20003, "Authenticate")
        if request.match_info.get("sid", user) != user:
            raise no_such(request)
        return own

    async def create(self, request: web.Request) -> web.Response:
        """Accept a message as "queued"; delivery, and most refusals, come later as status callbacks."""
        own, form = self.accounts(request), await request.post()
        account, recipient = self._sender(own, form), str(form.get("To", ""))
        _check_pair(str(form.get("From", "")), recipient)
        _check_addresses(form)
        text = self._check(form)
        note(request, address=account.address, customer_id=recipient.removeprefix("whatsapp:"), text=text)
        customer = self._customer(account, recipient)
        if customer.opted_out or self.provider.fault("opted_out", "send"):
            raise oops(400, 21610, "Attempt to send to unsubscribed recipient")
        urls = [str(url) for url in form.getall("MediaUrl", [])]
        message = Message(
            id=twilio_sid("MM" if urls else "SM"), direction="out", type="text", text=text, at=time.time()
        )
        message.callback = str(form.get("StatusCallback", ""))
        message.choices = self.contents.choices(str(form.get("ContentSid", "")))
        note(request, message_id=message.id)
        answer = reply(resource(account, customer, message, "queued"), 201)
        await self._settle(account, customer, message, form, urls)
        return answer

    def _sender(self, own: list[Account], form: Form) -> Account:
        sender = str(form.get("From", ""))
        if not sender and not form.get("MessagingServiceSid"):
            raise oops(400, 21603, "A 'From' phone number is required.")
        number = sender.removeprefix("whatsapp:")
        account_of_sender = next((account for account in own if account.address == number), None)
        if not sender:
            raise oops(400, 21705, "The Messaging Service Sid is invalid.")
        if account_of_sender is None:
            raise oops(400, 63007, "Twilio could not find a Channel with the specified From address")
        return account_of_sender

    def _check(self, form: Form) -> str:
        text, content = str(form.get("Body", "")), str(form.get("ContentSid", ""))
        if content:
            text = self.contents.render(content, str(form.get("ContentVariables", "")))
        if not text and "MediaUrl" not in form and "PersistentAction" not in form:
            raise oops(400, 21619, "A text message body or media urls must be specified.")
        if len(text) > LONGEST_BODY:
            raise oops(400, 21617, f"The concatenated message body exceeds the {LONGEST_BODY} character limit.")
        return text

    def _customer(self, account: Account, recipient: str) -> Customer:
        """Return whom To names; a number that never wrote is a new customer, for templates may go first."""
        if not recipient:
            raise oops(400, 21604, "A 'To' phone number is required.")
        address = recipient.removeprefix("whatsapp:")
        if not ADDRESS.fullmatch(address):
            raise oops(400, 21211, f"Invalid 'To' Phone Number: {recipient}")
        known = account.find(address)
        if known is not None:
            return known
        customer = account.meet(address)
        customer.phone = address if address.startswith("+") else ""
        return customer

    async def _settle(
        self, account: Account, customer: Customer, message: Message, form: Form, urls: list[str]
    ) -> None:
        """Decide what becomes of an accepted message, and let the callbacks say so in turn."""
        for url in urls[:1]:
            shown = await self.arrivals.fetch(account, url)
            message.type, message.media = "image", [shown] if shown else []
        if "PersistentAction" in form and not message.text:
            message.type, message.text = "location", str(form["PersistentAction"])
        if later := self.provider.fault("fails_later", "send"):
            message.error = int(later.code)
        elif self.provider.fault("blocked", "send") or customer.blocked:
            message.error = BLOCKED
        elif urls and not message.media:
            message.error = MEDIA_FAILED
        elif "ContentSid" not in form and (not window_open(customer) or self.provider.fault("window_closed", "send")):
            message.error = OUTSIDE_WINDOW
        message.status = "failed" if message.error else "delivered"
        steps = (["failed"] if message.error == MEDIA_FAILED else ["undelivered"]) if message.error else _STEPS
        posts = [status_post(account, customer, message, step) for step in steps] if message.callback else []
        self._arrive(account, customer, message, posts)

    def _arrive(self, account: Account, customer: Customer, message: Message, posts: list[Post]) -> None:
        self.arrivals.arrive(HANDSET, account, customer, message, posts)

    async def list(self, request: web.Request) -> web.Response:
        """List messages, newest first, filtered by To, From and DateSent> (RFC 3339 or a date). For reconciliation."""
        query, own = request.query, self.accounts(request)
        filters = [(query[key], key.lower()) for key in ("To", "From") if key in query]
        since = query.get("DateSent>", "")
        rows = [
            row
            for at, row in sorted(_resources(own), key=lambda pair: pair[0], reverse=True)
            if all(row[key] == value for value, key in filters)
            and time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) >= since
        ]
        size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
        if not 1 <= size <= LARGEST_PAGE:
            raise oops(400, 20007, f"Page size must be between 1 and {LARGEST_PAGE}")
        kept = urlencode([(key, value) for key, value in query.items() if key not in ("Page", "PageSize")] + [("", "")])
        path = f"/2010-04-01/Accounts/{request.match_info['sid']}/Messages.json?{kept[:-1]}PageSize={size}&Page="
        more = path + str(page + 1) if len(rows) > (page + 1) * size else None
        shown = rows[page * size : (page + 1) * size]
        body = {"messages": shown, "page": page, "page_size": size, "start": page * size, "next_page_uri": more}
        ends = {"first_page_uri": path + "0", "previous_page_uri": None, "uri": path + str(page)}
        return reply({**body, **ends, "end": page * size + len(shown)})

    async def fetch(self, request: web.Request) -> web.Response:
        message_id = request.match_info["message"]
        for account in self.accounts(request):
            for customer in account.customers.values():
                if message_id in customer.by_id:
                    message = customer.by_id[message_id]
                    return reply(resource(account, customer, message, status_of(message)))
        raise no_such(request)

    async def media(self, request: web.Request) -> web.StreamResponse:
        """Redirect to where the file lies, as Twilio does; the file's own address asks for no credentials."""
        self.accounts(request)
        name = request.match_info["media"]
        file = self.phones.files.get(name.removesuffix(".json").removeprefix("ME"))
        if file is None:
            raise no_such(request)
        if name.endswith(".json"):
            return reply(
                {"sid": f"ME{file.id}", "content_type": file.mime, "parent_sid": request.match_info["message"]}
            )
        place = f"{self.world.base_url}/phones/media/{file.id}/{file.name}"
        return web.Response(status=307, headers={"Location": place})

    async def media_list(self, request: web.Request) -> web.Response:
        """List a message's files, without their bytes."""
        sid, message_id = request.match_info["sid"], request.match_info["message"]
        people = [customer for account in self.accounts(request) for customer in account.customers.values()]
        message = next((customer.by_id[message_id] for customer in people if message_id in customer.by_id), None)
        if message is None:
            raise no_such(request)
        base = f"/2010-04-01/Accounts/{sid}/Messages/{message_id}/Media"
        ids = [url.split("/")[-2] for url in message.media]
        rows = [
            {"sid": f"ME{media}", "account_sid": sid, "parent_sid": message_id, "uri": f"{base}/ME{media}.json",
             "content_type": self.phones.files[media].mime, "date_created": formatdate(message.at),
             "date_updated": formatdate(message.at)}
            for media in ids
        ]  # fmt: skip
        return reply({"media_list": rows, "page": 0, "page_size": 50, "next_page_uri": None, "uri": f"{base}.json"})

    async def typing(self, request: web.Request) -> web.Response:
        """Show "typing" and mark the named inbound message as read."""
        own, form = self.accounts(request), await request.post()
        sid = str(form.get("messageId", ""))
        people = [customer for account in own for customer in account.customers.values()]
        known = any(sid in person.by_id and person.by_id[sid].direction == "in" for person in people)
        if form.get("channel") != "whatsapp" or not known:
            raise oops(400, 20001, "Invalid messageId or channel")
        note(request, message_id=sid)
        return reply({"success": True})


def _check_pair(sender: str, recipient: str) -> None:
    if recipient and sender.startswith("whatsapp:") != recipient.startswith("whatsapp:"):
        raise oops(400, 21910, "Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel")
    if recipient and sender == recipient:
        raise oops(400, 63031, "Channels message cannot have same 'From' and 'To'")


def _check_addresses(form: Form) -> None:
    """Refuse URLs that are none. Twilio also refuses those that the internet cannot reach, which a laptop's are."""
    callback = str(form.get("StatusCallback", ""))
    if callback and (not _is_url(callback) or len(callback) > LONGEST_CALLBACK):
        raise oops(400, 21609, f"The 'StatusCallback' URL {callback[:100]} is not a valid URL.")
    media = [str(url) for url in form.getall("MediaUrl", [])]
    if len(media) > MOST_MEDIA:
        raise oops(400, 21623, "Number of media files exceeds allowed limit")
    if any(not _is_url(url) for url in media):
        raise oops(400, 21620, "Invalid media URL(s)")


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", text)


_STEPS = ["sent", "delivered"]
_STATUS_OF = {"sent": "sent", "delivered": "delivered", "read": "read", "failed": "failed"}


def status_of(message: Message) -> str:
    """Return Twilio's word for where a message is."""
    if message.direction == "in":
        return "received"
    if message.error and message.error != MEDIA_FAILED:
        return "undelivered"
    return _STATUS_OF[message.status]


def resource(account: Account, customer: Customer, message: Message, status: str) -> Json:
    """Build the Message resource."""
    sid, inbound = account.credentials.get("account_sid", ""), message.direction == "in"
    ours, theirs = f"whatsapp:{account.address}", address_of(customer)
    uri, when = f"/2010-04-01/Accounts/{sid}/Messages/{message.id}", formatdate(message.at)
    return {
        "account_sid": sid,
        "api_version": "2010-04-01",
        "body": "" if inbound and message.type == "location" else message.text,
        "date_created": when,
        "date_sent": None if status == "queued" else when,
        "date_updated": when,
        "direction": "inbound" if inbound else "outbound-api",
        "error_code": message.error if message.error and status != "queued" else None,
        "error_message": None,
        "from": theirs if inbound else ours,
        "messaging_service_sid": None,
        "num_media": str(len(message.media)),
        "num_segments": "1",
        "price": None,
        "price_unit": None,
        "sid": message.id,
        "status": status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": ours if inbound else theirs,
        "uri": f"{uri}.json",
    }


def _resources(own: Iterable[Account]) -> Iterator[tuple[float, Json]]:
    for account in own:
        for customer in account.customers.values():
            for message in customer.thread:
                yield message.at, resource(account, customer, message, status_of(message))


def routes(world: World) -> Iterable[web.AbstractRouteDef]:
    api = TwilioApi(world)
    serve = api.provider.serve
    return [
        web.post(ACCOUNT + "/Messages.json", serve("send", api.create)),
        web.get(ACCOUNT + "/Messages.json", serve("messages", api.list)),
        web.get(ACCOUNT + "/Messages/{message}.json", serve("message", api.fetch)),
        web.get(ACCOUNT + "/Messages/{message}/Media.json", serve("media", api.media_list)),
        web.get(ACCOUNT + "/Messages/{message}/Media/{media}", serve("media", api.media)),
        web.post(r"/twilio/{version:v\d}/Indicators/Typing.json", serve("typing", api.typing)),
        *twilio_more.routes(world, api.provider, api.accounts),
    ]
