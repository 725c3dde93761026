from __future__ import annotations

import pytest

from channels_app.accounts.explanations import explain
from connect_bridge.operations.account_status import State, Verdict
from tests.connect_bridge.operations.status_kit import NOW, ago, status_of, working_account
from tests.factories import (
    ConversationFactory,
    MessageFactory,
)

pytestmark = pytest.mark.django_db


def test_a_set_up_that_connect_refuses_is_told_with_its_words() -> None:
    account = working_account()
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    words = "Amazon Connect refused StartChatContact: ResourceNotFoundException (404)"
    MessageFactory(
        conversation=conversation, created_at=ago(minutes=5), error_code="connect_set_up", error_detail=words
    )

    status = status_of(account)

    assert status.state == State.BROKEN
    assert status.why == explain("connect_set_up", words=words)


def test_a_refused_set_up_shows_however_much_was_written_after_it_and_elsewhere() -> None:
    account, words = working_account(), "Amazon Connect refused StartChatContact: ResourceNotFoundException (404)"
    refused = ConversationFactory(account=account, last_message_at=ago(minutes=4))
    refusal = {"error_code": "connect_set_up", "error_detail": words}
    for number in range(1, 16):
        fields = refusal if number == 1 else {}
        MessageFactory(conversation=refused, sequence=number, created_at=ago(minutes=5, seconds=-number), **fields)
    for _ in range(25):
        other = ConversationFactory(account=account, last_message_at=NOW())
        MessageFactory(conversation=other, status="relayed", relayed_at=NOW())

    status = status_of(account)

    assert (status.state, status.stages[3].verdict) == (State.BROKEN, Verdict.BAD)
    assert status.why == explain("connect_set_up", words=words)


def test_what_only_a_person_can_mend_is_told_before_what_passes() -> None:
    account = working_account()
    for minutes, code in ((4, "connect_throttled"), (3, "connect_set_up"), (2, "connect_unreachable")):
        conversation = ConversationFactory(account=account, last_message_at=NOW())
        MessageFactory(conversation=conversation, created_at=ago(minutes=minutes), error_code=code)

    assert status_of(account).why == explain("connect_set_up")


def test_messages_that_wait_for_opening_hours_break_nothing() -> None:
    account = working_account()
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    MessageFactory(conversation=conversation, sequence=1, created_at=ago(hours=5), error_code="closed")
    MessageFactory(conversation=conversation, sequence=2, created_at=ago(hours=4))

    assert status_of(account).state == State.LIVE
