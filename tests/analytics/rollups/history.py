"""Random histories of messages as hypothesis draws them, written as rows of a database."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from analytics.models import ContactDetail, Sentiment
from connect_bridge.models import Contact, ContactEvent, Conversation, Message, OutboxEntry
from tests.factories import (
    ChannelAccountFactory,
    ContactFactory,
    ConversationFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
)

ROLES = ("CUSTOMER", "CUSTOMER", "AGENT", "AGENT", "CUSTOM_BOT", "SYSTEM", "BOT")
LABELS = ("negative", "neutral", "mixed", "positive")
STATUSES = ("stored", "accepted", "delivered", "read", "failed", "uncertain")
seconds = st.integers(0, 5 * 3600)


@st.composite
def scores(draw: st.DrawFn) -> dict[str, Any]:
    state = draw(st.sampled_from(("scored", "scored", "scored", "unsupported", "refused", "pending")))
    if state != "scored":
        return {"state": state, "language": draw(st.sampled_from(("", "fi")))}
    shares = [draw(st.integers(1, 100)) for _ in LABELS]
    values = {label: share / sum(shares) for label, share in zip(LABELS, shares, strict=True)}
    score = round((values["positive"] - values["negative"]) * 10_000)
    label = max(values, key=lambda name: values[name])
    return {"state": state, "score": score, "label": label, "language": draw(st.sampled_from(("en", "es"))), **values}


lines = st.fixed_dictionaries(
    {
        "role": st.sampled_from(ROLES),
        "after": seconds,
        "took": st.integers(-5, 4000),
        "status": st.sampled_from(STATUSES),
        "code": st.sampled_from(("window_closed", "rejected", "")),
        "outside": st.sampled_from((False, False, False, True)),
        "doubled": st.booleans(),
        "wordless": st.sampled_from((False, False, True)),
        "score": st.one_of(st.none(), scores()),
    }
)
chats = st.fixed_dictionaries(
    {
        "conversation": st.integers(0, 2),
        "after": st.integers(0, 60 * 3600),
        "lines": st.lists(lines, max_size=9),
        "ended": st.booleans(),
        "agent": st.sampled_from(("", "Ann", "Bob")),
        "stays": st.lists(st.tuples(st.booleans(), st.integers(0, 100)), max_size=4),
        "detail": st.one_of(
            st.none(), st.tuples(st.sampled_from(("Support", "Sales")), seconds, seconds, st.booleans())
        ),
    }
)
#: What happens later: to which message or chat, and what.
late = st.lists(st.tuples(st.sampled_from(("settle", "score", "end", "receipt", "move", "join")), st.integers(0, 30)))


@dataclass
class History:
    """Rows of a few conversations from `start` on."""

    start: datetime
    conversations: list[Conversation] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)

    def begin(self) -> None:
        accounts = [ChannelAccountFactory(kind="whatsapp"), ChannelAccountFactory(kind="messenger")]
        self.conversations = [ConversationFactory(account=accounts[n % 2]) for n in range(3)]

    def write(self, chat: dict[str, Any]) -> None:
        conversation = self.conversations[chat["conversation"]]
        # Never two chats at the same moment, never two open ones.
        begun = self.start + timedelta(seconds=chat["after"] + len(self.contacts) * 0.001)
        conversation.contacts.filter(state="connected").update(state="ended", ended_at=begun)
        contact = ContactFactory(
            conversation=conversation, requested_at=begun, agent_name=chat["agent"], state="connected"
        )
        self.contacts.append(contact)
        end = begun
        for line in chat["lines"]:
            end += timedelta(seconds=line["after"] / 10)
            self._line(contact, line, end)
        if chat["ended"]:
            Contact.objects.filter(pk=contact.pk).update(state="ended", ended_at=end + timedelta(minutes=5))
        for number, (joined, share) in enumerate(chat["stays"]):
            at = begun + (end - begun) * share / 100 + timedelta(milliseconds=number)
            kind = "joined" if joined else "left"
            ContactEvent.objects.create(contact=contact, item_id=uuid.uuid4(), kind=kind, name="Ann", at=at)
        if chat["detail"]:
            queue, queued, agent, completed = chat["detail"]
            ContactDetail.objects.create(
                contact=contact,
                queue=queue,
                queued_at=begun + timedelta(seconds=queued / 10) if queued % 3 else None,
                agent_at=begun + timedelta(seconds=agent / 10) if agent % 3 else None,
                agent="Cid",
                completed_at=end + timedelta(minutes=9) if completed else None,
            )

    def _line(self, contact: Contact, line: dict[str, Any], at: datetime) -> None:
        inbound = line["role"] == "CUSTOMER"
        done = at + timedelta(seconds=line["took"] / 10)
        text = " " if line["wordless"] else "words"
        common: dict[str, Any] = {
            "conversation": contact.conversation,
            "contact": None if line["outside"] else contact,
            "created_at": at,
            "occurred_at": at - timedelta(seconds=1),
        }
        if inbound:
            entry = InboundEntryFactory(account=contact.conversation.account, created_at=at - timedelta(seconds=2))
            key = "twice" if line["doubled"] else uuid.uuid4().hex
            message = MessageFactory(
                **common,
                entry=entry,
                provider_message_id=key,
                status="stored" if line["outside"] else "relayed",
                relayed_at=None if line["outside"] else done,
                original={"event": "message", "text": text},
            )
            if line["score"]:
                Sentiment.objects.create(message=message, due_at=at, **line["score"])
        else:
            role = "SYSTEM" if line["role"] == "BOT" else line["role"]
            message = MessageFactory(
                **common,
                direction="out",
                role=role,
                author="BOT" if line["role"] == "BOT" else "",
                status=line["status"],
                error_code=line["code"] if line["status"] == "failed" else "",
                settled_at=None if line["status"] == "stored" else done,
            )
            if line["status"] == "failed" and line["code"] == "rejected":
                OutboxEntryFactory(message=message, provider_code="63016", state=OutboxEntry.State.DEAD)
        self.messages.append(message)

    def change(self, what: str, which: int) -> None:
        """Let something happen late."""
        if what in ("end", "join"):
            self._change_chat(what, which)
        elif self.messages:
            self._change_message(what, self.messages[which % len(self.messages)])

    def _change_message(self, what: str, message: Message) -> None:
        own_messages = Message.objects.filter(pk=message.pk)
        if what == "score" and message.direction == "in":
            score = {"state": "scored", "label": "negative", "score": -9000, "language": "en", "due_at": self.start}
            shares = {"negative": 0.9, "positive": 0.0, "neutral": 0.05, "mixed": 0.05}
            Sentiment.objects.update_or_create(message=message, defaults={**score, **shares})
        elif what == "move" and message.direction == "in":
            own_messages.filter(contact=None).update(
                contact=message.conversation.contacts.first(), relayed_at=message.created_at, status="relayed"
            )
        elif what == "settle" and message.direction == "out":
            own_messages.filter(status="stored").update(
                status="accepted", settled_at=message.created_at + timedelta(hours=3)
            )
        elif what == "receipt" and message.direction == "out":
            own_messages.filter(status="accepted").update(status="failed", error_code="rejected")

    def _change_chat(self, what: str, which: int) -> None:
        if not self.contacts:
            return
        contact = self.contacts[which % len(self.contacts)]
        if what == "end":
            last = contact.requested_at + timedelta(hours=30)
            Contact.objects.filter(pk=contact.pk, state="connected").update(state="ended", ended_at=last)
        else:
            at = contact.requested_at + timedelta(seconds=which)
            ContactEvent.objects.create(contact=contact, item_id=uuid.uuid4(), kind="joined", name="Zoe", at=at)
