"""One chat of the demo: the customer's words, the bot's or an agent's, and what became of them, as rows of tables."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol

import msgspec
from django.conf import settings
from psycopg.types.json import Jsonb

from analytics.sentiment.key_phrases import normal
from channels_app.models import ChannelAccount
from channels_app.registry import channels
from sandbox import talk
from sandbox.world import lexicon

#: Days ago on which parcels were late, the app broke, and X refused much of what was sent.
PARCELS_LATE, APP_BROKEN, X_REFUSES = (9, 8, 7), (16,), (3,)
#: What messengers refuse with: the code as the outbox writes it, and words like theirs. Our class is the channel's.
REFUSALS = {
    "whatsapp": ("63016", "Outside the allowed window: use a template."),
    "messenger": ("10/2018278", "(#10) This message is sent outside of allowed window."),
    "twitter": ("349", "You cannot send messages to this user."),
}
MODEL = "Comprehend_20171127"
#: How a chat goes: with an agent, with the bot alone, or the customer gives up.
COURSES = {"agent": 70, "bot": 21, "left": 9}


class Refusal(msgspec.Struct, frozen=True):
    """What the outbox keeps of a refused send: our class, the provider's code, its words."""

    code: str = ""
    provider_code: str = ""
    words: str = ""


def refusal_of(kind: str) -> Refusal:
    """Return a refusal as real traffic of this kind leaves it behind."""
    provider_code, words = REFUSALS.get(kind, ("400", "The provider refused it."))
    return Refusal(channels()[kind].meaning(provider_code).code, provider_code, words)


class Talk(msgspec.Struct, kw_only=True):
    """One customer on one account, and when they last had a chat."""

    conversation: uuid.UUID
    identity: uuid.UUID
    customer: uuid.UUID
    account: ChannelAccount
    name: str
    number: int
    language: str
    created_at: datetime
    sequence: int = 0
    busy_until: datetime = datetime(1970, 1, 1, tzinfo=UTC)


class Writes(Protocol):
    """Takes rows, gives ids, and has the dice."""

    dice: Random

    def add(self, table: str, **row: Any) -> None: ...

    def new_id(self) -> uuid.UUID: ...


class Chatter:
    """Draws one chat. `ago`: how many days ago it is, for what went wrong on that day."""

    def __init__(self, book: Writes, one: Talk, begun: datetime, ago: int) -> None:
        self.book, self.talk, self.begun, self.ago = book, one, begun, ago
        self.dice = book.dice
        self.now = begun
        self.contact = book.new_id()
        self.agent = self.dice.choice(talk.AGENTS)
        name, self.theme = talk.theme_of(self.dice)
        trouble = (name == "parcel" and ago in PARCELS_LATE) or (name == "app" and ago in APP_BROKEN)
        self.mood = self.dice.gauss(-0.75 if trouble else 0.15, 0.4)

    def play(self) -> datetime:
        """Write all of it; return when it ended."""
        course = self.dice.choices(list(COURSES), list(COURSES.values()))[0]
        self._customer(self._words(self.theme.opening))
        self._say("SYSTEM", "", talk.GREETING, 1)
        if course != "left":
            self._say("SYSTEM", "BOT", self.dice.choice(talk.BOT), 2)
        queued_at = joined = None
        if course == "bot":
            self._customer(self._words(self.theme.plain), 20)
            self._say("SYSTEM", "BOT", self.dice.choice(talk.BOT), 2)
        else:
            queued_at = self.now
            if course == "agent":
                joined = self._with_agent()
            else:
                self._impatient()
        self.now += timedelta(seconds=self.dice.uniform(20, 240))
        self._contact(joined, queued_at)
        return self.now

    def _with_agent(self) -> datetime:
        slow = 2.2 if self.begun.hour in (11, 12, 16) else 1.0
        self.now += timedelta(seconds=min(3600, self.dice.lognormvariate(4.2, 0.9) * slow))
        joined = self.now
        self._say("AGENT", self.agent, self._answer(talk.AGENT[0]), 25)
        for _ in range(self.dice.randint(1, 7)):
            for _ in range(self.dice.choice((1, 1, 1, 2))):
                self._customer(self._mood_words(), 55)
            self._say("AGENT", self.agent, self._answer(self.dice.choice(talk.AGENT[1:])), 60)
            self.mood += self.dice.gauss(0.16, 0.2)
        if self.dice.choice((True, True, False)):
            self._customer(self._mood_words(), 40)
        return joined

    def _impatient(self) -> None:
        self.mood -= 0.3
        for _ in range(self.dice.randint(0, 2)):
            self._customer(self._mood_words(), 400)
        self.now += timedelta(seconds=self.dice.uniform(120, 1500))

    def _words(self, several: Sequence[str]) -> str:
        return talk.sentence(self.dice, dict(talk.FOREIGN).get(self.talk.language, several))

    def _mood_words(self) -> str:
        drawn = self.dice.gauss(self.mood, 0.45)
        theme = self.theme
        return self._words(theme.bad if drawn < talk.BAD else theme.good if drawn > talk.GOOD else theme.plain)

    def _answer(self, pattern: str) -> str:
        return pattern.format(agent=self.agent)

    # ── rows ──

    def _customer(self, text: str, after: float = 0) -> None:
        message = self._next(after)
        answered_at = self.now + timedelta(seconds=self.dice.lognormvariate(-2.6, 0.5))
        self._message(
            message,
            text,
            direction="in",
            role="CUSTOMER",
            author=self.talk.name,
            original=Jsonb({"event": "message", "message_id": message.hex, "text": text, "key": message.hex}),
            status="relayed",
            error_code="",
            error_detail="",
            relayed_at=answered_at,
            settled_at=None,
        )
        self._score(message, text)

    def _say(self, role: str, author: str, text: str, after: float) -> None:
        message = self._next(after)
        kind = self.talk.account.kind
        failed = self.dice.random() < (talk.RISKY if kind == "twitter" and self.ago in X_REFUSES else talk.SAFE)
        status = "failed" if failed else self.dice.choices(["accepted", "delivered", "read"], [2, 3, 5])[0]
        refusal = refusal_of(kind) if failed else Refusal()
        self._message(
            message,
            text,
            direction="out",
            role=role,
            author=author,
            original=None,
            status=status,
            error_code=refusal.code,
            error_detail=refusal.words,
            relayed_at=None,
            settled_at=self.now + timedelta(seconds=self.dice.lognormvariate(-1.1, 0.5)),
        )
        if failed:
            self._dead(message, text, refusal)

    def _next(self, after: float) -> uuid.UUID:
        self.now += timedelta(seconds=after and self.dice.expovariate(1 / after) + 1)
        self.talk.sequence += 1
        return self.book.new_id()

    def _message(self, message: uuid.UUID, text: str, **more: Any) -> None:
        self.book.add(
            "connect_bridge_message",
            id=message,
            conversation_id=self.talk.conversation,
            contact_id=self.contact,
            sequence=self.talk.sequence,
            content_type="text/plain",
            text=text,
            provider_message_id=message.hex,
            relayed=0,
            attempts=1,
            occurred_at=self.now,
            created_at=self.now,
            **more,
        )

    def _dead(self, message: uuid.UUID, text: str, refusal: Refusal) -> None:
        self.book.add(
            "connect_bridge_outboxentry",
            id=self.book.new_id(),
            message_id=message,
            conversation_id=self.talk.conversation,
            sequence=self.talk.sequence,
            part=0,
            text=text,
            state="dead",
            attempts=1,
            due_at=self.now,
            claimed_by="",
            provider_message_ids=Jsonb([]),
            error_code=refusal.code,
            provider_code=refusal.provider_code,
            error_detail=refusal.words,
            created_at=self.now,
            settled_at=self.now,
        )

    def _score(self, message: uuid.UUID, text: str) -> None:
        language = self.talk.language
        scored = language in talk.SCORED
        label, shares = lexicon.sentiment(text, language) if scored else ("", dict[str, float]())
        self.book.add(
            "analytics_sentiment",
            message_id=message,
            state="scored" if scored else "unsupported",
            language=language,
            language_from="channel",
            label=label.lower(),
            score=round((shares["Positive"] - shares["Negative"]) * 10_000) if scored else None,
            positive=shares.get("Positive"),
            negative=shares.get("Negative"),
            neutral=shares.get("Neutral"),
            mixed=shares.get("Mixed"),
            engine=settings.SENTIMENT_ENGINE,
            model=MODEL,
            phrases_due=False,
            attempts=1,
            due_at=self.now,
            scored_at=self.now,
            error="" if scored else language,
        )
        key_phrases = lexicon.phrases(text, language) if label == "NEGATIVE" else []
        for phrase in sorted({normal(phrase) for phrase, _ in key_phrases} - {""}):
            self.book.add("analytics_phrase", message_id=message, text=phrase)

    def _contact(self, joined: datetime | None, queued_at: datetime | None) -> None:
        agent = self.agent if joined else ""
        self.book.add(
            "connect_bridge_contact",
            id=self.contact,
            conversation_id=self.talk.conversation,
            state="ended",
            instance_id=settings.CONNECT_INSTANCE_ID,
            flow_id=settings.CONNECT_CONTACT_FLOW_ID,
            initial_contact_id=str(self.contact),
            contact_id=str(self.contact),
            participant_id="",
            participant_token="",
            connection_token="",
            agent_name=agent,
            bot=joined is None,
            requested_at=self.begun,
            started_at=self.begun + timedelta(seconds=0.4),
            connected_at=self.begun + timedelta(seconds=0.9),
            ended_at=self.now,
            reason="",
        )
        self.book.add(
            "analytics_contactdetail",
            contact_id=self.contact,
            queue=self.theme.queue if queued_at else "",
            queued_at=queued_at,
            agent=agent,
            agent_at=joined,
            disconnected_at=self.now,
            completed_at=self.now + timedelta(seconds=self.dice.uniform(5, 120)) if joined else None,
            reason="",
        )
        for kind, at in (("joined", joined), ("left", self.now - timedelta(seconds=1))):
            if joined and at:
                self._stay(kind, at)

    def _stay(self, kind: str, at: datetime) -> None:
        row = {"contact_id": self.contact, "item_id": f"{self.contact}-{kind}", "kind": kind, "name": self.agent}
        self.book.add("connect_bridge_contactevent", **row, at=at)
