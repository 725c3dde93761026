"""Gaps between messengers' lists and the database, each kind planted in a simulated world, and named."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from channels_app.models import InboundEntry
from channels_app.recovery import missed_messages
from connect_bridge.models import Conversation, OutboxEntry, SentId
from connect_bridge.outbox import sender
from sandbox.world.faults import Fault
from tests.connect_bridge.reconcile.kit import gaps_of, report
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    MessageFactory,
    OutboxEntryFactory,
)
from tests.provider_accounts_kit import LISTING, account_on, write
from tests.sandbox.kit import RunningWorld
from tests.sandbox.messengers_kit import CUSTOMERS

pytestmark = pytest.mark.django_db(transaction=True)


def conversation_on(world: RunningWorld, kind: str) -> Conversation:
    account = account_on(world, kind)
    write(world, kind, "Hi")
    looked = missed_messages.ask_provider(account.pk, now=True)
    assert looked is not None
    InboundEntry.objects.update(state="done")
    identity = CUSTOMERS[kind]["id"]
    conversation: Conversation = ConversationFactory(
        account=account, recipient=identity, last_message_at=timezone.now()
    )
    return conversation


def sent(conversation: Conversation) -> OutboxEntry:
    """Let an agent's message go out as the worker sends it."""
    message = MessageFactory(conversation=conversation, direction="out", status="stored")
    entry: OutboxEntry = OutboxEntryFactory(message=message)
    sender.drain(conversation.id)
    entry.refresh_from_db()
    assert entry.state == "accepted"
    return entry


@pytest.mark.parametrize("kind", LISTING)
def test_lists_that_agree_with_us_name_nothing(world: RunningWorld, kind: str) -> None:
    conversation = conversation_on(world, kind)
    sent(conversation)
    sent(conversation)
    code, printed = report()
    assert (code, printed["gaps"], printed["not_compared"], printed["notes"]) == (0, [], [], [])


@pytest.mark.parametrize("kind", LISTING)
def test_what_no_webhook_brought_is_named_and_not_taken_in(world: RunningWorld, kind: str) -> None:
    account = conversation_on(world, kind).account
    write(world, kind, "lost on the way")
    before = InboundEntry.objects.count()
    (named,) = gaps_of()
    assert InboundEntry.objects.count() == before
    missed_messages.ask_provider(account.pk, now=True)
    assert named == ("not_taken_in", InboundEntry.objects.latest("id").event["message_id"])
    InboundEntry.objects.update(state="done")
    assert gaps_of() == []


@pytest.mark.parametrize("kind", LISTING)
def test_what_was_sent_and_is_not_known_here_is_named(world: RunningWorld, kind: str) -> None:
    entry = sent(conversation_on(world, kind))
    (name,) = entry.provider_message_ids
    SentId.objects.all().delete()
    assert gaps_of() == [("sent_unknown", name)]


@pytest.mark.parametrize("kind", LISTING)
def test_what_an_echo_told_of_is_known(world: RunningWorld, kind: str) -> None:
    entry = sent(conversation_on(world, kind))
    (name,) = entry.provider_message_ids
    SentId.objects.all().delete()
    template = InboundEntry.objects.latest("id")
    template.pk, template.key, template.type = None, f"m:{name}", "echo"
    template.event = {**template.event, "event": "echo", "message_id": name}
    template.save()
    assert gaps_of() == []


@pytest.mark.parametrize("kind", LISTING)
def test_what_was_taken_and_is_not_listed_is_named(world: RunningWorld, kind: str) -> None:
    entry = sent(conversation_on(world, kind))
    SentId.objects.update(provider_message_id="999")
    listed = entry.provider_message_ids[0]
    assert gaps_of() == [("sent_unknown", listed), ("not_listed", str(entry.pk))]


def test_a_messenger_that_lists_nothing_is_noted(world: RunningWorld) -> None:
    account_on(world, "messenger")
    code, printed = report()
    assert (code, printed["gaps"]) == (0, [])
    assert "lists nothing" in printed["notes"][0]["text"]


@pytest.mark.parametrize("kind", LISTING)
def test_a_messenger_that_is_down_is_not_compared(world: RunningWorld, kind: str) -> None:
    account_on(world, kind)
    world.world.faults.on.append(Fault(name="error5xx", times=9))
    code, printed = report()
    assert (code, printed["gaps"]) == (1, [])
    assert printed["not_compared"][0]["why"].startswith("unavailable")


def test_an_account_whose_secrets_cannot_be_read_does_not_keep_the_others_waiting(world: RunningWorld) -> None:
    conversation_on(world, "whatsapp")
    write(world, "whatsapp", "lost on the way")
    unreadable = ChannelAccountFactory(kind="twitter")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE channels_app_channelaccount SET credentials = 'x' WHERE id = %s", [unreadable.pk])
    _, printed = report()
    assert [one["kind"] for one in printed["gaps"]] == ["not_taken_in"]
    assert [one["where"] for one in printed["not_compared"]] == [str(unreadable)]
