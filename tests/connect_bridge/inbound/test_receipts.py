from __future__ import annotations

import asyncio
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.utils import timezone
from psycopg.types.json import Jsonb

from channels_app import errors
from channels_app.accounts.call_log import call_params
from channels_app.infrastructure.db import connect_parameters
from channels_app.types import Echoed, ReceiptReceived, ReceiptStatus, Sender
from connect_bridge.inbound.receipts import Joined, apply_receipt
from connect_bridge.models import Conversation, Message, OutboxEntry, SentId
from connect_bridge.outbox import queries, sender
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, let_pass, say, states_of, talk

CUSTOMER = Sender(external_id="customer")


def tell(conversation: Conversation, event: ReceiptReceived | Echoed, *, known: bool = True) -> Joined | None:
    async def told() -> Joined | None:
        async with await psycopg.AsyncConnection.connect(**connect_parameters()) as connection:
            return await apply_receipt(connection, conversation.account_id, conversation.id if known else None, event)

    return asyncio.run(told())


def receipt(status: str, *ids: str, **more: Any) -> ReceiptReceived:
    return ReceiptReceived(key="key", sender=CUSTOMER, status=ReceiptStatus(status), message_ids=ids, **more)


def echo(message_id: str, **more: Any) -> Echoed:
    return Echoed(key="key", sender=CUSTOMER, message_id=message_id, **more)


def accepted(conversation: Conversation, messenger: FakeMessenger, *ids: str) -> Message:
    """Send a message of as many parts as there are ids."""
    message = say(conversation, *[f"part {one}" for one in ids])
    messenger.will_answer(*[(one,) for one in ids])
    sender.drain(conversation.id)
    return message


def status_of(message: Message) -> str:
    message.refresh_from_db()
    return message.status


def milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


@pytest.mark.parametrize("order", [["delivered", "read"], ["read", "delivered"], ["read", "accepted", "read"]])
def test_60_in_whatever_order_receipts_come_the_status_only_climbs(messenger: FakeMessenger, order: list[str]) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    assert [tell(conversation, receipt(status, "mid")) for status in order] == [Joined.OURS] * len(order)
    assert status_of(message) == "read"


def test_60_a_receipt_before_our_own_commit_is_told_again_until_it_finds_its_message(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    early: list[Joined | None] = []
    messenger.meanwhile = lambda: early.append(tell(conversation, receipt("delivered", "m-1")))
    sender.drain(conversation.id)
    assert early == [None]
    assert status_of(message) == "accepted"
    assert tell(conversation, receipt("delivered", "m-1")) is Joined.OURS
    assert status_of(message) == "delivered"


def test_of_several_ids_all_must_be_known(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid-1")
    assert tell(conversation, receipt("delivered", "mid-1", "mid-2")) is None
    assert status_of(message) == "delivered"


def test_another_accounts_receipt_with_the_same_id_is_not_ours(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    assert tell(talk(), receipt("read", "mid")) is None
    assert tell(talk(), receipt("read", correlation=str(entries_of(message)[0].id))) is None
    assert status_of(message) == "accepted"


def test_a_delivery_that_failed_is_a_dead_letter_with_the_providers_code(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    tell(conversation, receipt("failed", "mid", error_code="314", error_detail="Not today."))
    assert states_of(message) == ["failed", "dead"]
    assert (message.error_code, message.error_detail) == ("failed", "Not today.")
    (entry,) = entries_of(message)
    assert (entry.error_code, entry.provider_code, entry.error_detail) == ("failed", "314", "Not today.")


@pytest.mark.parametrize("arrived", ["delivered", "read"])
def test_a_failure_after_the_delivery_is_not_believed(messenger: FakeMessenger, arrived: str) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    tell(conversation, receipt(arrived, "mid"))
    assert tell(conversation, receipt("failed", "mid", error_code="1")) is Joined.OURS
    assert states_of(message) == [arrived, "accepted"]
    assert message.error_code == ""


def test_an_acceptance_after_the_failure_changes_nothing(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    tell(conversation, receipt("failed", "mid", error_code="1"))
    tell(conversation, receipt("accepted", "mid"))
    assert states_of(message) == ["failed", "dead"]


def test_a_delivery_after_the_failure_is_the_newer_truth(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    tell(conversation, receipt("failed", "mid", error_code="1"))
    tell(conversation, receipt("delivered", "mid"))
    assert states_of(message) == ["delivered", "accepted"]
    assert message.error_code == ""


def test_a_failure_told_while_the_send_is_settled_is_not_undone_by_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    (entry,) = entries_of(message)
    messenger.meanwhile = lambda: tell(conversation, receipt("failed", "m-1", correlation=str(entry.id)))
    sender.drain(conversation.id)
    assert states_of(message) == ["failed", "dead"]


def test_a_message_in_parts_is_delivered_when_its_last_part_is(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "a", "b")
    tell(conversation, receipt("delivered", "a"))
    assert status_of(message) == "accepted"
    tell(conversation, receipt("delivered", "b"))
    assert status_of(message) == "delivered"


def test_a_message_of_which_a_part_failed_stays_failed_whatever_comes_of_the_others(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "a", "b")
    tell(conversation, receipt("failed", "a", error_code="1"))
    tell(conversation, receipt("read", "b"))
    assert states_of(message) == ["failed", "dead", "accepted"]


def test_parts_that_have_not_gone_out_when_one_fails_are_not_sent(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "a", "b")
    messenger.will_answer(("a",))
    first = entries_of(message)[0]
    messenger.meanwhile = lambda: tell(conversation, receipt("failed", "a", correlation=str(first.id)))
    sender.drain(conversation.id)
    assert messenger.texts == ["a"]
    assert states_of(message) == ["failed", "dead", "dead"]


def unknown(conversation: Conversation, messenger: FakeMessenger, text: str = "hello") -> Message:
    message = say(conversation, text)
    messenger.will_answer(errors.UnknownOutcome("The line broke."))
    sender.drain(conversation.id)
    assert states_of(message) == ["uncertain", "uncertain"]
    return message


def test_a_receipt_with_our_correlation_settles_a_send_whose_outcome_was_unknown(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = unknown(conversation, messenger)
    (entry,) = entries_of(message)
    assert tell(conversation, receipt("accepted", "mid", correlation=str(entry.id))) is Joined.OURS
    assert states_of(message) == ["accepted", "accepted"]
    assert (message.error_code, message.provider_message_id) == ("", "mid")
    assert entries_of(message)[0].provider_message_ids == ["mid"]
    assert SentId.objects.get().provider_message_id == "mid"
    assert tell(conversation, receipt("read", "mid")) is Joined.OURS
    assert status_of(message) == "read"


def test_an_echo_with_our_correlation_settles_a_send_that_is_still_under_way(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    (entry,) = entries_of(message)
    messenger.meanwhile = lambda: tell(conversation, echo("m-1", correlation=str(entry.id)))
    sender.drain(conversation.id)
    assert states_of(message) == ["accepted", "accepted"]
    assert SentId.objects.get().provider_message_id == "m-1"


def test_a_message_whose_worker_died_is_settled_by_its_echo(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    held = queries.claim(conversation.id, "a worker that dies after its call")
    let_pass(30)
    sender.sweep()
    assert tell(conversation, echo("mid", correlation=str(held.entry))) is Joined.OURS
    assert states_of(message) == ["accepted", "accepted"]


def test_an_echo_without_correlation_settles_the_uncertain_send_of_the_same_text(messenger: FakeMessenger) -> None:
    conversation = talk()
    first, second = unknown(conversation, messenger, "hello"), unknown(conversation, messenger, "hello")
    assert tell(conversation, echo("mid-1", text="hello")) is Joined.OURS
    assert states_of(first) == ["accepted", "accepted"]
    assert states_of(second) == ["uncertain", "uncertain"]
    assert entries_of(first)[0].provider_message_ids == ["mid-1"]
    assert tell(conversation, echo("mid-1", text="hello")) is Joined.OURS
    assert states_of(second) == ["uncertain", "uncertain"]


def test_58_the_echo_of_a_send_that_was_settled_changes_nothing(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    tell(conversation, receipt("read", "mid"))
    assert tell(conversation, echo("mid", text="part mid")) is Joined.OURS
    assert status_of(message) == "read"


def test_what_somebody_wrote_in_the_providers_own_inbox_is_not_ours(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = unknown(conversation, messenger, "hello")
    assert tell(conversation, echo("mid", text="written elsewhere")) is Joined.NOT_OURS
    assert tell(conversation, echo("mid", text="hello", correlation="other software"), known=False) is Joined.NOT_OURS
    assert states_of(message) == ["uncertain", "uncertain"]


def test_an_echo_that_comes_while_we_send_is_told_again_since_it_may_be_ours(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "hello")
    early: list[Joined | None] = []
    messenger.meanwhile = lambda: early.append(tell(conversation, echo("m-1", text="hello")))
    sender.drain(conversation.id)
    assert early == [None]
    assert tell(conversation, echo("m-1", text="hello")) is Joined.OURS


@pytest.mark.parametrize("statement", [1, 2, 3])
@pytest.mark.parametrize("what", ["echo", "watermark"])
def test_news_that_comes_just_as_its_send_is_written_down_is_ours_or_told_again(
    messenger: FakeMessenger, what: str, statement: int
) -> None:
    """The send is settled after one of the statements that the news is handled with."""
    conversation = talk()
    message = say(conversation, "hello")
    news = echo("m-1", text="hello") if what == "echo" else receipt("read", watermark=9_999_999_999_999)
    looked, settled = threading.Event(), threading.Event()

    class Interrupted(psycopg.AsyncConnection[Any]):
        left = statement

        async def execute(self, *given: Any, **named: Any) -> Any:
            found = await super().execute(*given, **named)
            self.left -= 1
            if self.left == 0:
                looked.set()
                await asyncio.to_thread(settled.wait, 20)
            return found

    async def hear() -> Joined | None:
        async with await Interrupted.connect(**connect_parameters()) as connection:
            joined = await apply_receipt(connection, conversation.account_id, conversation.id, news)
        looked.set()
        return joined

    def meanwhile() -> None:
        heard.append(pool.submit(asyncio.run, hear()))
        assert looked.wait(20)

    heard: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        messenger.meanwhile = meanwhile
        sender.drain(conversation.id)
        settled.set()
    joined = heard[0].result()
    assert joined in (None, Joined.OURS)
    assert joined is None or status_of(message) == ("read" if what == "watermark" else "accepted")


def test_an_uncertain_part_that_is_settled_makes_the_whole_message_accepted(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "a", "b")
    messenger.will_answer(errors.UnknownOutcome("The line broke."), ("b",))
    sender.drain(conversation.id)
    assert states_of(message) == ["uncertain", "uncertain", "accepted"]
    tell(conversation, echo("a", correlation=str(entries_of(message)[0].id)))
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
    given = {**call_params(held.account, held.entry, []), "ids": ["b"], "json": Jsonb(["b"])}
    event = echo("a", correlation=str(entries_of(message)[0].id))
    with ThreadPoolExecutor(1) as thread, psycopg.connect(**connect_parameters()) as settling:
        settling.execute(queries.LOCK_PARTS, [message.id])
        settling.execute(queries.ACCEPTED, given)
        told = thread.submit(tell, conversation, event)
        time.sleep(0.2)
        settling.commit()
        assert told.result(5) is Joined.OURS
    assert states_of(message) == ["accepted", "accepted", "accepted"]


def test_read_up_to_here_means_all_that_was_sent_before_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    before = [accepted(conversation, messenger, one) for one in ("a", "b")]
    entry = entries_of(before[1])[0]
    let_pass(10)
    after = accepted(conversation, messenger, "c")
    moment = entry.settled_at - timedelta(seconds=5)
    assert tell(conversation, receipt("read", watermark=milliseconds(moment))) is Joined.OURS
    assert [status_of(message) for message in before] == ["read", "read"]
    assert status_of(after) == "accepted"


def test_a_watermark_at_the_providers_time_of_the_message_includes_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    moments: list[int] = []
    messenger.meanwhile = lambda: moments.append(milliseconds(timezone.now()))
    sender.drain(conversation.id)
    tell(conversation, receipt("delivered", watermark=moments[0]))
    assert status_of(message) == "delivered"


def test_a_watermark_reaches_no_message_that_failed_or_is_uncertain(messenger: FakeMessenger) -> None:
    conversation = talk()
    lost = unknown(conversation, messenger)
    refused = say(conversation, "refused")
    messenger.will_answer(errors.Blocked("Blocked."))
    sender.drain(conversation.id)
    tell(conversation, receipt("read", watermark=9_999_999_999_999_999))
    assert (status_of(lost), status_of(refused)) == ("uncertain", "failed")


def test_a_delivery_watermark_takes_back_no_read_mark(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    tell(conversation, receipt("read", watermark=9_999_999_999_999))
    tell(conversation, receipt("delivered", watermark=9_999_999_999_999))
    assert status_of(message) == "read"


def test_a_watermark_that_comes_while_we_send_is_told_again(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    early: list[Joined | None] = []
    messenger.meanwhile = lambda: early.append(tell(conversation, receipt("read", watermark=9_999_999_999_999)))
    sender.drain(conversation.id)
    assert early == [None]
    assert tell(conversation, receipt("read", watermark=9_999_999_999_999)) is Joined.OURS
    assert status_of(message) == "read"


def test_a_watermark_from_before_the_send_under_way_need_not_wait_for_it(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "hello")
    told: list[Joined | None] = []
    messenger.meanwhile = lambda: told.append(tell(conversation, receipt("read", watermark=1_000)))
    sender.drain(conversation.id)
    assert told == [Joined.OURS]


def test_a_watermark_of_somebody_we_never_wrote_to_is_not_ours(messenger: FakeMessenger) -> None:
    assert tell(talk(), receipt("read", watermark=1), known=False) is Joined.NOT_OURS


def test_ids_and_codes_that_the_database_cannot_store_do_no_harm(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    messenger.will_answer(("nul\0" + "x" * 400,))
    sender.drain(conversation.id)
    event = receipt("failed", "nul\0" + "x" * 400, error_code="\0" * 90, error_detail="\ud83d" * 900)
    assert tell(conversation, event) is Joined.OURS
    assert states_of(message) == ["failed", "dead"]


def test_the_same_receipt_again_changes_nothing(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    for _ in range(2):
        assert tell(conversation, receipt("failed", "mid", error_code="1", error_detail="No.")) is Joined.OURS
    assert states_of(message) == ["failed", "dead"]
    assert OutboxEntry.objects.count() == SentId.objects.count() == 1


def test_a_correlation_of_nobodys_is_waited_for(messenger: FakeMessenger) -> None:
    assert tell(talk(), receipt("delivered", correlation=str(uuid.uuid4()))) is None
