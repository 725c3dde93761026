"""Gaps that the database alone can tell, each kind planted, and named."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connect_bridge.listening.listener import ENDED_UNHEARD
from connect_bridge.models import Contact, Conversation, Message, OutboxEntry
from connect_bridge.reconcile import rows
from tests.connect_bridge.reconcile.kit import gaps_of, report
from tests.factories import (
    ContactFactory,
    ConversationFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)


def talked(count: int = 3) -> Conversation:
    """Store a conversation in which all is well."""
    conversation: Conversation = ConversationFactory(last_message_at=timezone.now())
    for number in range(count):
        if number % 2:
            message = MessageFactory(conversation=conversation, direction="out", status="accepted")
            OutboxEntryFactory(message=message, state="accepted", provider_message_ids=["given"])
        else:
            MessageFactory(conversation=conversation, status="relayed")
    return conversation


def test_a_hole_in_the_numbering_is_named(silent: None) -> None:
    whole, holed, beheaded = talked(6), talked(6), talked(6)
    for conversation, numbers in ((holed, (3, 4)), (beheaded, (1, 2))):
        lost = Message.objects.filter(conversation=conversation, sequence__in=numbers)
        OutboxEntry.objects.filter(message__in=lost).delete()
        lost.delete()
    _, printed = report()
    assert [(one["kind"], one["id"], one["detail"]) for one in printed["gaps"]] == [
        ("hole", str(holed.pk), "numbers 3 to 4")
    ]
    assert gaps_of("--conversation", str(whole.pk)) == []


def test_a_message_that_is_missing_at_the_end_is_a_hole(silent: None) -> None:
    conversation = talked(4)
    Conversation.objects.filter(pk=conversation.pk).update(last_sequence=5)
    assert gaps_of() == [("hole", str(conversation.pk))]


def test_a_message_with_nothing_to_be_sent_for_it_is_named(silent: None) -> None:
    conversation = talked()
    orphan = MessageFactory(conversation=conversation, direction="out", status="stored")
    assert gaps_of() == [("no_send", str(orphan.pk))]


def test_an_accepted_send_without_an_id_is_named(silent: None) -> None:
    talked()
    entry = OutboxEntry.objects.get()
    OutboxEntry.objects.update(provider_message_ids=[])
    assert gaps_of() == [("no_id", str(entry.pk))]


def test_what_is_stuck_is_named_but_for_receipts_that_wait(silent: None) -> None:
    conversation, long_ago = talked(), timezone.now() - timedelta(seconds=120)
    message = MessageFactory(conversation=conversation, direction="out")
    entry = OutboxEntryFactory(message=message, created_at=long_ago, due_at=long_ago)
    InboundEntryFactory(state="parked", created_at=long_ago)
    _, printed = report()
    assert [(one["kind"], one["id"], one["id_of"]) for one in printed["gaps"]] == [("stuck", str(entry.pk), "outbox")]
    assert "No worker is running" in printed["gaps"][0]["cause"]


def test_only_what_was_asked_for_is_looked_at(silent: None) -> None:
    broken = [talked() for _ in range(2)]
    OutboxEntry.objects.update(provider_message_ids=[])
    for conversation in broken:
        entry = OutboxEntry.objects.get(conversation=conversation)
        assert gaps_of("--conversation", str(conversation.pk)) == [("no_id", str(entry.pk))]
        assert gaps_of("--account", str(conversation.account_id)) == [("no_id", str(entry.pk))]
    Message.objects.update(created_at=timezone.now() - timedelta(days=3))
    Conversation.objects.update(last_message_at=timezone.now() - timedelta(days=3))
    assert gaps_of() == []


@pytest.mark.parametrize("name", ["account", "conversation"])
def test_an_unknown_id_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match=f"no {name} with the id"):
        call_command("reconcile", f"--{name}", str(uuid.uuid4()))


def test_the_number_of_queries_does_not_grow_with_what_there_is(silent: None) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            report()
        return len(context)

    for _ in range(2):
        talked(2)
    few = queries()
    for _ in range(20):
        talked(9)
    assert queries() == few


def test_a_chat_that_ended_unheard_is_named_and_one_that_ended_in_order_is_only_noted(silent: None) -> None:
    now = timezone.now()
    for reason in (ENDED_UNHEARD, "chat.ended", "chat.ended"):
        ContactFactory(state="ended", reason=reason, ended_at=now, last_traffic_at=now - timedelta(minutes=1))
    Contact.objects.filter(pk=Contact.objects.filter(reason="chat.ended")[0].pk).update(swept_at=now)
    ContactFactory(state="ended", reason=ENDED_UNHEARD, ended_at=now - timedelta(days=2))
    unheard = Contact.objects.get(reason=ENDED_UNHEARD, ended_at=now)
    code, printed = report()
    assert [(one["kind"], one["id"]) for one in printed["gaps"]] == [("ended_unheard", unheard.initial_contact_id)]
    assert (code, [one["count"] for one in printed["notes"] if one["text"] == rows.UNCOMPARED]) == (3, [1])
