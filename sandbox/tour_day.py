"""A day of one customer's: Messenger in the morning, WhatsApp at noon, a wrong merge in the evening that is undone.

Played like the rest of the tour, through the phones and the agents' desktops; what colleagues do goes over the
product's own API.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp

from sandbox import demo
from sandbox.visitors import Agent, Chat, Missing, Phone, World

Say = Callable[[str], object]
#: What Parley asks and says when somebody comes with a code of their chat on Messenger.
QUESTION = (
    "Your message holds a code of your chat with us on Messenger. Reply YES to join the two chats. "
    "If you did not ask for that, reply NO."
)
JOINED = "This chat and yours on Messenger are joined."


@dataclass(slots=True)
class Office:
    """The product's API, as a colleague's program uses it."""

    url: str
    token: str
    session: aiohttp.ClientSession

    async def get(self, path: str, **query: str) -> Any:
        return await self._call("GET", path, params=query)

    async def post(self, path: str, **body: Any) -> Any:
        return await self._call("POST", path, json=body)

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Token {self.token}"}
        async with self.session.request(method, f"{self.url}/api/v1/{path}/", headers=headers, **options) as answer:
            answer.raise_for_status()
            return await answer.json()


@dataclass(slots=True)
class Day:
    """One customer's day. `messages` counts those that were seen on the other side."""

    world: World
    office: Office
    say: Say
    messages: int = 0
    scene: str = "begin"
    _chats: list[Chat] = field(default_factory=list)
    _tag: str = field(default_factory=lambda: secrets.token_hex(2))

    async def play(self) -> None:
        """Play it all. Raises Missing at the first thing that is not as it should be."""
        ada = await Agent.hired(self.world, "Ada")
        ana, on_whatsapp, bob = (
            self._phone("messenger", "Ana"),
            self._phone("whatsapp", "Ana"),
            self._phone("twitter", "Bob"),
        )
        await self._morning(ana, ada)
        await self._noon(ana, on_whatsapp, ada)
        await self._evening(ana, bob, ada)

    async def clear(self) -> None:
        for chat in self._chats:
            await chat.close()

    async def _morning(self, ana: Phone, ada: Agent) -> None:
        self._begins("in the morning Ana writes on Messenger")
        chat = await self._chat(ana, ada, "Hello, where is my parcel?")
        await self._answer(chat, ana, "It left yesterday.")
        await ada.end(chat)
        await ana.shows(demo.GOODBYE)

    async def _noon(self, ana: Phone, on_whatsapp: Phone, ada: Agent) -> None:
        self._begins("at noon she goes on on WhatsApp, with a link that she was given")
        known = await self._identity(ana)
        handed = await self.office.post("link-codes", identity=known["id"])
        link = next(link_row["url"] for link_row in handed["links"] if link_row["kind"] == "whatsapp")
        [text] = parse_qs(urlsplit(link).query)["text"]
        asked = await self._joined(on_whatsapp, ada, text)
        chat = await self._chat(on_whatsapp, ada, "It is about my parcel.")
        attributes = self._attributes(chat)
        whatsapp = await self._identity(on_whatsapp)
        conversations = await self._conversations(known, whatsapp)
        self._demand(whatsapp["customer"] == known["customer"], "the link code did not make one customer of the two")
        expected = {
            "customer_id": known["customer"],
            "customer_recognised_by": "link_code",
            "customer_certainty": "proven",
            "conversation_id": conversations[1],
            "other_conversations": f"messenger {conversations[0]}",
            "previous_channel": "whatsapp",
            "previous_contact_id": asked.initial_contact_id,
            "previous_contact_outcome": "answered",
        }
        for name, value in expected.items():
            self._demand(
                attributes.get(name) == value, f"the attribute {name} is {attributes.get(name)!r}, not {value!r}"
            )
        self._done(
            0, f"the agent's attributes name both: {conversations[1]} now, {expected['other_conversations']} before"
        )
        await self._answer(chat, on_whatsapp, "Hello again, Ana.")
        await ada.end(chat)

    async def _joined(self, phone: Phone, ada: Agent, text: str) -> Chat:
        """Come with a code, say YES to the question, and end the chat in which that was."""
        chat = await self._chat(phone, ada, text)
        await phone.shows(QUESTION)
        await self._write(phone, "YES")
        await phone.shows(JOINED)
        self._done(1, "she is asked, says YES, and reads that the two chats are joined")
        await self._answer(chat, phone, "One moment, please.")
        await ada.end(chat)
        return chat

    async def _evening(self, ana: Phone, bob: Phone, ada: Agent) -> None:
        self._begins("in the evening Bob is merged with her by mistake, writes, and is taken apart again")
        chat = await self._chat(bob, ada, "Hello, this is Bob.")
        hers, his = await self._identity(ana), await self._identity(bob)
        before = await self._said(hers), await self._said(his)
        merged = await self.office.post(f"customers/{hers['customer']}/merge", other=his["customer"], reason="mistaken")
        shown = await self._identity(bob)
        self._demand(shown["customer"] == hers["customer"] == merged["customer"], "the merge did not make one customer")
        between = self._text("I wrote this in between.")
        await self._write(bob, between)
        await chat.sees(between)
        await self.office.post(f"merges/{merged['merge']}/undo", reason="two people")
        after = await self._identity(ana), await self._identity(bob)
        parted = [identity["customer"] for identity in after]
        self._demand(parted == [hers["customer"], his["customer"]], "the undo left one customer")
        said = await self._said(after[0]), await self._said(after[1])
        self._demand(said[0] == before[0], "her history is not as it was")
        self._demand(said[1] == [*before[1], between], "his history is not as it was, with what he wrote in between")
        self._done(1, f"both histories are as before: {len(said[0])} messages of hers, {len(said[1])} of his")
        await ada.end(chat)

    async def _chat(self, phone: Phone, agent: Agent, text: str) -> Chat:
        """Let a customer open a chat, and the agent accept it and see what was written."""
        text = text if "PARLEY-" in text else self._text(text)
        await self._write(phone, text)
        frame = await self.world.waits_for(
            "ws.frame", f"{text!r} never reached Amazon Connect", role="CUSTOMER", text=text
        )
        chat = await agent.accept(frame.fields["initial_contact_id"])
        self._chats.append(chat)
        await chat.sees(text)
        self._done(1, f"the agent reads {text!r}")
        return chat

    async def _answer(self, chat: Chat, phone: Phone, text: str) -> None:
        text = self._text(text)
        await chat.says(text)
        await phone.shows(text)
        self._done(1, f"{phone.person['name']} reads {text!r}")

    async def _write(self, phone: Phone, text: str) -> None:
        status = (await phone.write(text))["deliveries"][0]["status"]
        self._demand(status // 100 == 2, f"the webhook was answered {status}")  # noqa: PLR2004 - HTTP

    def _attributes(self, chat: Chat) -> dict[str, str]:
        line = self.world.find("connect.StartChatContact", initial_contact_id=chat.initial_contact_id)
        return dict(line.fields["attributes"]) if line else {}

    async def _identity(self, phone: Phone) -> dict[str, Any]:
        page = await self.office.get("identities", kind=phone.kind, external_id=phone.person["id"])
        if not page["results"]:
            raise Missing(f"nobody is known by {phone.person['id']} on {phone.kind}")
        identity: dict[str, Any] = page["results"][0]
        return identity

    async def _conversations(self, *identities: dict[str, Any]) -> list[str]:
        return [
            (await self.office.get("conversations", identity=identity["id"]))["results"][0]["id"]
            for identity in identities
        ]

    async def _said(self, identity: dict[str, Any]) -> list[str]:
        """Return what somebody wrote, in order."""
        [conversation] = await self._conversations(identity)
        page = await self.office.get("messages", conversation=conversation, direction="in")
        return [row["text"] for row in sorted(page["results"], key=lambda row: row["sequence"])]

    def _phone(self, kind: str, name: str) -> Phone:
        number = str(secrets.randbelow(9 * 10**9) + 10**9)
        person = {"id": f"+1{number}" if kind == "whatsapp" else f"18{number}00000", "name": name}
        address = demo.ACCOUNTS[kind][1][{"twitter": "user_id", "messenger": "page_id", "whatsapp": "number"}[kind]]
        return Phone(self.world, kind, address, person | {"username": f"{name.lower()}{number}"})

    def _begins(self, scene: str) -> None:
        self.scene = scene
        self.say(f"  {scene}")

    def _done(self, messages: int, text: str) -> None:
        self.messages += messages
        self.say(f"    ✓ {text}")

    def _text(self, text: str) -> str:
        self._tag = f"{int(self._tag, 16) + 1 & 0xFFFF:04x}"
        return f"{text} #{self._tag}"

    def _demand(self, fine: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not fine:
            raise Missing(otherwise)
