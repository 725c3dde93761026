from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from channels_app.accounts.service import save_account
from channels_app.models import AccountHealth, ChannelAccount
from tests.connect_bridge.setup.kit import GOOD, step
from tests.factories import ConversationFactory, InboundEntryFactory, MessageFactory, OutboxEntryFactory

pytestmark = pytest.mark.django_db


def account_after_its_test(supervisor: Client) -> ChannelAccount:
    """Set an account up and let its test message go round."""
    account = save_account("whatsapp", "Shop", GOOD["whatsapp"])
    supervisor.post(step(account, "test"))
    code = AccountHealth.objects.get(account=account).test_code
    conversation = ConversationFactory(account=account)
    entry, now = InboundEntryFactory(delivery__account=account), timezone.now()
    MessageFactory(conversation=conversation, text=code, entry=entry, status="relayed", relayed_at=now)
    MessageFactory(conversation=conversation, direction="out", status="delivered", settled_at=now)
    return account


def test_the_test_is_over_only_when_an_answer_came_back(supervisor: Client) -> None:
    account = save_account("whatsapp", "Shop", GOOD["whatsapp"])
    supervisor.post(step(account, "test"))
    page = supervisor.get(step(account, "test")).content.decode()
    code = re.search(r"Parley test (\d{4})", page)[1]
    status = reverse("channel-test-status", args=[account.pk])
    conversation = ConversationFactory(account=account)
    others = MessageFactory(conversation=conversation, text="hello", status="relayed", relayed_at=timezone.now())

    before = supervisor.post(status).content.decode()
    entry = InboundEntryFactory(delivery__account=account)
    message = MessageFactory(conversation=conversation, text=f"Parley test {code}", entry=entry)
    received = supervisor.post(status).content.decode()
    message.relayed_at, message.status = timezone.now(), "relayed"
    message.save()
    answer = OutboxEntryFactory(message__conversation=conversation).message
    answered = supervisor.post(status).content.decode()
    answer.status, answer.settled_at = "delivered", timezone.now()
    answer.save()
    complete = supervisor.post(status).content.decode()

    account.refresh_from_db()
    assert others.sequence == 1
    assert f"https://wa.me/15550100777?text=Parley%20test%20{code}" in page
    assert "<svg" in page
    assert [text.count("✓") for text in (before, received, answered, complete)] == [0, 2, 4, 5]
    assert "It works" not in answered
    assert "It works" in complete
    assert account.live_since is not None


def test_reading_the_pages_of_a_complete_test_writes_nothing_and_marks_the_steps_as_done(supervisor: Client) -> None:
    account = account_after_its_test(supervisor)

    page = supervisor.get(step(account, "test")).content.decode()
    status = supervisor.get(reverse("channel-test-status", args=[account.pk]))

    account.refresh_from_db()
    assert "It works" in page
    assert re.search(r">\d Test ✓<", page)
    assert status.status_code == 405
    assert account.live_since is None


def test_another_test_notes_that_the_one_before_was_complete(supervisor: Client) -> None:
    account = account_after_its_test(supervisor)

    supervisor.post(step(account, "test"))

    account.refresh_from_db()
    assert account.live_since is not None


def test_a_test_that_fails_says_why(supervisor: Client) -> None:
    account = save_account("whatsapp", "Shop", GOOD["whatsapp"])
    supervisor.post(step(account, "test"))
    code = AccountHealth.objects.get(account=account).test_code
    conversation = ConversationFactory(account=account)
    MessageFactory(conversation=conversation, text=code, entry=InboundEntryFactory(delivery__account=account))
    failed = OutboxEntryFactory(
        message__conversation=conversation,
        message__status="failed",
        message__error_code="account",
        state="dead",
        provider_code="63015",
    )

    answer_page = supervisor.post(reverse("channel-test-status", args=[account.pk])).content.decode()

    assert failed.provider_code in answer_page
    assert "join code" in answer_page
