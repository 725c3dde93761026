"""The company's accounts at the messengers, the customers they know, and the files that were sent."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from sandbox.world.samples import SAMPLES
from sandbox.world.sse import Feed
from sandbox.world.threads import Content, Customer, Message, Status
from sandbox.world.world import World

#: How long after the customer's last message a free reply is allowed, in seconds (Messenger and WhatsApp).
REPLY_WINDOW = 24 * 3600


class Account(msgspec.Struct):
    """One Page, handle or number of the company, as its provider knows it.

    `webhook_url` is the public address, which Twilio signs; `deliver_to`, when given, is where to connect
    instead. `read_after` (seconds; None: only when asked) makes the customers read what they get. `limits`: the
    provider's documented limits hold, `raised` times as high, as for who has asked for more and got it.
    """

    kind: str
    address: str
    webhook_url: str = ""
    credentials: dict[str, str] = {}
    deliver_to: str = ""
    shape: str = ""
    read_after: float | None = None
    limits: bool = True
    raised: float = 1.0
    retries: int | None = None
    name: str = "Parley Demo"
    handshake: str = ""
    webhook_id: str = ""
    subscriptions: dict[str, dict[str, object]] = {}
    fields: list[str] | None = None
    customers: dict[str, Customer] = {}
    calls: dict[str, list[float]] = {}
    aliases: dict[str, str] = {}

    def find(self, recipient: str) -> Customer | None:
        """Return the customer whom a send call names, by id or by an alias such as a phone number, or None."""
        return self.customers.get(self.aliases.get(recipient, recipient))

    def meet(self, customer_id: str) -> Customer:
        """Return the customer, who is new if nobody has that id."""
        return self.customers.setdefault(customer_id, Customer(id=customer_id))


@dataclass(frozen=True, slots=True)
class File:
    """A file on a provider's media server."""

    id: str
    body: bytes
    mime: str
    name: str


@dataclass(slots=True)
class Phones:
    """Everything the messengers' side of the world remembers. `events` numbers every change of a thread."""

    world: World
    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    events: Feed = field(default_factory=Feed)

    def reset(self) -> None:
        """Empty the phones and the media. Accounts stay registered, as they would at the provider."""
        self.files.clear()
        self.events.events.clear()
        for account in self.accounts.values():
            account.customers.clear()
            account.aliases.clear()
            account.calls.clear()

    async def close(self) -> None:
        """Nothing is open here."""

    def of(self, kind: str) -> Iterator[Account]:
        return (account for account in self.accounts.values() if account.kind == kind)

    def by_secret(self, kind: str, key: str, value: str) -> Account | None:
        """Return the account of that kind whose credential `key` is `value`; an empty value finds none."""
        return next((a for a in self.of(kind) if value and a.credentials.get(key) == value), None)

    def put(self, body: bytes, mime: str, name: str) -> File:
        file = File(id=uuid.uuid4().hex, body=body, mime=mime, name=name)
        self.files[file.id] = file
        return file

    def file_for(self, content: Content) -> File:
        """Store the file that a customer sends, or this type's small sample."""
        mime, name, body = SAMPLES.get(content.type, SAMPLES["file"])
        data = base64.b64decode(content.data) if content.data else body
        return self.put(data, content.mime or mime, content.name or name)

    def show(self, account: Account, customer: Customer, message: Message) -> None:
        """Put a bubble on the phone, or tell the followers that one changed."""
        if message.id not in customer.by_id:
            customer.add(message)
        where = {"kind": account.kind, "address": account.address, "customer_id": customer.id}
        self.events.append("thread", **where, message=msgspec.to_builtins(message))

    def rise(self, account: Account, customer: Customer, message: Message, status: Status) -> bool:
        """Move a bubble up to `status` and tell the followers; return whether it moved."""
        moved = message.rise(status)
        if moved:
            self.show(account, customer, message)
        return moved

    def arrive(self, account: Account, customer: Customer, message: Message) -> None:
        """Put what the company sent on the phone, and into the world's ledger."""
        self.show(account, customer, message)
        self.world.ledger.append(
            "phone.received",
            kind=account.kind,
            address=account.address,
            customer_id=customer.id,
            message_id=message.id,
            type=message.type,
            text=message.text,
        )


def window_open(customer: Customer, seconds: float = REPLY_WINDOW) -> bool:
    """Whether the customer wrote within the last `seconds`."""
    return customer.last_inbound > 0 and time.time() - customer.last_inbound < seconds
