"""Every number of the dashboards computed naively, row by row, from the models: what the rollups must equal.

It shares no code with the product but the models: definitions are written a second time, as plainly as possible.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connect_bridge.models import Contact, Conversation, Message

Key = tuple[str, datetime, Any, str]


def hour_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """Set the minutes of the wall clock to nothing; `fold` keeps the two hours of autumn apart."""
    return moment.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def day_start(moment: datetime, zone: ZoneInfo) -> datetime:
    date = moment.astimezone(zone).date()
    return datetime(date.year, date.month, date.day, tzinfo=zone).astimezone(UTC)


def nearest_rank(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def speaker(message: Message) -> str:
    if message.direction == "in":
        return "customer"
    if message.role in ("AGENT", "SUPERVISOR"):
        return "agent"
    return "bot" if message.role == "CUSTOM_BOT" or message.author == "BOT" else "auto"


class Oracle:
    """All sums and all durations, by (facet, hour, account, value)."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.sums: dict[Key, Counter[str]] = defaultdict(Counter)
        self.durations: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for conversation in Conversation.objects.all():
            for contact in [*conversation.contacts.all(), None]:
                self._chat(conversation, contact)

    def _chat(self, conversation: Conversation, contact: Contact | None) -> None:
        messages = list(Message.objects.filter(conversation=conversation, contact=contact).order_by("sequence"))
        if contact is None and not messages:
            return
        detail = getattr(contact, "detail", None)
        facets = [
            ("account", ""),
            ("queue", detail.queue if detail else ""),
            ("agent", (contact.agent_name or (detail.agent if detail else "")) if contact else ""),
            ("language", self._language(messages)),
        ]

        def count(moment: datetime, name: str, number: int = 1) -> None:
            for facet, value in facets:
                self.sums[facet, hour_start(moment, self.zone), conversation.account_id, value][name] += number

        def time(moment: datetime, name: str, duration: timedelta) -> None:
            for facet, value in facets:
                key = (facet, hour_start(moment, self.zone), conversation.account_id, value)
                self.durations[key][name].append(max(0.0, duration / timedelta(milliseconds=1)))

        self._messages(messages, count, time)
        if contact is not None:
            self._contact(contact, messages, count, time)

    def _messages(self, messages: list[Message], count: Any, time: Any) -> None:
        seen: list[str] = []
        for message in messages:
            if message.direction == "in":
                self._inbound(message, seen, count, time)
                seen.append(message.provider_message_id)
            else:
                self._outbound(message, count, time)

    def _inbound(self, message: Message, seen: list[str], count: Any, time: Any) -> None:
        at, original = message.created_at, message.original or {}
        if not message.provider_message_id or message.provider_message_id not in seen:
            count(at, "received")
        words = original.get("event") == "message" and original.get("text", "").strip()
        if words or getattr(message, "sentiment", None):  # what has a score had words, even if they were erased
            self._scorable(message, count)
        if message.relayed_at:
            came = message.entry.created_at if message.entry else at
            time(at, "bridge_in", message.relayed_at - came)

    def _scorable(self, message: Message, count: Any) -> None:
        at, score = message.created_at, getattr(message, "sentiment", None)
        count(at, "scorable")
        if score and score.state in ("unsupported", "refused"):
            count(at, "unscored")
        if score and score.state == "scored":
            count(at, "scored")
            count(at, score.label)
            if max(score.positive, score.negative, score.neutral, score.mixed) < 0.5:
                count(at, "unsure")

    def _outbound(self, message: Message, count: Any, time: Any) -> None:
        at, done = message.created_at, message.status in ("accepted", "delivered", "read")
        if done:
            count(at, f"sent_{speaker(message)}")
            if message.settled_at:
                time(at, "bridge_out", message.settled_at - message.occurred_at)
        count(at, "settled" if done or message.status in ("failed", "uncertain") else "unsettled")
        if message.status == "failed":
            count(at, "failed")
            if message.error_code == "window_closed":
                count(at, "blocked")

    def _contact(self, contact: Contact, messages: list[Message], count: Any, time: Any) -> None:
        start, detail = contact.requested_at, getattr(contact, "detail", None)
        stays = list(contact.events.order_by("at", "id"))
        joins = [stay.at for stay in stays if stay.kind == "joined"]
        joined = min(joins) if joins else (detail.agent_at if detail else None)
        queued_at = detail.queued_at if detail else None
        count(start, "chats")
        self._course(contact, [speaker(message) for message in messages], joined, queued_at, count)
        answers = [m for m in messages if speaker(m) in ("agent", "bot") and m.status != "failed"]
        last_in = max((m.sequence for m in messages if m.direction == "in"), default=None)
        if contact.state == "ended" and last_in is not None and not any(m.sequence > last_in for m in answers):
            count(start, "unanswered")
        self._responses(messages, start, joined, queued_at, count, time)
        self._handling(contact, stays, detail, count, time)
        self._rating([m.sentiment.score for m in messages if m.direction == "in" and self._scored(m)], start, count)

    def _course(self, contact: Contact, speakers: list[str], joined: Any, queued_at: Any, count: Any) -> None:
        start, closed = contact.requested_at, contact.state == "ended"
        words = [speaker for speaker in speakers if speaker != "auto"]
        handled = joined is not None or "agent" in speakers
        waited = queued_at is not None or not words or words[-1] != "bot"
        counts = {
            "closed": closed,
            "bot_chats": "bot" in speakers,
            "handled": handled,
            "queued": handled or queued_at is not None or (closed and waited),
            "abandoned": closed and not handled and waited,
            "deflected": closed and not handled and not waited,
        }
        for name, true in counts.items():
            if true:
                count(start, name)
        if counts["deflected"]:
            later = Contact.objects.filter(conversation=contact.conversation, requested_at__gt=start)
            if not later.filter(requested_at__lt=contact.ended_at + timedelta(hours=24)).exists():
                count(start, "contained")

    def _rating(self, scores: list[int], start: datetime, count: Any) -> None:
        if scores:
            rating = round(sum(scores) / len(scores))
            count(start, "rated")
            count(start, "rating_sum", rating)
            if rating <= -2500:
                count(start, "rated_negative")
        if len(scores) >= 6:
            k = len(scores) // 3
            count(start, "shifted")
            count(start, "shift_sum", round((sum(scores[-k:]) / k - sum(scores[:k]) / k) / 2))

    def _responses(self, messages: Any, start: Any, joined: Any, queued_at: Any, count: Any, time: Any) -> None:
        first = True
        while messages:
            question = next((m for m in messages if m.direction == "in"), None)
            if question is None:
                return
            later = [m for m in messages if m.sequence > question.sequence]
            answers = [m for m in later if speaker(m) == "agent" and m.status in ("accepted", "delivered", "read")]
            if not answers:
                return
            answer = answers[0]
            if answer.settled_at:
                time(question.created_at, "reply", answer.settled_at - question.created_at)
                if first:
                    count(start, "answered")
                    time(start, "first_response", answer.settled_at - question.created_at)
                    if joined:
                        time(start, "queue_wait", joined - (queued_at or question.created_at))
                        time(start, "agent_delay", answer.settled_at - max(joined, question.created_at))
            first = False
            messages = [m for m in messages if m.sequence > answer.sequence]

    def _handling(self, contact: Contact, stays: Any, detail: Any, count: Any, time: Any) -> None:
        if contact.ended_at is None or contact.state not in ("ended", "failed"):
            return
        joins = [stay for stay in stays if stay.kind == "joined"]
        whole = timedelta()
        if joins:
            step = sorted([*{stay.at for stay in stays}, contact.ended_at])
            for since, until in itertools.pairwise(step):
                if self._present(stays, since):
                    whole += until - since
            if self._present(stays, step[-1]) and step[-1] > contact.ended_at:
                whole += contact.ended_at - step[-1]
        elif detail and detail.agent_at:
            whole = contact.ended_at - detail.agent_at
        else:
            return
        if detail and detail.completed_at:
            whole += max(timedelta(), detail.completed_at - contact.ended_at)
        whole = max(timedelta(), whole)
        count(contact.requested_at, "handle_ms", whole // timedelta(milliseconds=1))
        time(contact.requested_at, "handle", whole)

    def _present(self, stays: Any, moment: datetime) -> bool:
        """Whether somebody was there right after this moment."""
        there = 0
        for stay in stays:
            if stay.at <= moment:
                there = there + 1 if stay.kind == "joined" else max(0, there - 1)
        return there > 0

    def _scored(self, message: Message) -> bool:
        score = getattr(message, "sentiment", None)
        return score is not None and score.state == "scored"

    def _language(self, messages: list[Message]) -> str:
        languages = [m.sentiment.language for m in messages if m.direction == "in" and getattr(m, "sentiment", None)]
        languages = [language for language in languages if language]
        return max(dict.fromkeys(languages), key=languages.count) if languages else ""
