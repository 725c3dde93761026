"""Echoes and correlations settle sends whose outcome nobody knows."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from channels_app.infrastructure.db import connect_parameters
from connect_bridge.inbound.receipts import Joined, apply_receipt
from connect_bridge.models import SentId
from connect_bridge.outbox import queries, sender
from tests.connect_bridge.inbound.kit import accepted, apply, echo, receipt, status_of, unknown
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, let_pass, say, states_of, talk


def test_a_receipt_with_our_correlation_settles_a_send_whose_outcome_was_unknown(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = unknown(conversation, messenger)
    (entry,) = entries_of(message)
    assert apply(conversation, receipt("accepted", "mid", correlation=str(entry.id))) is Joined.OURS
    assert states_of(message) == ["accepted", "accepted"]
    assert (message.error_code, message.provider_message_id) == ("", "mid")
    assert entries_of(message)[0].provider_message_ids == ["mid"]
    assert SentId.objects.get().provider_message_id == "mid"
    assert apply(conversation, receipt("read", "mid")) is Joined.OURS
    assert status_of(message) == "read"


def test_an_echo_with_our_correlation_settles_a_send_that_is_still_under_way(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    (entry,) = entries_of(message)
    messenger.meanwhile = lambda: apply(conversation, echo("m-1", correlation=str(entry.id)))
    sender.drain(conversation.id)
    assert states_of(message) == ["accepted", "accepted"]
    assert SentId.objects.get().provider_message_id == "m-1"


def test_a_message_whose_worker_died_is_settled_by_its_echo(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = say(conversation, "hello")
    held = queries.claim(conversation.id, "a worker that dies after its call")
    let_pass(30)
    sender.sweep()
    assert apply(conversation, echo("mid", correlation=str(held.entry))) is Joined.OURS
    assert states_of(message) == ["accepted", "accepted"]


def test_an_echo_without_correlation_settles_the_uncertain_send_of_the_same_text(messenger: FakeMessenger) -> None:
    conversation = talk()
    first, second = unknown(conversation, messenger, "hello"), unknown(conversation, messenger, "hello")
    assert apply(conversation, echo("mid-1", text="hello")) is Joined.OURS
    assert states_of(first) == ["accepted", "accepted"]
    assert states_of(second) == ["uncertain", "uncertain"]
    assert entries_of(first)[0].provider_message_ids == ["mid-1"]
    assert apply(conversation, echo("mid-1", text="hello")) is Joined.OURS
    assert states_of(second) == ["uncertain", "uncertain"]


def test_58_the_echo_of_a_send_that_was_settled_changes_nothing(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = accepted(conversation, messenger, "mid")
    apply(conversation, receipt("read", "mid"))
    assert apply(conversation, echo("mid", text="part mid")) is Joined.OURS
    assert status_of(message) == "read"


def test_what_somebody_wrote_in_the_providers_own_inbox_is_not_ours(messenger: FakeMessenger) -> None:
    conversation = talk()
    message = unknown(conversation, messenger, "hello")
    assert apply(conversation, echo("mid", text="written elsewhere")) is Joined.NOT_OURS
    assert apply(conversation, echo("mid", text="hello", correlation="other software"), known=False) is Joined.NOT_OURS
    assert states_of(message) == ["uncertain", "uncertain"]


def test_an_echo_that_comes_while_we_send_is_told_again_since_it_may_be_ours(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "hello")
    early: list[Joined | None] = []
    messenger.meanwhile = lambda: early.append(apply(conversation, echo("m-1", text="hello")))
    sender.drain(conversation.id)
    assert early == [None]
    assert apply(conversation, echo("m-1", text="hello")) is Joined.OURS


@pytest.mark.parametrize("statement", [1, 2, 3])
@pytest.mark.parametrize("what", ["echo", "watermark"])
def test_news_that_comes_just_as_its_send_is_written_down_is_ours_or_told_again(
    messenger: FakeMessenger, what: str, statement: int
) -> None:
    """The send is settled after one of the statements that the news is handled with."""
    conversation = talk()
    message = say(conversation, "hello")
    event = echo("m-1", text="hello") if what == "echo" else receipt("read", watermark=9_999_999_999_999)
    looked, settled = threading.Event(), threading.Event()

    class Interrupted(psycopg.AsyncConnection[Any]):
        left = statement

        async def execute(self, *arguments: Any, **named: Any) -> Any:
            result = await super().execute(*arguments, **named)
            self.left -= 1
            if self.left == 0:
                looked.set()
                await asyncio.to_thread(settled.wait, 20)
            return result

    async def apply_alone() -> Joined | None:
        async with await Interrupted.connect(**connect_parameters()) as connection:
            joined = await apply_receipt(connection, conversation.account_id, conversation.id, event)
        looked.set()
        return joined

    def meanwhile() -> None:
        applied.append(pool.submit(asyncio.run, apply_alone()))
        assert looked.wait(20)

    applied: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        messenger.meanwhile = meanwhile
        sender.drain(conversation.id)
        settled.set()
    joined = applied[0].result()
    assert joined in (None, Joined.OURS)
    assert joined is None or status_of(message) == ("read" if what == "watermark" else "accepted")
