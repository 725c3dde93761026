"""What follows when the company sends something: a bubble on the phone, then the provider's receipts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from sandbox.world.accounts import Account, Phones
from sandbox.world.delivery import Courier, connect_to
from sandbox.world.handset import Handset, Post
from sandbox.world.threads import Customer, Message
from sandbox.world.world import World

#: The largest file that Messenger and WhatsApp fetch from a URL, in bytes (Messenger: 25 MB).
LARGEST_FILE = 25_000_000
FETCH_TIMEOUT = 5.0
#: Receipts follow the answer to the send call by this much, in seconds; now and then they still overtake it.
RECEIPT_DELAY = 0.05


@dataclass(slots=True)
class Arrivals:
    """Puts sent messages on phones and lets the provider report back, in the background."""

    world: World

    @property
    def phones(self) -> Phones:
        return self.world.part(Phones)

    @property
    def courier(self) -> Courier:
        return self.world.part(Courier)

    def arrive(
        self, handset: Handset, account: Account, customer: Customer, message: Message, receipts: list[Post]
    ) -> None:
        """Show the message now, then post the receipts in turn; read it later if the account says so."""
        self.phones.arrive(account, customer, message)
        posts = [post for post in self._faulty(handset.kind, receipts) if post.url]
        self.courier.later(*(handset.sign(account, post) for post in posts), after=RECEIPT_DELAY)
        if account.read_after is not None and message.status != "failed":
            self.courier.spawn(self._read_later(handset, account, customer, message))

    def _faulty(self, kind: str, posts: list[Post]) -> list[Post]:
        """Lose, repeat or reverse the receipts when such a fault is on for this kind."""
        faults = self.world.faults
        if faults.fires("receipt_drop", kind):
            return []
        if faults.fires("receipt_double", kind):
            posts = posts * 2
        return posts[::-1] if faults.fires("receipt_shuffle", kind) else posts

    async def _read_later(self, handset: Handset, account: Account, customer: Customer, message: Message) -> None:
        await asyncio.sleep(account.read_after or 0)
        if self.phones.rise(account, customer, message, "read"):
            for post in handset.read(account, customer, [message]):
                await self.courier.deliver(handset.sign(account, post))

    async def fetch(self, account: Account, url: str) -> str | None:
        """Fetch what the company sends by URL, as the provider does; return where the phone shows it from.

        None: it could not be fetched. Only addresses on this machine are fetched, for the simulated world has
        no way out; any other URL is shown as it is.
        """
        inner = connect_to(url, account.deliver_to if _same_origin(url, account.webhook_url) else "")
        if urlsplit(inner).hostname not in ("127.0.0.1", "localhost", "::1"):
            return url
        got = await self.courier.fetch(inner, FETCH_TIMEOUT, LARGEST_FILE)
        if got is None:
            return None
        name = urlsplit(url).path.rsplit("/", 1)[-1] or "file"
        file = self.phones.put(got[0], got[1], name)
        return f"{self.world.base_url}/phones/media/{file.id}/{name}"


def _same_origin(one: str, other: str) -> bool:
    return urlsplit(one)[:2] == urlsplit(other)[:2]
