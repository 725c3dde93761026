"""Receipts: what a messenger reports of our messages changes their status, in whatever order it comes."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone
from psycopg.types.json import Jsonb

from channels_app import errors
from channels_app.accounts.call_log import call_params
from channels_app.infrastructure.db import connect_parameters
from connect_bridge.inbound.receipts import Joined, apply_receipt
from connect_bridge.models import OutboxEntry, SentId
from connect_bridge.outbox import queries, sender
from tests.connect_bridge.inbound.kit import accepted, apply, echo, receipt, status_of
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, say, states_of, talk


@pytest.mark.parametrize("order", [["delivered", "read"], ["read", "delivered"], ["read", "accepted", "read"]])
def test_60_in_whatever_order_receipts_come_the_status_only_climbs(messenger: FakeMessenger, order: list[str]) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    assert [apply(conversation, receipt(status, "mid")) for status in order] == [Joined.OURS] * len(order)
    assert status_of(message) == "read"


def test_60_a_receipt_before_our_own_commit_is_told_again_until_it_finds_its_message(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    early: list[Joined | None] = []
    messenger.meanwhile = lambda: early.append(apply(conversation, receipt("delivered", "m-1")))
    sender.drain(conversation.id)
    assert early == [None]
    assert status_of(message) == "accepted"
    assert apply(conversation, receipt("delivered", "m-1")) is Joined.OURS
    assert status_of(message) == "delivered"


def test_of_several_ids_all_must_be_known(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid-1")
    assert apply(conversation, receipt("delivered", "mid-1", "mid-2")) is None
    assert status_of(message) == "delivered"


def test_another_accounts_receipt_with_the_same_id_is_not_ours(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    assert apply(talk(), receipt("read", "mid")) is None
    assert apply(talk(), receipt("read", correlation=str(entries_of(message)[0].id))) is None
    assert status_of(message) == "accepted"


def test_a_delivery_that_failed_is_a_dead_letter_with_the_providers_code(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    apply(conversation, receipt("failed", "mid", error_code="314", error_detail="Not today."))
    assert states_of(message) == ["failed", "dead"]
    assert (message.error_code, message.error_detail) == ("failed", "Not today.")
    (entry,) = entries_of(message)
    assert (entry.error_code, entry.provider_code, entry.error_detail) == ("failed", "314", "Not today.")


@pytest.mark.parametrize("arrived", ["delivered", "read"])
def test_a_failure_after_the_delivery_is_not_believed(messenger: FakeMessenger, arrived: str) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    apply(conversation, receipt(arrived, "mid"))
    assert apply(conversation, receipt("failed", "mid", error_code="1")) is Joined.OURS
    assert states_of(message) == [arrived, "accepted"]
    assert message.error_code == ""


def test_an_acceptance_after_the_failure_changes_nothing(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    apply(conversation, receipt("failed", "mid", error_code="1"))
    apply(conversation, receipt("accepted", "mid"))
    assert states_of(message) == ["failed", "dead"]


def test_a_delivery_after_the_failure_is_the_newer_truth(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    apply(conversation, receipt("failed", "mid", error_code="1"))
    apply(conversation, receipt("delivered", "mid"))
    assert states_of(message) == ["delivered", "accepted"]
    assert message.error_code == ""


def test_a_failure_told_while_the_send_is_settled_is_not_undone_by_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    (entry,) = entries_of(message)
    messenger.meanwhile = lambda: apply(conversation, receipt("failed", "m-1", correlation=str(entry.id)))
    sender.drain(conversation.id)
    assert states_of(message) == ["failed", "dead"]


def test_a_message_in_parts_is_delivered_when_its_last_part_is(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "a", "b")
    apply(conversation, receipt("delivered", "a"))
    assert status_of(message) == "accepted"
    apply(conversation, receipt("delivered", "b"))
    assert status_of(message) == "delivered"


def test_a_message_of_which_a_part_failed_stays_failed_whatever_comes_of_the_others(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "a", "b")
    apply(conversation, receipt("failed", "a", error_code="1"))
    apply(conversation, receipt("read", "b"))
    assert states_of(message) == ["failed", "dead", "accepted"]


def test_parts_that_have_not_gone_out_when_one_fails_are_not_sent(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "a", "b")
    messenger.will_answer(("a",))
    first = entries_of(message)[0]
    messenger.meanwhile = lambda: apply(conversation, receipt("failed", "a", correlation=str(first.id)))
    sender.drain(conversation.id)
    assert messenger.texts == ["a"]
    assert states_of(message) == ["failed", "dead", "dead"]


def test_an_uncertain_part_that_is_settled_makes_the_whole_message_accepted(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "a", "b")
    messenger.will_answer(errors.UnknownOutcome("The line broke."), ("b",))
    sender.drain(conversation.id)
    assert states_of(message) == ["uncertain", "uncertain", "accepted"]
    apply(conversation, echo("a", correlation=str(entries_of(message)[0].id)))
    assert states_of(message) == ["accepted", "accepted", "accepted"]


def test_two_parts_that_are_settled_at_the_same_moment_see_each_other(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "a", "b")
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    sending_b, go_on = threading.Event(), threading.Event()

    def hold_b_up() -> None:
        if len(messenger.sent) == 2:
            sending_b.set()
            go_on.wait(5)

    async def settle_a_slowly() -> None:
        async with await psycopg.AsyncConnection.connect(**connect_parameters()) as connection:
            event = echo("a", correlation=str(entry))
            await apply_receipt(connection, conversation.account_id, conversation.id, event)
            go_on.set()
            await asyncio.sleep(0.3)

    entry = entries_of(message)[0].id
    messenger.meanwhile = hold_b_up
    with ThreadPoolExecutor(1) as thread:
        drained = thread.submit(sender.drain, conversation.id)
        sending_b.wait(5)
        asyncio.run(settle_a_slowly())
        drained.result(5)
    assert states_of(message) == ["accepted", "accepted", "accepted"]


def test_a_receipt_waits_for_the_part_that_is_being_settled(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "a", "b")
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    messenger.meanwhile = lambda: message.outbox.filter(part=1).update(due_at=timezone.now() + timedelta(hours=1))
    sender.drain(conversation.id)
    message.outbox.filter(part=1).update(due_at=timezone.now())
    held = queries.claim(conversation.id, "worker")
    params = {**call_params(held.account, held.entry, []), "ids": ["b"], "json": Jsonb(["b"])}
    event = echo("a", correlation=str(entries_of(message)[0].id))
    with ThreadPoolExecutor(1) as thread, psycopg.connect(**connect_parameters()) as settling:
        settling.execute(queries.LOCK_PARTS, [message.id])
        settling.execute(queries.ACCEPTED, params)
        applied = thread.submit(apply, conversation, event)
        time.sleep(0.2)
        settling.commit()
        assert applied.result(5) is Joined.OURS
    assert states_of(message) == ["accepted", "accepted", "accepted"]


def test_ids_and_codes_that_the_database_cannot_store_do_no_harm(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    messenger.will_answer(("nul\0" + "x" * 400,))
    sender.drain(conversation.id)
    event = receipt("failed", "nul\0" + "x" * 400, error_code="\0" * 90, error_detail="\ud83d" * 900)
    assert apply(conversation, event) is Joined.OURS
    assert states_of(message) == ["failed", "dead"]


def test_the_same_receipt_again_changes_nothing(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    for _ in range(2):
        assert apply(conversation, receipt("failed", "mid", error_code="1", error_detail="No.")) is Joined.OURS
    assert states_of(message) == ["failed", "dead"]
    assert OutboxEntry.objects.count() == SentId.objects.count() == 1


def test_a_correlation_of_nobodys_is_waited_for(messenger: FakeMessenger) -> None:
    assert apply(talk(), receipt("delivered", correlation=str(uuid.uuid4()))) is None
