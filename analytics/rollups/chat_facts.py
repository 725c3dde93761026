"""What one chat adds to the numbers: from its rows alone, without a clock, so that it can be made again at any time.

1. Every message is counted in the hour in which it was stored: received or sent, how it ended, how it was scored.
2. The chat is counted in the hour in which it was requested: what came of it, how long people waited, its rating.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from analytics.rollups import office_hours
from analytics.rollups.chat_course import agent_joined, first_response, handle_time, outcome_of, turns, waiting_since
from analytics.rollups.facts import Facts, milliseconds
from analytics.rollups.ratings import language_of, rating_of, scores_of, shift_of
from analytics.rollups.records import ENDED, TAKEN, UNTAKEN, ChatRecord, MessageRecord, Unit
from analytics.rollups.time_buckets import hour_of
from analytics.thresholds import CLEAR, SCALE


def facts_of(unit: Unit) -> tuple[Facts, str]:
    """Return what the unit adds to the rollups, and what came of its chat ("" outside any chat)."""
    facts = Facts(account=unit.account, language=language_of(unit.messages), phrases=sorted(unit.phrases))
    count_messages(facts, unit.messages)
    if unit.chat is None:
        return facts, ""
    facts.queue = unit.chat.queue
    facts.agent = unit.chat.agent_name or unit.chat.agent
    return facts, count_chat(facts, unit, unit.chat)


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def count_messages(facts: Facts, messages: Sequence[MessageRecord]) -> None:
    """Count every message in its own hour."""
    known: set[str] = set()
    for message in messages:
        if message.inbound:
            is_new = not message.provider_message_id or message.provider_message_id not in known
            known.add(message.provider_message_id)
            _count_received(facts, message, is_new=is_new)
        else:
            _count_sent(facts, message)


def _count_received(facts: Facts, message: MessageRecord, *, is_new: bool) -> None:
    """Count a customer's message: one id of the messenger counts once, scores and latency of each row."""
    at = message.created_at
    facts.add(at, received=int(is_new))
    if message.scorable:
        facts.add(at, scorable=1, unscored=int(message.state in ("unsupported", "refused")))
        if message.state == "scored":
            facts.add(at, scored=1, unsure=int(message.unsure), **{message.label: 1})
    if message.relayed_at is not None:
        facts.note("bridge_in", at, message.relayed_at - (message.received_at or at))


def _count_sent(facts: Facts, message: MessageRecord) -> None:
    """Count a message to the customer: whether it came to an end, which one, how fast, and why it failed."""
    at = message.created_at
    taken, untaken, failed = message.status in TAKEN, message.status in UNTAKEN, message.status == "failed"
    facts.add(
        at,
        settled=int(taken or untaken),
        unsettled=int(not taken and not untaken),
        failed=int(failed),
        blocked=int(failed and message.error_code == "window_closed"),
    )
    if taken:
        facts.add(at, **{f"sent_{message.speaker}": 1})
        if message.settled_at is not None:
            facts.note("bridge_out", at, message.settled_at - message.occurred_at)
    if failed:
        codes = facts.codes.setdefault(hour_of(at), {})
        code = message.provider_code or message.error_code or "unknown"
        codes[code] = codes.get(code, 0) + 1


# ── chats ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def count_chat(facts: Facts, unit: Unit, chat: ChatRecord) -> str:
    """Count the chat in the hour in which it was requested; return its outcome."""
    joined = agent_joined(chat, unit.stays)
    outcome = outcome_of(chat, unit.messages, joined=joined is not None)
    closed = chat.state in ENDED
    facts.add(
        chat.requested_at,
        chats=1,
        closed=int(closed),
        bot_chats=int(any(message.speaker == "bot" for message in unit.messages)),
        queued=int(outcome in ("handled", "abandoned") or chat.queued_at is not None),
        handled=int(outcome == "handled"),
        abandoned=int(outcome == "abandoned"),
        deflected=int(outcome in ("deflected", "contained")),
        contained=int(outcome == "contained"),
        unanswered=int(closed and waiting_since(unit.messages) is not None),
    )
    _count_answers(facts, unit, chat, joined)
    _count_rating(facts, chat, unit.messages)
    return outcome


def _count_answers(facts: Facts, unit: Unit, chat: ChatRecord, joined: datetime | None) -> None:
    """Note how long the customer waited: for each answer, for the first one, for an agent; and the handle time."""
    at = chat.requested_at
    for turn in turns(unit.messages):
        if turn.answered.settled_at is not None:
            facts.note("reply", turn.asked.created_at, turn.answered.settled_at - turn.asked.created_at)
    if (first := first_response(unit.messages)) is not None:
        asked, answered = first
        facts.add(at, answered=1)
        facts.note("first_response", at, answered - asked)
        facts.note("first_response_office", at, office_hours.open_between(asked, answered))
        if joined is not None:
            facts.note("queue_wait", at, joined - (chat.queued_at or asked))
            facts.note("agent_delay", at, answered - max(joined, asked))
    if (handled := handle_time(chat, unit.stays)) is not None:
        facts.add(at, handle_ms=milliseconds(handled))
        facts.note("handle", at, handled)


def _count_rating(facts: Facts, chat: ChatRecord, messages: Sequence[MessageRecord]) -> None:
    scores = scores_of(messages)
    rating, shift = rating_of(scores), shift_of(scores)
    if rating is not None:
        facts.add(chat.requested_at, rated=1, rating_sum=rating, rated_negative=int(rating <= -CLEAR * SCALE))
    if shift is not None:
        facts.add(chat.requested_at, shifted=1, shift_sum=shift)
