"""Phones and agents for scripts: clients of the simulated world's public APIs, as a real phone and a real CCP are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import aiohttp

from sandbox import demo

T = TypeVar("T")
#: What to say when something is missing: a text, or what makes one then.
Why = str | Callable[[], str]

TEXT = "text/plain"
LEFT = "application/vnd.amazonaws.connect.event.participant.left"
SUBSCRIBE = '{"topic":"aws/subscribe","content":{"topics":["aws/chat"]}}'
#: Seconds between two looks at something that has no stream.
LOOK_AGAIN = 0.02
#: Seconds within which the product must answer a provider's handshake; each try of theirs waits for three.
HANDSHAKE = 60.0
#: Seconds between tries when a quota is used up.
BACKOFF = (0.2, 0.4, 0.8, 1.6)
#: How many times the messengers' documented limits the demo's accounts have.
RAISED = 100.0
#: Seconds after which what was awaited is missing.
PATIENCE = 15.0


class Missing(Exception):
    """Something did not arrive in time. The text says what, and how far it came."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the world's ledger. `at` is Unix time in seconds."""

    n: int
    at: float
    what: str
    fields: Mapping[str, Any]


@dataclass(slots=True)
class World:
    """The simulated world's address and everything that it notes down."""

    url: str
    session: aiohttp.ClientSession
    lines: list[Line] = field(default_factory=list)

    async def until_it_answers(self) -> None:
        """Wait until the world's process is up."""
        while True:
            try:
                await self.call("GET", "/world/health")
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(LOOK_AGAIN)
            else:
                return

    async def call(self, method: str, path: str, body: Any = None, bearer: str = "") -> Any:
        """Make one call and return its JSON; throttled (429), try again after a while, as Amazon's own clients do.

        Raises aiohttp.ClientResponseError, naming the path, unless the answer is 2xx in the end.
        """
        headers = {"X-Amz-Bearer": bearer} if bearer else {}
        for wait in (*BACKOFF, None):
            async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
                if wait is None or answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                    answer.raise_for_status()
                    return await answer.json()
            await asyncio.sleep(wait)
        raise AssertionError

    async def introduce(self, webhooks: Mapping[str, str]) -> None:
        """Configure the contact flow, and register the demo accounts: each provider shakes hands with the product.

        Whoever plays with the demo is not to wait a quarter of an hour after X's fifteenth answer.
        """
        await self.call("PUT", f"/world/flows/{demo.FLOW}", demo.FLOW_BODY)
        for kind, url in webhooks.items():
            name, credentials = demo.ACCOUNTS[kind]
            account = {"kind": kind, "name": name, "webhook_url": url, "credentials": credentials}
            await self._register(account | {"raised": RAISED})

    async def _register(self, body: dict[str, Any]) -> None:
        """Register an account. A product that has just started may be slow with its first answer: try for a while."""
        deadline = time.monotonic() + HANDSHAKE
        while (answer := (await self.call("POST", "/phones/accounts", body))["handshake"]) != "ok":
            if time.monotonic() > deadline:
                raise Missing(f"{body['kind']}: the product did not answer the provider's handshake: {answer}")
            await asyncio.sleep(LOOK_AGAIN)

    async def follow(self) -> None:
        """Copy the ledger into `lines` until cancelled."""
        path = f"{self.url}/world/ledger/stream?after={(await self.call('GET', '/world/health'))['lines']}"
        async with self.session.get(path, timeout=aiohttp.ClientTimeout(total=None)) as stream:
            async for raw in stream.content:
                if raw.startswith(b"data: "):
                    self.lines.append(Line(**json.loads(raw[6:])))

    def find(self, what: str, **fields: Any) -> Line | None:
        """Return the first line of this name whose fields are these, or None."""
        for line in self.lines:
            if line.what == what and all(line.fields.get(key) == value for key, value in fields.items()):
                return line
        return None

    async def waits_for(self, what: str, missing: Why, **fields: Any) -> Line:
        """Return that line as soon as it is there. Raises Missing."""
        return await until(lambda: self.find(what, **fields), missing)


async def until(look: Callable[[], T | None], missing: Why) -> T:
    """Look again and again until there is something. Raises Missing after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (value := look()) is not None:
            return value
        await asyncio.sleep(LOOK_AGAIN)
    raise Missing(missing if isinstance(missing, str) else missing())


@dataclass(slots=True)
class Phone:
    """One customer's messenger."""

    world: World
    kind: str
    address: str
    person: Mapping[str, str]

    async def write(self, content: Mapping[str, Any] | str, **more: Any) -> Any:
        """Send something; return its id and what the product's webhook answered to each delivery."""
        body = {
            "from": self.person,
            "content": {"type": "text", "text": content} if isinstance(content, str) else content,
        }
        return await self.world.call("POST", f"/phones/{self.kind}/{self.address}/messages", body | more)

    async def shows(self, text: str) -> Line:
        """Wait until the company's message is on the screen. Raises Missing."""
        here = {"kind": self.kind, "customer_id": self.person["id"], "text": text}
        return await self.world.waits_for("phone.received", f"the phone never showed {text!r}", **here)

    async def bubbles(self) -> list[dict[str, Any]]:
        """Return the thread as it is on the screen."""
        thread: list[dict[str, Any]] = await self.world.call(
            "GET", f"/phones/{self.kind}/{self.address}/threads/{self.person['id']}"
        )
        return thread


@dataclass(slots=True)
class Agent:
    """One agent's Contact Control Panel."""

    world: World
    id: str

    @classmethod
    async def hired(cls, world: World, name: str) -> Agent:
        return cls(world, (await world.call("POST", "/ccp/agents", {"name": name}))["agent_id"])

    async def accept(self, initial_contact_id: str) -> Chat:
        """Take this chat when it is in the queue, and open its websocket. Raises Missing."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for waiting in await self.world.call("GET", "/ccp/queue"):
                if waiting["initial_contact_id"] == initial_contact_id:
                    accepted = await self._do(waiting["contact_id"], "accept")
                    return await Chat.opened(self, accepted)
            await asyncio.sleep(LOOK_AGAIN)
        raise Missing(f"the chat {initial_contact_id} never came into the queue")

    async def _do(self, contact_id: str, action: str) -> Any:
        return await self.world.call("POST", f"/ccp/contacts/{contact_id}/{action}", {"agent_id": self.id})

    async def transfer(self, chat: Chat) -> str:
        """Send the chat back to the queue and return its new ContactId."""
        return str((await self._do(chat.contact_id, "transfer"))["contact_id"])

    async def end(self, chat: Chat) -> None:
        await self._do(chat.contact_id, "end")


@dataclass(slots=True)
class Chat:
    """One chat on an agent's screen: `items` in the order in which they came, each once, with their local time."""

    agent: Agent
    contact_id: str
    initial_contact_id: str
    bearer: str
    items: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _reader: asyncio.Task[None] | None = None

    @classmethod
    async def opened(cls, agent: Agent, accepted: Mapping[str, Any]) -> Chat:
        request = {"Type": ["WEBSOCKET", "CONNECTION_CREDENTIALS"], "ConnectParticipant": True}
        token = accepted["participant_token"]
        details = await agent.world.call("POST", "/participant/connection", request, token)
        bearer = details["ConnectionCredentials"]["ConnectionToken"]
        chat = cls(agent, accepted["contact_id"], accepted["initial_contact_id"], bearer)
        socket = await agent.world.session.ws_connect(details["Websocket"]["Url"])
        await socket.send_str(SUBSCRIBE)
        chat._reader = asyncio.create_task(chat._read(socket))
        await chat._backfill()
        return chat

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for frame in socket:
                message = json.loads(frame.data)
                if message.get("topic") == "aws/chat":
                    self._take(json.loads(message["content"]))
        finally:
            await socket.close()

    async def _backfill(self) -> None:
        ask = {"MaxResults": 100, "ScanDirection": "BACKWARD", "SortOrder": "ASCENDING"}
        answer = await self.agent.world.call("POST", "/participant/transcript", ask, self.bearer)
        for item in answer["Transcript"]:
            self._take(item)

    def _take(self, item: dict[str, Any]) -> None:
        if item["Id"] not in self._known:
            self._known.add(item["Id"])
            self.items.append((time.time(), item))

    def count(self, text: str) -> int:
        """Return how often the customer's text is on the screen."""
        return sum(item.get("Content") == text and item.get("ParticipantRole") == "CUSTOMER" for _, item in self.items)

    async def sees(self, text: str) -> float:
        """Wait until the customer's text is on the screen and return when (Unix time). Raises Missing."""
        return (await self.finds(lambda item: item.get("Content") == text, f"the agent never saw {text!r}"))[0]

    async def finds(self, fits: Callable[[dict[str, Any]], bool], missing: str) -> tuple[float, dict[str, Any]]:
        """Wait for a customer's item that fits. Raises Missing."""

        def look() -> tuple[float, dict[str, Any]] | None:
            customers = (pair for pair in self.items if pair[1].get("ParticipantRole") == "CUSTOMER")
            return next((pair for pair in customers if pair[1]["Type"] == "MESSAGE" and fits(pair[1])), None)

        return await until(look, missing)

    async def says(self, text: str) -> None:
        body = {"ClientToken": str(uuid.uuid4()), "ContentType": TEXT, "Content": text}
        await self.agent.world.call("POST", "/participant/message", body, self.bearer)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
