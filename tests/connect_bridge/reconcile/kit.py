"""A simulated world with its Connect and its messengers, and what the command `reconcile` says of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from channels_app.recovery import missed_messages
from connect_bridge.models import Contact, Conversation, Message, OutboxEntry
from connect_bridge.outbox import db_pool
from connect_bridge.reconcile import chats
from sandbox.world.settings import Settings
from tests.factories import (
    ContactFactory,
    ConversationFactory,
    MessageFactory,
    OutboxEntryFactory,
)
from tests.provider_accounts_kit import redirects
from tests.sandbox.kit import Chatting, RunningWorld, running


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[RunningWorld]:
    """Serve a world with its messengers and its Connect; what just happened counts as settled."""
    for module in (chats, missed_messages):
        monkeypatch.setattr(module, "SETTLED", timedelta(seconds=-5))
    monkeypatch.setattr(chats, "APART", 0.0)
    settings.CONNECT_INSTANCE_ID, settings.CONNECT_CONTACT_FLOW_ID = "instance", "flow"
    with running(Settings(quotas=False, closing_grace=0.2)) as started:
        for service in ("CONNECT", "CONNECTPARTICIPANT"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", started.url)
        for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", value)
        settings.HTTP_REDIRECTS = redirects(started.url)
        yield started
    db_pool.close()


def report(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and what it printed as JSON."""
    output = StringIO()
    with pytest.raises(SystemExit) as exit_:
        call_command("reconcile", "--json", *arguments, stdout=output)
    return int(exit_.value.code or 0), json.loads(output.getvalue())


def gaps_of(*arguments: str) -> list[tuple[str, str]]:
    """Return the kinds and ids of all gaps, checked for what every one must tell."""
    code, printed = report(*arguments)
    assert code == (3 if printed["gaps"] else 1 if printed["not_compared"] else 0)
    assert all(one["what"] and one["cause"] and one["fix"] and one["id_of"] for one in printed["gaps"])
    return [(one["kind"], one["id"]) for one in printed["gaps"]]


class Talk:
    """An open chat as a bridge leaves it: rows and Connect's transcript agree until a test makes them differ."""

    def __init__(self, world: RunningWorld, conversation: Conversation | None = None) -> None:
        self.world = world
        self.conversation = conversation or ConversationFactory(
            account__kind="messenger", account__address="200000000000001"
        )
        self.conversation.active, self.conversation.last_message_at = True, timezone.now()
        self.conversation.save()
        self.customer = world.start()
        self.contact: Contact = ContactFactory(
            conversation=self.conversation,
            connection_token=self.customer.token,
            initial_contact_id=self.customer.contact_id,
        )

    @cached_property
    def bot(self) -> Chatting:
        return self.bot_named("Helper")

    def bot_named(self, name: str) -> Chatting:
        details = {"ParticipantRole": "CUSTOM_BOT", "DisplayName": name}
        chat = {"InstanceId": "instance", "ContactId": self.customer.contact_id, "ClientToken": uuid.uuid4().hex}
        self.world.stream(self.customer.contact_id)
        made = self.world.connect.create_participant(**chat, ParticipantDetails=details)
        return Chatting(self.world, made, made["ParticipantCredentials"]["ParticipantToken"])

    def asked(self, *parts: str, kept: bool = True) -> Message:
        """Let the customer's message be with Connect in so many parts, and stored unless it is not `kept`."""
        items = [self.customer.say(part)["Id"] for part in parts]
        params = {"text": "".join(parts), "relayed": len("".join(parts)), "connect_item_id": items[-1]}
        return self.stored(**params) if kept else Message(id=items[-1])

    def answered(self, text: str, *, kept: bool = True) -> Message:
        item = self.bot.say(text)["Id"]
        if not kept:
            return Message(id=item)
        message = self.stored(direction="out", role="CUSTOM_BOT", text=text, connect_item_id=item, status="accepted")
        entry = OutboxEntryFactory(message=message, state="accepted", provider_message_ids=["given"])
        OutboxEntry.objects.filter(pk=entry.pk).update(settled_at=timezone.now())
        return message

    def stored(self, **params: Any) -> Message:
        params = {"status": "relayed", **params}
        message: Message = MessageFactory(conversation=self.conversation, contact=self.contact, **params)
        return message


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no messenger be asked."""
    monkeypatch.setattr("connect_bridge.reconcile.provider_lists.compare", lambda *_: iter(()))
