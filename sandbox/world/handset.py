"""What every kind of phone can do: compose a provider's webhooks, sign them, answer for receipts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.world.accounts import Account, File
from sandbox.world.delivery import Courier, Delivery, Schedule, connect_to
from sandbox.world.threads import Content, Customer, Message

#: Providers thin their redeliveries out over hours or days; here the whole schedule passes in a minute and a half.
FAST_DELAYS = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0, 20.0, 40.0)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a customer does. `at` is Unix seconds; `target` is the bubble it is about, if any."""

    account: Account
    customer: Customer
    content: Content
    id: str
    at: float
    base_url: str
    shape: str = ""
    file: File | None = None
    target: Message | None = None

    @property
    def ms(self) -> int:
        return int(self.at * 1000)

    @property
    def target_id(self) -> str:
        return self.content.to or (self.target.id if self.target else "")


@dataclass(frozen=True, slots=True)
class Post:
    """One webhook, not signed yet. `url` is public; `event` and `ids` say in the ledger what it carries."""

    url: str
    body: bytes
    event: str
    ids: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handset:
    """One messenger's phones. `kinds` maps each content type that the provider can carry to its label."""

    kind: str
    address_key: str
    kinds: Mapping[str, str]
    new_id: Callable[[Content, float], str]
    compose: Callable[[Act], bytes]
    headers: Callable[[Account, str, bytes, bool], dict[str, str]]
    handshake: Callable[[Account, Courier], Awaitable[str]]
    read: Callable[[Account, Customer, list[Message]], list[Post]]
    schedule: Callable[[Account], Schedule]

    def sign(self, account: Account, post: Post, *, forged: bool = False) -> Delivery:
        """Make a delivery of a post; a forged one carries a signature made with a wrong secret, once."""
        schedule = self.schedule(account)
        if forged:
            schedule = Schedule(timeout=schedule.timeout, delays=())
        fields = {"kind": self.kind, "address": account.address, "event": post.event, "forged": forged, **post.ids}
        return Delivery(
            what=f"webhook.{self.kind}",
            url=connect_to(post.url, account.deliver_to),
            body=post.body,
            headers=self.headers(account, post.url, post.body, forged),
            schedule=schedule,
            fields=fields,
        )


def secret(account: Account, key: str, *, forged: bool) -> str:
    """Return the signing secret, or another one for a forgery."""
    return "not-the-secret" if forged else account.credentials.get(key, "")


def delays(account: Account, usual: tuple[float, ...]) -> tuple[float, ...]:
    """Return the waits before each redelivery, cut or stretched to the account's own `retries`."""
    if account.retries is None:
        return usual
    longer = usual + (usual[-1:] or (1.0,)) * account.retries
    return longer[: account.retries]
