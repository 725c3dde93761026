"""Customers' messages that Amazon Connect did not take, set going again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connect_bridge.models import ERASED, EXPIRED, Message, Replay
from connect_bridge.outbox.relay_again import relay_again
from tests.connect_bridge.kit import until
from tests.connect_bridge.outbox.kit import replay, replay_text
from tests.factories import ConversationFactory, MessageFactory


def failed(hours: float = 1, **more: object) -> Message:
    at = timezone.now() - timedelta(hours=hours)
    columns = {"status": "failed", "error_code": "connect_invalid", "error_detail": "x", "attempts": 7, "relayed": 0}
    return MessageFactory(**columns | {"settled_at": at, "created_at": at} | more)


def waiting(**more: object) -> Message:
    later = timezone.now() + timedelta(hours=1)
    return MessageFactory(due_at=later, error_code="connect_set_up", error_detail="404", attempts=9, **more)


@pytest.mark.django_db
def test_it_only_says_what_would_go() -> None:
    failed(), waiting(), failed(hours=50)
    printed = replay("relay", "--since", "2h")
    assert (printed["messages"], printed["dry_run"]) == (2, True)
    assert {one["error"] for one in printed["by"]} == {"connect_invalid", "connect_set_up"}
    assert Message.objects.filter(status="failed").count() == 2
    assert "2 messages would go to Amazon Connect." in replay_text("relay", "--since", "2h")


@pytest.mark.django_db
def test_what_failed_begins_anew_and_what_waits_is_due_with_its_story_kept() -> None:
    one = failed(conversation=ConversationFactory(active=False))
    two = waiting()
    printed = replay("relay", "--since", "2h", "--yes")
    one.refresh_from_db(), two.refresh_from_db()
    assert (one.status, one.error_code, one.attempts, one.settled_at) == ("stored", "", 0, None)
    assert one.conversation.__class__.objects.get(pk=one.conversation_id).active
    assert (two.status, two.error_code, two.attempts) == ("stored", "connect_set_up", 9)
    assert two.due_at is not None
    assert two.due_at <= timezone.now()
    entry = Replay.objects.get(pk=printed["replay"])
    assert (entry.verb, set(entry.rows)) == ("relay", {str(one.pk), str(two.pk)})


@pytest.mark.django_db
def test_only_what_connect_has_not_taken_goes() -> None:
    relayed, answer = MessageFactory(status="relayed"), MessageFactory(direction="out", status="failed")
    one, two = failed(), waiting()
    assert replay("relay", "--state", "failed", "--since", "2h")["messages"] == 1
    assert replay("relay", "--id", str(two.pk), "--yes")["messages"] == 1
    assert replay("relay", "--id", str(relayed.pk), "--id", str(answer.pk), "--yes")["messages"] == 0
    assert Message.objects.get(pk=one.pk).status == "failed"


@pytest.mark.django_db
@pytest.mark.parametrize("text", [ERASED, EXPIRED])
def test_words_that_are_no_more_do_not_go(text: str) -> None:
    one = failed(text=text, original=None)
    assert replay("relay", "--since", "2h")["messages"] == 0
    assert relay_again([one.pk]) == []
    written = failed(text=text, original={"text": text})
    assert relay_again([one.pk, written.pk]) == [written.pk]


@pytest.mark.django_db
def test_the_admin_does_it_for_who_may_send_again(admin_client: Client, client: Client) -> None:
    one = failed()
    form = {"action": "relay_again", "_selected_action": [str(one.pk)]}
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(
        Permission.objects.get(content_type__app_label="connect_bridge", codename="view_message")
    )
    client.force_login(viewer)
    client.post(reverse("admin:connect_bridge_message_changelist"), form)
    assert Message.objects.get().status == "failed"
    admin_client.post(reverse("admin:connect_bridge_message_changelist"), form)
    assert Message.objects.get().status == "stored"
    assert LogEntry.objects.get(object_id=str(one.pk)).change_message == "Relayed again."


@pytest.mark.django_db(transaction=True)
def test_what_failed_hours_ago_reaches_the_agent(aws, bridge, phone) -> None:
    phone.write("Hello")
    until(lambda: Message.objects.filter(status="relayed"), "the first")
    conversation = Message.objects.get().conversation
    conversation.refresh_from_db()
    failed(hours=5, conversation=conversation, sequence=conversation.last_sequence + 1000, text="late")
    replay("relay", "--since", "6h", "--yes")
    until(lambda: Message.objects.get(text="late").status == "relayed", "the late one")
