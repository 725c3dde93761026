"""The simulated world as the rig drives it: customers who write, agents who end and transfer chats, an attacker."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.chaos.evidence import FORGED, say

FLOW = "chaos-flow"
#: Agents answer everything; at a chat's end the flow says goodbye a moment after the agent has left.
FLOW_BODY = {
    "auto_accept": "agent",
    "auto_reply": "re: {text}",
    "disconnect_messages": ["Goodbye."],
    "disconnect_seconds": 0.5,
}
#: How often a webhook is delivered at once, and how often again if nobody takes it.
TIMES, RETRIES = 3, 12
#: How many times X's documented limits our account there has: a run says in minutes what they allow in days.
RAISED = 1_000.0


@dataclass(frozen=True, slots=True)
class Account:
    """One of our accounts at a messenger. `customers` is the pattern of its customers' ids."""

    number: int
    kind: str
    address: str
    credentials: Mapping[str, str]
    customers: str


def _messenger(number: int) -> Account:
    page = f"20000000000000{number}"
    credentials = {"app_secret": f"app-secret-{number}", "page_id": page, "page_access_token": f"page-token-{number}"}
    return Account(number, "messenger", page, credentials | {"verify_token": "v"}, f"5551234567{number}%04d")


def _whatsapp(number: int) -> Account:
    credentials = {"account_sid": f"AC{number:032}", "auth_token": f"{number:032}", "number": f"+3460000000{number}"}
    return Account(number, "whatsapp", credentials["number"], credentials, f"+346{number}0000%04d")


def _twitter(number: int) -> Account:
    names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
    credentials = {name: f"x-{name}-{number}" for name in names} | {"user_id": f"170000000{number}"}
    return Account(number, "twitter", credentials["user_id"], credentials, f"18000000{number}%04d")


#: Two tenants share a kind: a mix-up between them shows.
ACCOUNTS: Sequence[Account] = (_messenger(0), _messenger(1), _whatsapp(2), _twitter(3))


@dataclass(slots=True)
class Outside:
    """The world at `url`. Calls that fail are the world's or the rig's own fault, and raise.

    Every webhook is delivered so many `times` at once.
    """

    url: str
    session: aiohttp.ClientSession
    times: int = TIMES
    webhooks: Mapping[int, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as answer:
            raw = await answer.read()
            if answer.status >= 400:
                raise OutsideError(f"{method} {path}: {answer.status} {raw[:200]!r}")
            return json.loads(raw) if raw else None

    async def furnish(self, webhooks: Mapping[int, str]) -> None:
        """Give the world its agents and our accounts."""
        self.webhooks = webhooks
        await self.call("PUT", f"/world/flows/{FLOW}", FLOW_BODY)
        for name in ("agent", "second"):
            await self.call("POST", "/ccp/agents", {"name": name, "agent_id": name})
        for account in ACCOUNTS:
            form = {"kind": account.kind, "webhook_url": webhooks[account.number], "retries": RETRIES, "raised": RAISED}
            await self.call("POST", "/phones/accounts", form | {"credentials": dict(account.credentials)})

    async def faults(self, *faults: Mapping[str, Any]) -> None:
        await self.call("POST", "/world/faults", list(faults))

    async def heal(self) -> None:
        await self.call("DELETE", "/world/faults")

    async def write(self, account: Account, customer: int, message: int, content: Mapping[str, Any]) -> None:
        """Let a customer write; return when the messenger has tried to deliver it once."""
        sender = {"id": account.customers % customer, "name": f"Customer {customer}"}
        body = {"from": sender, "content": {"type": "text", **content}, "times": self.times}
        await self.call("POST", f"/phones/{account.kind}/{account.address.replace('+', '%2B')}/messages", body)

    async def end_a_chat(self, dice: random.Random) -> bool:
        """Let an agent end one of their chats, or pass it on to a colleague who takes it at once."""
        agent = dice.choice(("agent", "second"))
        chats = await self.call("GET", f"/ccp/contacts?agent={agent}")
        if not chats:
            return False
        chat = dice.choice(chats)["contact_id"]
        try:
            if agent == "agent" and dice.random() < 0.5:
                passed = await self.call("POST", f"/ccp/contacts/{chat}/transfer", {"agent_id": agent})
                path = f"/ccp/contacts/{passed['contact_id']}/accept"
                await self.call("POST", path, {"agent_id": "second"})
            else:
                await self.call("POST", f"/ccp/contacts/{chat}/end", {"agent_id": agent})
        except OutsideError:
            return False  # the chat ended meanwhile
        return True

    async def attack(self) -> list[int]:
        """Post to one tenant what another tenant's secret signs, and what nobody's does; return what was answered."""
        own, other = ACCOUNTS[0], ACCOUNTS[1]
        answers = []
        for secret in (other.credentials["app_secret"], "nobody's secret"):
            event = {
                "sender": {"id": own.customers % 9999},
                "recipient": {"id": own.address},
                "timestamp": int(time.time() * 1000),
                "message": {"mid": f"m_{random.getrandbits(64):x}", "text": FORGED},
            }
            body = json.dumps({"object": "page", "entry": [{"id": own.address, "time": 1, "messaging": [event]}]})
            signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
            headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
            with contextlib.suppress(aiohttp.ClientError):  # the web may be down: another nemesis' business
                async with self.session.post(self.webhooks[own.number], data=body, headers=headers) as answer:
                    answers.append(answer.status)
        return answers


class OutsideError(Exception):
    """The world refused what the rig asked."""


@dataclass(slots=True)
class Load:
    """Customers who write at a steady rate until told to stop, each one thing at a time."""

    outside: Outside
    customers: int
    rate: float
    dice: random.Random
    written: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        """Let all customers write side by side; return when the last one has put the phone down."""
        pause = self.customers / self.rate
        people = [(ACCOUNTS[number % len(ACCOUNTS)], number) for number in range(self.customers)]
        await asyncio.gather(*(self._customer(account, number, pause) for account, number in people))

    async def _customer(self, account: Account, customer: int, pause: float) -> None:
        dice = random.Random(self.dice.random())
        message = 0
        await self._wait(dice.uniform(0, pause))
        while not self._stop.is_set():
            message += 1
            began = time.monotonic()
            await self.outside.write(account, customer, message, self._content(dice, account, customer, message))
            self.written += 1
            await self._wait(max(0.05, began + pause * dice.uniform(0.6, 1.4) - time.monotonic()))

    def _content(self, dice: random.Random, account: Account, customer: int, message: int) -> dict[str, Any]:
        """Mostly a few words; sometimes more than a bot or a messenger takes at once; sometimes a picture."""
        lot = dice.random()
        count = 250 if message == 1 and lot < 0.5 else 170 if lot < 0.04 else 1
        text = say(account.number, customer, message, count)
        return {"type": "image", "text": text} if lot > 0.96 and account.kind != "twitter" else {"text": text}

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
