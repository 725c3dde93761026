"""The test of an account: one message from a real phone to an agent, and the answer back, step by step.

Reading how far a test has come changes nothing; `note_live` writes down that an account has passed.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from channels_app.accounts.explanations import Explanation, explain
from channels_app.models import AccountHealth, ChannelAccount
from connect_bridge.models import Message

_SENT = (Message.Status.ACCEPTED, Message.Status.DELIVERED, Message.Status.READ)


@dataclass(frozen=True, slots=True)
class TestStep:
    """One step. `waits` is shown until it has happened. `seconds` have passed since the step before."""

    title: str
    waits: str
    at: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How far a test has come. It is over only when a real answer was delivered."""

    code: str
    steps: tuple[TestStep, ...]
    failure: Explanation | None

    @property
    def complete(self) -> bool:
        return bool(self.steps) and all(step.at is not None for step in self.steps)


def begin(account: ChannelAccount) -> str:
    """Begin a test; return the code that the message must carry, which tells it from other customers' messages."""
    code = f"{secrets.randbelow(9000) + 1000}"
    AccountHealth.objects.update_or_create(
        account=account, defaults={"test_code": code, "test_began_at": timezone.now()}
    )
    return code


def text_of(code: str) -> str:
    return f"Parley test {code}"


def read_round_trip(account: ChannelAccount, health: AccountHealth | None) -> RoundTrip | None:
    """Return how far the test has come, None if none was begun."""
    if health is None or not health.test_code or health.test_began_at is None:
        return None
    message, answer = _messages(account, health.test_code, health.test_began_at)
    return RoundTrip(health.test_code, _steps(message, answer), _failure(account, message, answer))


def note_live(account: ChannelAccount, round_trip: RoundTrip | None) -> None:
    """Write down since when the account is live, if its test is complete and nothing is written down yet."""
    if round_trip is not None and round_trip.complete and account.live_since is None:
        account.live_since = timezone.now()
        account.save(update_fields=["live_since"])


def _messages(account: ChannelAccount, code: str, since: datetime) -> tuple[Message | None, Message | None]:
    recent = Message.objects.filter(conversation__account=account, created_at__gte=since).order_by("created_at")
    tests = recent.filter(direction="in", text__contains=code).select_related("entry__delivery").defer("entry__event")
    first = tests.defer("entry__delivery__body").first()
    if first is None:
        return None, None
    answers = Message.objects.filter(conversation=first.conversation_id, direction="out", sequence__gt=first.sequence)
    sent = answers.filter(status__in=_SENT).order_by("sequence").first()
    return first, sent or answers.order_by("sequence").first()


def _steps(message: Message | None, answer: Message | None) -> tuple[TestStep, ...]:
    received = message.entry.delivery.received_at if message and message.entry else None
    sent = answer.settled_at if answer and answer.status in _SENT else None
    moments = (
        ("Received", "Waiting for the message from the phone …", received),
        ("Signature valid", "", received),
        ("Bridged to Amazon Connect", "Amazon Connect has not taken it yet …", message.relayed_at if message else None),
        ("Answered", "Waiting for an answer: of the contact flow, or of you in Connect's panel …", _at(answer)),
        ("Reply delivered to the messenger", "The messenger has not taken the answer yet …", sent),
    )
    steps: list[TestStep] = []
    before: datetime | None = None
    for title, waits, at in moments:
        seconds = max((at - before).total_seconds(), 0.0) if at and before else None
        steps.append(TestStep(title, waits, at, seconds))
        before = at or before
    return tuple(steps)


def _at(message: Message | None) -> datetime | None:
    return message.created_at if message else None


def _failure(account: ChannelAccount, message: Message | None, answer: Message | None) -> Explanation | None:
    """Explain what keeps the message from going on, if something does."""
    if answer is not None and answer.status == Message.Status.FAILED:
        part = answer.outbox.filter(state="dead").order_by("part").first()
        code = part.provider_code if part else ""
        return explain(answer.error_code, kind=account.kind, provider_code=code, words=answer.error_detail)
    if message is not None and message.relayed_at is None and message.error_code:
        return explain(message.error_code, kind=account.kind, words=message.error_detail)
    return None
