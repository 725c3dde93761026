"""A scripted conversation on every channel, through real HTTP, timed hop by hop: proof that everything arrives."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from sandbox import demo
from sandbox.tour_day import Day, Office
from sandbox.visitors import LEFT, Agent, Chat, Line, Missing, Phone, World, until

#: Seconds for the whole tour.
LIMIT = 120.0
#: Where the world's ledger notes a send, by channel.
SENDS = {"twitter": "x.send", "messenger": "graph.send", "whatsapp": "twilio.send"}
ADDRESSES = {"twitter": "user_id", "messenger": "page_id", "whatsapp": "number"}
#: What Connect's chat cannot show. X has no stickers, but GIFs.
STICKERS = {"twitter": "gif", "messenger": "sticker", "whatsapp": "sticker"}
UNAUTHORISED = 401

Say = Callable[[str], object]
Hop = tuple[str, float]


@dataclass(slots=True)
class Tour:
    """Plays every channel, and with an `office` one customer's day on several; prints what happens.

    `failures` names what did not arrive.
    """

    world: World
    say: Say
    office: Office | None = None
    failures: list[str] = field(default_factory=list)
    messages: int = 0

    async def run(self) -> bool:
        """Return whether every message arrived on both sides."""
        began = time.monotonic()
        following = asyncio.create_task(self.world.follow())
        try:
            async with asyncio.timeout(LIMIT):
                for kind in demo.ACCOUNTS:
                    await self._play(kind)
                if self.office is not None:
                    await self._play_day(self.office)
        except TimeoutError:
            self.failures.append(f"the tour was not over after {LIMIT:g} s")
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        self._sum_up(time.monotonic() - began)
        return not self.failures

    async def _play(self, kind: str) -> None:
        self.say(f"\n{demo.ACCOUNTS[kind][0]}")
        stage = Stage(self, kind)
        try:
            await stage.play()
        except Missing as missing:
            self._failed(f"{kind}, {stage.scene}", str(missing))
        except aiohttp.ClientResponseError as refused:
            self._failed(f"{kind}, {stage.scene}", f"{refused.request_info.url.path} answered {refused.status}")
        finally:
            await stage.clear()

    async def _play_day(self, office: Office) -> None:
        self.say("\nOne customer on all channels")
        day = Day(self.world, office, self.say)
        try:
            await day.play()
        except Missing as missing:
            self._failed(f"one customer, {day.scene}", str(missing))
        except aiohttp.ClientResponseError as refused:
            self._failed(f"one customer, {day.scene}", f"{refused.request_info.url.path} answered {refused.status}")
        finally:
            await day.clear()
        self.messages += day.messages

    def _failed(self, where: str, what: str) -> None:
        self.failures.append(f"{where}: {what}")
        self.say(f"  ✗ {what}")

    def _sum_up(self, seconds: float) -> None:
        self.say("")
        for failure in self.failures:
            self.say(f"✗ {failure}")
        if self.failures:
            self.say(f"The tour FAILED in {seconds:.1f} s: {len(self.failures)} of {len(demo.ACCOUNTS) + 1} parts.")
        else:
            channels = len(demo.ACCOUNTS)
            self.say(
                f"✓ {self.messages} messages on {channels} channels, all of them on both sides, in {seconds:.1f} s."
            )


class Stage:
    """One channel's scenes, with two customers and two agents."""

    def __init__(self, tour: Tour, kind: str) -> None:
        self.tour, self.kind, self.world = tour, kind, tour.world
        self.scene = "begin"
        self.tag = secrets.token_hex(2)
        self.alice, self.bob = self._phone("Alice"), self._phone("Bob")
        self.chats: list[Chat] = []

    def _phone(self, name: str) -> Phone:
        number = str(secrets.randbelow(9 * 10**9) + 10**9)
        person = {"id": f"+1{number}" if self.kind == "whatsapp" else f"17{number}00000", "name": name}
        address = demo.ACCOUNTS[self.kind][1][ADDRESSES[self.kind]]
        return Phone(self.world, self.kind, address, person | {"username": f"{name.lower()}{number}"})

    async def play(self) -> None:
        """Play all scenes. Raises Missing at the first thing that does not arrive."""
        ada, ben = await Agent.hired(self.world, "Ada"), await Agent.hired(self.world, "Ben")
        await self._scene("a customer writes and is answered", self._first_words, ada)
        await self._scene("two customers at once", self._two_at_once, ada)
        await self._scene("a transfer to another agent", self._transfer, ada, ben)
        await self._scene("a sticker, which Connect cannot show", self._sticker)
        await self._scene("a webhook delivered three times", self._thrice)
        await self._scene("a forged webhook", self._forged)
        await self._scene("the agent ends; the flow says goodbye", self._goodbye, ben)
        await self._scene("the customer writes after the end", self._after_the_end, ada, ben)

    async def clear(self) -> None:
        for chat in self.chats:
            await chat.close()

    async def _scene(self, title: str, act: Callable[..., Awaitable[None]], *agents: Agent) -> None:
        self.scene = title
        self.tour.say(f"  {title}")
        await act(*agents)

    async def _first_words(self, ada: Agent) -> None:
        chat = await self._begin(self.alice, ada, self._text("Hello, is somebody there?"))
        await self._answer(chat, self.alice, self._text("Hello Alice, how can I help?"))

    async def _two_at_once(self, ada: Agent) -> None:
        bobs = await self._begin(self.bob, ada, self._text("Hi, this is Bob."))
        alices = self.chats[0]
        asked = self._text("This is from Alice."), self._text("This is from Bob.")
        await _both(self._ask(alices, self.alice, asked[0]), self._ask(bobs, self.bob, asked[1]))
        texts = self._text("This is for Alice."), self._text("This is for Bob.")
        await _both(self._answer(alices, self.alice, texts[0]), self._answer(bobs, self.bob, texts[1]))
        await self._belongs(alices, self.alice, asked[1], texts[1])
        await self._belongs(bobs, self.bob, asked[0], texts[0])

    async def _belongs(self, chat: Chat, phone: Phone, not_asked: str, not_told: str) -> None:
        """Raise Missing if something of the other customer's is in this chat or on this phone."""
        shown = [bubble["text"] for bubble in await phone.bubbles()]
        self._demand(chat.count(not_asked) == 0, "a message of one customer was shown in the other's chat")
        self._demand(not_told not in shown, "an answer to one customer was shown to the other")

    async def _transfer(self, ada: Agent, ben: Agent) -> None:
        before = self.chats[0]
        moved = await ada.transfer(before)
        self._demand(moved != before.contact_id, "the transfer did not make a new contact")
        while_waiting = self._text("I wrote this while nobody was there.")
        await self._write(self.alice, while_waiting)
        after = await ben.accept(before.initial_contact_id)
        self.chats[0] = after
        await before.close()
        await after.sees(while_waiting)
        await self._ask(after, self.alice, self._text("And this to the new agent."))
        await self._answer(after, self.alice, self._text("Ben here. I have read everything."))

    async def _sticker(self) -> None:
        chat = self.chats[0]
        known = {item["Id"] for _, item in chat.items}
        await self.alice.write({"type": STICKERS[self.kind]})
        missing = "the agent never saw a placeholder for the sticker"
        _, item = await chat.finds(lambda item: item["Id"] not in known and item["Content"].startswith("["), missing)
        self._done(1, f"the agent reads {item['Content']!r}")

    async def _thrice(self) -> None:
        chat, text = self.chats[0], self._text("I am delivered three times.")
        answer = await self.alice.write(text, times=3)
        statuses = [delivery["status"] for delivery in answer["deliveries"]]
        self._demand(len(statuses) == 3 and all(status // 100 == 2 for status in statuses), f"answered {statuses}")  # noqa: PLR2004
        await self._ask(chat, self.alice, self._text("I come after it."))
        self._demand(chat.count(text) == 1, f"the agent saw it {chat.count(text)} times")
        self._done(1, f"answered {statuses}, shown once")

    async def _forged(self) -> None:
        chat, text = self.chats[0], self._text("I am forged.")
        answer = await self.alice.write(text, forge=True)
        status = answer["deliveries"][0]["status"]
        self._demand(status == UNAUTHORISED, f"a forged webhook was answered {status}, not {UNAUTHORISED}")
        await self._ask(chat, self.alice, self._text("I am real."))
        self._demand(chat.count(text) == 0, "the agent saw a forged message")
        self._done(0, f"answered {status}, shown to nobody")

    async def _goodbye(self, ben: Agent) -> None:
        chat = self.chats[0]
        await ben.end(chat)
        shown = await self.alice.shows(demo.GOODBYE)
        lefts = [line for line in self.world.lines if _is_departure(line, chat)]
        said = await self.world.waits_for(
            "ws.frame", "the flow said nothing", initial_contact_id=chat.initial_contact_id, text=demo.GOODBYE
        )
        self._demand(bool(lefts) and lefts[-1].n < said.n, "the goodbye came before the agent had left")
        self._hops(
            [("agent leaves", lefts[-1].at), ("flow says goodbye", said.at), *await self._delivery(self.alice, shown)]
        )

    async def _after_the_end(self, ada: Agent, ben: Agent) -> None:
        ended, bobs = self.chats
        chat = await self._begin(self.alice, ben, self._text("One more thing!"))
        self._demand(chat.initial_contact_id != ended.initial_contact_id, "the ended contact was used again")
        await self._answer(chat, self.alice, self._text("Of course."))
        await ben.end(chat)
        await ada.end(bobs)

    async def _begin(self, phone: Phone, agent: Agent, text: str) -> Chat:
        """Let a customer open a chat, and the agent accept it and see the text."""
        await self._write(phone, text)
        first = await self._reaches_connect(phone, text)
        chat = await agent.accept(first.fields["initial_contact_id"])
        self.chats.append(chat)
        seen = await chat.sees(text)
        self._hops(self._arrival(phone, text, first, seen))
        return chat

    async def _ask(self, chat: Chat, phone: Phone, text: str) -> None:
        """Let a customer go on in an open chat, and the agent see it."""
        await self._write(phone, text)
        frame = await self._reaches_connect(phone, text)
        self._hops(self._arrival(phone, text, frame, await chat.sees(text)))

    async def _answer(self, chat: Chat, phone: Phone, text: str) -> None:
        """Let the agent answer, and the phone show it once, where it belongs."""
        await chat.says(text)
        said = await self.world.waits_for("ws.frame", "Connect never took the agent's words", role="AGENT", text=text)
        shown = await phone.shows(text)
        self._hops([("agent SendMessage", said.at), *await self._delivery(phone, shown)])

    async def _write(self, phone: Phone, text: str) -> None:
        answer = await phone.write(text)
        status = answer["deliveries"][0]["status"]
        self._demand(status // 100 == 2, f"the webhook was answered {status}: {answer['deliveries'][0]['body'][:200]}")  # noqa: PLR2004
        await until(lambda: self.world.find("phone.message", message_id=answer["message_id"]), "the ledger is silent")

    async def _reaches_connect(self, phone: Phone, text: str) -> Line:
        def missing() -> str:
            lines = [line for line in self.world.lines if line.fields.get("customer_id") == phone.person["id"]]
            return f"{text!r} never reached Amazon Connect; the last hop seen is {lines[-1].what}"

        return await self.world.waits_for("ws.frame", missing, role="CUSTOMER", text=text)

    def _arrival(self, phone: Phone, text: str, frame: Line, seen: float) -> list[Hop]:
        """Return the hops from a phone to the agent's screen, as the ledger has them."""
        contact = frame.fields["initial_contact_id"]
        customer = {"kind": self.kind, "customer_id": phone.person["id"], "text": text}
        steps = [
            ("phone", self.world.find("phone.message", **customer)),
            ("webhook answered", self.world.find(f"webhook.{self.kind}", **customer)),
            ("StartChatContact", self.world.find("connect.StartChatContact", initial_contact_id=contact)),
            ("connection", self.world.find("participant.CreateParticipantConnection", initial_contact_id=contact)),
            ("SendMessage", self.world.find("participant.SendMessage", role="CUSTOMER", text=text)),
        ]
        began = next((line.at for _, line in steps if line), frame.at)
        return [*((name, line.at) for name, line in steps if line and line.at >= began), ("agent's screen", seen)]

    async def _delivery(self, phone: Phone, shown: Line) -> Sequence[Hop]:
        call = SENDS[self.kind]
        sent = await self.world.waits_for(call, f"{call} is not in the ledger", text=shown.fields["text"])
        return [("provider takes it", sent.at), (f"{phone.person['name']}'s phone", shown.at)]

    def _hops(self, hops: Sequence[Hop]) -> None:
        """Print the hops with milliseconds since the first."""
        began = hops[0][1]
        self._done(1, "  →  ".join(f"{name} {max(0.0, at - began) * 1000:.0f}" for name, at in hops) + " ms")

    def _done(self, messages: int, text: str) -> None:
        self.tour.messages += messages
        self.tour.say(f"    ✓ {text}")

    def _text(self, text: str) -> str:
        """Make the text differ from every other one of this tour."""
        self.tag = f"{int(self.tag, 16) + 1 & 0xFFFF:04x}"
        return f"{text} #{self.tag}"

    def _demand(self, fine: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as an assertion
        if not fine:
            raise Missing(otherwise)


async def _both(first: Awaitable[None], second: Awaitable[None]) -> None:
    """Do both at the same time, to the end; then raise what the first of them raised."""
    for outcome in await asyncio.gather(first, second, return_exceptions=True):
        if outcome is not None:
            raise outcome


def _is_departure(line: Line, chat: Chat) -> bool:
    fields = line.fields
    return (
        line.what == "ws.frame"
        and fields.get("initial_contact_id") == chat.initial_contact_id
        and fields.get("content_type") == LEFT
    )
