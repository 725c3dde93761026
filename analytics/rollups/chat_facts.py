"""What one chat adds to the numbers: from its rows alone, without a clock, so that it can be made again at any time."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from analytics.measures import DIGESTS, bin_of
from analytics.rollups import office_hours
from analytics.rollups.records import ENDED, TAKEN, UNTAKEN, Chat, Line, Stay, Unit
from analytics.rollups.time_buckets import hour_of
from analytics.thresholds import CLEAR, SCALE

#: A customer who comes back within this time was not helped.
RETURN = timedelta(hours=24)
#: Scored messages below which a shift says nothing.
SHIFT_LEAST = 6


class Facts(msgspec.Struct, kw_only=True):
    """`hours`: hour → measure → count. `bins`: hour → digest → bin → count. `codes`: hour → code → failures."""

    account: uuid.UUID
    queue: str = ""
    agent: str = ""
    language: str = ""
    phrases: list[str] = []
    hours: dict[datetime, dict[str, int]] = {}
    bins: dict[datetime, dict[int, dict[int, int]]] = {}
    codes: dict[datetime, dict[str, int]] = {}

    def add(self, at: datetime, **counts: int) -> None:
        """Add to the measures of the hour of this moment."""
        hour = self.hours.setdefault(hour_of(at), {})
        for name, count in counts.items():
            if count:
                hour[name] = hour.get(name, 0) + count

    def note(self, digest: str, at: datetime, duration: timedelta) -> None:
        """Add a duration to a digest; one that clocks made negative counts as none."""
        bins = self.bins.setdefault(hour_of(at), {}).setdefault(DIGESTS.index(digest), {})
        place = bin_of(milliseconds(duration))
        bins[place] = bins.get(place, 0) + 1


class Turn(msgspec.Struct, frozen=True):
    """The oldest customer message without an answer, and the agent's answer that the messenger took."""

    asked: Line
    answered: Line


def milliseconds(duration: timedelta) -> int:
    return max(0, duration // timedelta(milliseconds=1))


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def count_messages(facts: Facts, lines: Sequence[Line]) -> None:
    """Count every line in its own hour."""
    known: set[str] = set()
    for line in lines:
        if line.inbound:
            is_new = not line.provider_message_id or line.provider_message_id not in known
            known.add(line.provider_message_id)
            facts.add(line.created_at, received=int(is_new))
            _count_score(facts, line)
            if line.relayed_at is not None:
                facts.note("bridge_in", line.created_at, line.relayed_at - (line.received_at or line.created_at))
        else:
            _count_sending(facts, line)


def _count_score(facts: Facts, line: Line) -> None:
    if not line.scorable:
        return
    facts.add(line.created_at, scorable=1, unscored=int(line.state in ("unsupported", "refused")))
    if line.state == "scored":
        facts.add(line.created_at, scored=1, unsure=int(line.unsure), **{line.label: 1})


def _count_sending(facts: Facts, line: Line) -> None:
    taken, untaken = line.status in TAKEN, line.status in UNTAKEN
    failed = line.status == "failed"
    facts.add(
        line.created_at,
        settled=int(taken or untaken),
        unsettled=int(not taken and not untaken),
        failed=int(failed),
        blocked=int(failed and line.error_code == "window_closed"),
    )
    if taken:
        facts.add(line.created_at, **{f"sent_{line.speaker}": 1})
        if line.settled_at is not None:
            facts.note("bridge_out", line.created_at, line.settled_at - line.occurred_at)
    if failed:
        codes = facts.codes.setdefault(hour_of(line.created_at), {})
        code = line.provider_code or line.error_code or "unknown"
        codes[code] = codes.get(code, 0) + 1


# ── chats ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def turns(lines: Sequence[Line]) -> Iterator[Turn]:
    """Yield every turn: what nobody had answered yet, and the next word of an agent that the messenger took."""
    waiting: Line | None = None
    for line in lines:
        if line.inbound:
            waiting = waiting or line
        elif waiting is not None and line.speaker == "agent" and line.status in TAKEN:
            yield Turn(waiting, line)
            waiting = None


def waiting_since(lines: Sequence[Line]) -> datetime | None:
    """Return when the oldest customer message was stored to which nobody, agent or bot, has an answer on its way."""
    since = None
    for line in lines:
        if line.inbound:
            since = since or line.created_at
        elif line.speaker in ("agent", "bot") and line.status != "failed":
            since = None
    return since


def rating_of(scores: Sequence[int]) -> int | None:
    """Return the mean score of a chat, in 1/10,000."""
    return round(sum(scores) / len(scores)) if scores else None


def shift_of(scores: Sequence[int]) -> int | None:
    """Return half the difference between the means of the last and the first third, in 1/10,000; None for few."""
    third = len(scores) // 3
    if len(scores) < SHIFT_LEAST:
        return None
    return round((sum(scores[-third:]) / third - sum(scores[:third]) / third) / 2)


def handling(chat: Chat, stays: Sequence[Stay]) -> timedelta | None:
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


def presence(stays: Sequence[Stay], end: datetime) -> timedelta:
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


def agent_joined(chat: Chat, stays: Sequence[Stay]) -> datetime | None:
    """Return when the first agent came: as the chat told, else as Connect's contact event did."""
    came = [stay.at for stay in stays if stay.joined]
    return min(came) if came else chat.agent_at


def outcome(chat: Chat, lines: Sequence[Line], *, joined: bool) -> str:
    """Return handled, abandoned, deflected, contained, or open.

    Connect's chat does not say when a customer begins to wait for an agent; its contact events do. Without them a chat
    in which the bot has the last word was the bot's alone, and every other waited.
    """
    if joined or any(line.speaker == "agent" for line in lines):
        return "handled"
    if chat.state not in ENDED:
        return "open"
    speakers = [line.speaker for line in lines if line.speaker != "auto"]
    if chat.queued_at is not None or not speakers or speakers[-1] != "bot":
        return "abandoned"
    back = chat.next_at is not None and chat.ended_at is not None and chat.next_at < chat.ended_at + RETURN
    return "deflected" if back else "contained"


def count_chat(facts: Facts, unit: Unit, chat: Chat) -> str:
    """Count the chat in the hour in which it was requested; return its outcome."""
    joined = agent_joined(chat, unit.stays)
    came_to = outcome(chat, unit.lines, joined=joined is not None)
    closed = chat.state in ENDED
    facts.add(
        chat.requested_at,
        chats=1,
        closed=int(closed),
        bot_chats=int(any(line.speaker == "bot" for line in unit.lines)),
        queued=int(came_to in ("handled", "abandoned") or chat.queued_at is not None),
        handled=int(came_to == "handled"),
        abandoned=int(came_to == "abandoned"),
        deflected=int(came_to in ("deflected", "contained")),
        contained=int(came_to == "contained"),
        unanswered=int(closed and waiting_since(unit.lines) is not None),
    )
    _count_responses(facts, unit, chat, joined)
    _count_rating(facts, chat, unit.lines)
    return came_to


def _count_responses(facts: Facts, unit: Unit, chat: Chat, joined: datetime | None) -> None:
    for turn in turns(unit.lines):
        if turn.answered.settled_at is not None:
            facts.note("reply", turn.asked.created_at, turn.answered.settled_at - turn.asked.created_at)
    if (first := first_response(unit.lines)) is not None:
        asked, answered = first
        facts.add(chat.requested_at, answered=1)
        facts.note("first_response", chat.requested_at, answered - asked)
        facts.note("first_response_office", chat.requested_at, office_hours.open_between(asked, answered))
        if joined is not None:
            waited_from = chat.queued_at or asked
            facts.note("queue_wait", chat.requested_at, joined - waited_from)
            facts.note("agent_delay", chat.requested_at, answered - max(joined, asked))
    if (handled := handling(chat, unit.stays)) is not None:
        facts.add(chat.requested_at, handle_ms=milliseconds(handled))
        facts.note("handle", chat.requested_at, handled)


def first_response(lines: Sequence[Line]) -> tuple[datetime, datetime] | None:
    """Return when the first customer message was stored and when the first word of a human was taken."""
    first = next((turn for turn in turns(lines)), None)
    if first is None or first.answered.settled_at is None:
        return None
    return first.asked.created_at, first.answered.settled_at


def scores_of(lines: Sequence[Line]) -> list[int]:
    return [line.score for line in lines if line.inbound and line.score is not None and line.state == "scored"]


def _count_rating(facts: Facts, chat: Chat, lines: Sequence[Line]) -> None:
    scores = scores_of(lines)
    rating, shift = rating_of(scores), shift_of(scores)
    if rating is not None:
        facts.add(chat.requested_at, rated=1, rating_sum=rating, rated_negative=int(rating <= -CLEAR * SCALE))
    if shift is not None:
        facts.add(chat.requested_at, shifted=1, shift_sum=shift)


# ── all of it ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def facts_of(unit: Unit) -> tuple[Facts, str]:
    """Return what the unit adds to the rollups, and what its chat came to ("" outside any chat)."""
    facts = Facts(account=unit.account, language=language_of(unit.lines), phrases=sorted(unit.phrases))
    count_messages(facts, unit.lines)
    if unit.chat is None:
        return facts, ""
    facts.queue = unit.chat.queue
    facts.agent = unit.chat.agent_name or unit.chat.agent
    return facts, count_chat(facts, unit, unit.chat)


def language_of(lines: Sequence[Line]) -> str:
    """Return the language in which the customer wrote most; of several the first."""
    told = Counter(line.language for line in lines if line.inbound and line.language)
    return max(told, key=lambda language: told[language]) if told else ""
