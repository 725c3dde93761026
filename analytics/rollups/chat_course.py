"""How a chat went: who waited for whom, how long agents were there, and what came of it. Pure functions of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from analytics.rollups.records import ENDED, TAKEN, AgentStay, ChatRecord, MessageRecord

#: A customer who comes back within this time was not helped.
RETURN = timedelta(hours=24)


class Turn(msgspec.Struct, frozen=True):
    """The oldest customer message without an answer, and the agent's answer that the messenger took."""

    asked: MessageRecord
    answered: MessageRecord


def turns(messages: Sequence[MessageRecord]) -> Iterator[Turn]:
    """Yield every turn: what nobody had answered yet, and the next message of an agent that the messenger took."""
    waiting: MessageRecord | None = None
    for message in messages:
        if message.inbound:
            waiting = waiting or message
        elif waiting is not None and message.speaker == "agent" and message.status in TAKEN:
            yield Turn(waiting, message)
            waiting = None


def first_response(messages: Sequence[MessageRecord]) -> tuple[datetime, datetime] | None:
    """Return when the first customer message was stored and when the first message of a human was taken."""
    first = next((turn for turn in turns(messages)), None)
    if first is None or first.answered.settled_at is None:
        return None
    return first.asked.created_at, first.answered.settled_at


def waiting_since(messages: Sequence[MessageRecord]) -> datetime | None:
    """Return when the oldest customer message was stored to which nobody, agent or bot, has an answer on its way."""
    since = None
    for message in messages:
        if message.inbound:
            since = since or message.created_at
        elif message.speaker in ("agent", "bot") and message.status != "failed":
            since = None
    return since


def agent_joined(chat: ChatRecord, stays: Sequence[AgentStay]) -> datetime | None:
    """Return when the first agent came: as the chat told, else as Connect's contact event did."""
    joined = [stay.at for stay in stays if stay.joined]
    return min(joined) if joined else chat.agent_at


def handle_time(chat: ChatRecord, stays: Sequence[AgentStay]) -> timedelta | None:
    """Return how long agents were in the chat, and the after-contact work where Connect told it; None while open."""
    if chat.state not in ENDED or chat.ended_at is None:
        return None
    if any(stay.joined for stay in stays):
        whole = presence(stays, chat.ended_at)
    elif chat.agent_at is not None:
        whole = chat.ended_at - chat.agent_at
    else:
        return None
    if chat.completed_at is not None:
        whole += max(timedelta(), chat.completed_at - chat.ended_at)
    return max(timedelta(), whole)


def presence(stays: Sequence[AgentStay], end: datetime) -> timedelta:
    """Return for how long at least one agent was there; two at once count once."""
    present, since, whole = 0, end, timedelta()
    for stay in sorted(stays, key=lambda stay: stay.at):
        if stay.joined:
            since = stay.at if present == 0 else since
            present += 1
        elif present:
            present -= 1
            whole += stay.at - since if present == 0 else timedelta()
    return whole + (end - since if present else timedelta())


def outcome_of(chat: ChatRecord, messages: Sequence[MessageRecord], *, joined: bool) -> str:
    """Return handled, abandoned, deflected, contained, or open.

    Connect's chat does not say when a customer begins to wait for an agent; its contact events do. Without them a chat
    in which the bot has the last word was the bot's alone, and every other waited.
    """
    if joined or any(message.speaker == "agent" for message in messages):
        return "handled"
    if chat.state not in ENDED:
        return "open"
    speakers = [message.speaker for message in messages if message.speaker != "auto"]
    if chat.queued_at is not None or not speakers or speakers[-1] != "bot":
        return "abandoned"
    came_back = chat.next_at is not None and chat.ended_at is not None and chat.next_at < chat.ended_at + RETURN
    return "deflected" if came_back else "contained"
