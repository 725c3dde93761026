"""A messenger in memory, and a database whose time can be moved, for tests of the outbox and of receipts."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from channels_app import account
from channels_app.channel import Channel
from channels_app.errors import SendFailed
from channels_app.toolkit.text import TextLimit
from channels_app.types import OutboundMessage, Secret, SendReceipt, Struct
from connect_bridge.automation import undelivered_notices
from connect_bridge.models import Conversation, Message, OutboxEntry
from connect_bridge.outbox import db_pool, late_failures, retry_policy, tasks
from connect_bridge.signals import message_settled
from tests.factories import ChannelAccountFactory, ConversationFactory, MessageFactory, OutboxEntryFactory


class FakeConfig(Struct, frozen=True, kw_only=True):
    token: Secret


class FakeMessenger:
    """Takes every message, unless it was told what to answer next. Keeps what was sent, in order."""

    def __init__(self) -> None:
        self.sent: list[OutboundMessage] = []
        self.tokens: list[str] = []
        self.url = ""
        self.meanwhile: Callable[[], Any] = lambda: None
        self.most_at_once: dict[str, int] = defaultdict(int)
        self._answers: list[Exception | tuple[str, ...]] = []
        self._under_way: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.sent]

    def will_answer(self, *answers: Exception | tuple[str, ...]) -> None:
        self._answers.extend(answers)

    def take(self, message: OutboundMessage, token: str) -> tuple[str, ...]:
        with self._lock:
            self.sent.append(message)
            self.tokens.append(token)
            self._under_way[message.recipient] += 1
            at_once = self._under_way[message.recipient]
            self.most_at_once[message.recipient] = max(at_once, self.most_at_once[message.recipient])
            answer = self._answers.pop(0) if self._answers else (f"m-{len(self.sent)}",)
        try:
            self.meanwhile()
        finally:
            with self._lock:
                self._under_way[message.recipient] -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeChannel(Channel[FakeConfig]):
    """A channel that obeys the contract. Where the messenger has a `url`, that is called on the way."""

    kind = "fake"
    label = "Fake"
    text_limit = TextLimit(most=1000)
    Config = FakeConfig
    codes = {kind.code: kind for kind in SendFailed.__subclasses__()}
    messenger: FakeMessenger

    @property
    def address(self) -> str:
        return "us"

    def send(self, message: OutboundMessage) -> SendReceipt:
        if self.messenger.url:
            self.http.request("POST", self.messenger.url, json={"text": message.text})
        return SendReceipt(message_ids=self.messenger.take(message, self.config.token.reveal()))


@pytest.fixture
def messenger(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[FakeMessenger]:
    """Give the messenger behind the kind "fake"; afterwards close the workers' connections to the test database.

    What failed waits long enough that no test runs into the next attempt, however lucky the dice or slow the machine.
    """
    messenger = FakeMessenger()
    bound = type("BoundChannel", (FakeChannel,), {"messenger": messenger})
    for module in (late_failures, account, undelivered_notices):
        monkeypatch.setattr(module, "channels", lambda: {"fake": bound})
    monkeypatch.setattr(tasks, "SWEEPS_APART", 0.0)
    monkeypatch.setattr(retry_policy, "FIRST_WAIT", retry_policy.LONGEST_WAIT)
    monkeypatch.setattr(retry_policy, "full_jitter", lambda failures, first, most: min(most, first * 2**failures))
    yield messenger
    db_pool.close()


@pytest.fixture
def settled_signals() -> Iterator[list[dict[str, Any]]]:
    """Give what message_settled sends."""
    signals: list[dict[str, Any]] = []

    def receive(**named: Any) -> None:
        signals.append(named)

    message_settled.connect(receive)
    yield signals
    message_settled.disconnect(receive)


def talk(**account: Any) -> Conversation:
    """Make a conversation on the fake messenger."""
    params = {"kind": "fake", "credentials": {"token": "first"}, **account}
    return ConversationFactory(account=ChannelAccountFactory(**params))


def say(conversation: Conversation, *parts: str, role: str = "AGENT") -> Message:
    """Store an agent's message as capture does: one row, and an outbox entry for each part."""
    message = MessageFactory(conversation=conversation, direction="out", role=role, text="".join(parts))
    for number, text in enumerate(parts):
        OutboxEntryFactory(message=message, part=number, text=text)
    return message


def entries_of(message: Message) -> list[OutboxEntry]:
    return list(message.outbox.order_by("part"))


def states_of(message: Message) -> list[str]:
    """Return the message's status, then the states of its parts."""
    message.refresh_from_db()
    return [str(message.status), *(str(entry.state) for entry in entries_of(message))]


def let_pass(seconds: float) -> None:
    """Move all of the outbox into the past. The claims' clock is the database's, which tests cannot set."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE connect_bridge_outboxentry SET due_at = due_at - make_interval(secs => %(by)s),"
            " created_at = created_at - make_interval(secs => %(by)s),"
            " claimed_until = claimed_until - make_interval(secs => %(by)s)",
            {"by": seconds},
        )
        cursor.execute(
            "UPDATE connect_bridge_accountpause SET since = since - make_interval(secs => %(by)s),"
            " until = until - make_interval(secs => %(by)s)",
            {"by": seconds},
        )


def seconds_until_due(message: Message) -> float:
    return (entries_of(message)[0].due_at - timezone.now()).total_seconds()


def refusals(kinds: Iterable[type[SendFailed]], *, words: str = "No.", code: str = "7") -> list[SendFailed]:
    return [kind(words, provider_code=code) for kind in kinds]


def let_uncertain_pass(seconds: float) -> None:
    """Move what is uncertain into the past."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE connect_bridge_outboxentry SET look_at = look_at - make_interval(secs => %(by)s),"
            " settled_at = settled_at - make_interval(secs => %(by)s)",
            {"by": seconds},
        )


def replay(*words: str, code: int = 0) -> dict[str, Any]:
    """Run the command; return what it printed as JSON."""
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("replay", *words, "--json", stdout=out)
    assert ended.value.code == code, out.getvalue()
    printed: dict[str, Any] = json.loads(out.getvalue())
    return printed


def replay_text(*words: str) -> str:
    """Run the command; return what it printed for people."""
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("replay", *words, stdout=out)
    return out.getvalue()
