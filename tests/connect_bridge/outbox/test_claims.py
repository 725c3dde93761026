from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from kombu.transport import memory

from channels_app import errors
from channels_app.infrastructure.db import connect_parameters
from connect_bridge.models import Conversation, SentId
from connect_bridge.outbox import db_pool, queries, retry_policy, sender, tasks
from tests.connect_bridge.outbox.kit import FakeMessenger, entries_of, let_pass, say, states_of, talk


def drain_in_threads(*conversations: Conversation) -> None:
    start = threading.Barrier(len(conversations))

    def drain(conversation: Conversation) -> None:
        start.wait()
        sender.drain(conversation.id)

    with ThreadPoolExecutor(len(conversations)) as threads:
        list(threads.map(drain, conversations))


def cut_the_workers_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [db_pool.NAME],
        )
        assert cursor.rowcount > 0


def test_many_workers_send_each_message_once_in_order_and_one_at_a_time(messenger: FakeMessenger) -> None:
    conversation = talk()
    messages = [say(conversation, f"{number}") for number in range(12)]
    messenger.meanwhile = lambda: time.sleep(0.01)
    for _ in range(20):
        drain_in_threads(*[conversation] * 6)
        if states_of(messages[-1])[0] == "accepted":
            break
    assert messenger.texts == [str(number) for number in range(12)]
    assert messenger.most_at_once == {conversation.recipient: 1}


def test_of_two_claims_at_the_same_moment_one_wins(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "hello")
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda number: queries.claim(conversation.id, f"worker {number}"), range(8)))
    assert sum(claim is not None for claim in won) == 1


def test_a_claim_that_waited_for_another_finds_the_entry_taken(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "hello")
    params = {"conversation": conversation.id, "worker": "the faster one", "seconds": 20}
    with ThreadPoolExecutor(1) as thread, psycopg.connect(**connect_parameters()) as faster:
        assert faster.execute(queries.CLAIM, params).fetchone() is not None
        slower = thread.submit(queries.claim, conversation.id, "the slower one")
        time.sleep(0.2)
        assert not slower.done()
        faster.commit()
        assert slower.result(5) is None


def test_an_entry_that_a_person_revives_waits_for_the_one_that_is_being_sent(messenger: FakeMessenger) -> None:
    conversation = talk()
    revived, current = say(conversation, "revived"), say(conversation, "current")
    revived.outbox.update(state="dead")
    assert queries.claim(conversation.id, "one").message == current.id
    revived.outbox.update(state="pending")
    assert queries.claim(conversation.id, "another") is None


def test_one_task_sends_for_many_conversations_side_by_side(messenger: FakeMessenger) -> None:
    conversations = [talk() for _ in range(4)]
    messages = [say(conversation, "hello") for conversation in conversations]
    together = threading.Barrier(4)
    messenger.meanwhile = lambda: together.wait(5)
    tasks.drain([str(conversation.id) for conversation in conversations])
    assert [states_of(message) for message in messages] == [["accepted", "accepted"]] * 4


def test_a_slow_send_holds_no_database_connection_in_a_transaction(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    open_transactions: list[int] = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state LIKE 'idle in%'"
            )
            open_transactions.append(cursor.fetchone()[0])

    messenger.meanwhile = look
    sender.drain(message.conversation_id)
    assert open_transactions == [0]


def test_what_a_dead_worker_had_claimed_becomes_uncertain_and_the_rest_goes_on(
    messenger: FakeMessenger, settled_signals: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    conversation = talk()
    orphan, later = say(conversation, "orphan"), say(conversation, "later")
    queries.claim(conversation.id, "a worker that dies now")
    let_pass(19)
    assert sender.sweep() == []
    assert sender.drain(conversation.id) == 0
    let_pass(2)
    assert sender.sweep() == [conversation.id]
    assert states_of(orphan) == ["uncertain", "uncertain"]
    assert "may have taken the message or not" in orphan.error_detail
    assert str(orphan.id) in caplog.text
    assert [(signal["message_id"], signal["status"]) for signal in settled_signals] == [(orphan.id, "uncertain")]
    sender.drain(conversation.id)
    assert messenger.texts == ["later"]
    assert states_of(later) == ["accepted", "accepted"]


def test_a_worker_that_was_suspended_before_its_call_does_not_send(
    messenger: FakeMessenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = say(talk(), "hello")
    monkeypatch.setattr(sender, "FRESH", -1.0)
    sender.drain(message.conversation_id)
    assert messenger.sent == []
    assert states_of(message) == ["stored", "pending"]


def test_a_worker_that_was_suspended_during_its_call_still_tells_that_it_was_accepted(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")

    def outlive_the_claim() -> None:
        let_pass(60)
        sender.sweep()
        assert states_of(message) == ["uncertain", "uncertain"]

    messenger.meanwhile = outlive_the_claim
    sender.drain(message.conversation_id)
    assert states_of(message) == ["accepted", "accepted"]
    assert SentId.objects.count() == 1


def test_a_failure_told_by_a_worker_that_lost_its_claim_changes_nothing(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    held = queries.claim(message.conversation_id, "slow")
    let_pass(60)
    sender.sweep()
    verdict = retry_policy.judge(errors.Blocked("Blocked."), held.attempts, held.age)
    assert queries.settle_failed(held, verdict, []) is None
    assert states_of(message) == ["uncertain", "uncertain"]


def test_telling_twice_that_it_was_accepted_is_harmless(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    held = queries.claim(message.conversation_id, "worker")
    assert queries.settle_accepted(held, ["mid"], []).status == "accepted"
    assert queries.settle_accepted(held, ["mid"], []) is None
    assert states_of(message) == ["accepted", "accepted"]


def test_a_database_that_goes_away_during_a_send_still_learns_what_became_of_it(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.meanwhile = cut_the_workers_connections
    sender.drain(message.conversation_id)
    assert states_of(message) == ["accepted", "accepted"]
    assert messenger.texts == ["hello"]


def test_the_sweep_finds_what_no_task_has_named_but_leaves_the_fresh_to_its_task(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "hello")
    assert sender.sweep() == []
    let_pass(sender.FORGOTTEN_AFTER)
    assert sender.sweep() == [conversation.id]


def test_the_sweep_finds_a_retry_when_it_is_due(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    messenger.will_answer(errors.Unavailable(""))
    sender.drain(message.conversation_id)
    message.outbox.update(due_at=message.created_at)
    assert sender.sweep() == [message.conversation_id]


def test_the_sweep_passes_over_what_waits_is_being_sent_or_is_paused(messenger: FakeMessenger) -> None:
    waiting, sending, paused = talk(), talk(), talk(enabled=False)
    for conversation in (waiting, sending, paused):
        say(conversation, "head")
        say(conversation, "behind")
    let_pass(10)
    messenger.will_answer(errors.Throttled("", retry_at=None))
    sender.drain(waiting.id)
    head = waiting.outbox.get(sequence=1)
    head.due_at += timedelta(minutes=10)
    head.save()
    queries.claim(sending.id, "worker")
    assert sender.sweep() == []


def test_a_sweep_looks_after_a_bounded_number_the_longest_waiting_first(
    messenger: FakeMessenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SWEEP_MOST", 2)
    conversations = [talk() for _ in range(3)]
    for minutes, conversation in enumerate(conversations, start=1):
        (entry,) = entries_of(say(conversation, "hello"))
        entry.due_at -= timedelta(minutes=minutes)
        entry.save()
    assert sender.sweep() == [conversations[2].id, conversations[1].id]


def test_the_swept_are_named_to_the_workers_in_tasks_that_expire(messenger: FakeMessenger) -> None:
    for _ in range(3):
        say(talk(), "hello")
    let_pass(10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "MOST_PER_TASK", 2)
        tasks.sweep()
    queued: list[Any] = [queue.get_nowait() for queue in memory.Channel.queues.values() for _ in range(queue.qsize())]
    assert len(queued) == 2
    assert all(task["headers"]["expires"] for task in queued)


def test_of_sweeps_that_waited_for_a_worker_one_is_enough(
    messenger: FakeMessenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SWEEPS_APART", 60.0)
    monkeypatch.setattr(tasks, "_swept_at", float("-inf"))
    say(talk(), "hello")
    let_pass(10)
    for _ in range(3):
        tasks.sweep()
    assert sum(queue.qsize() for queue in memory.Channel.queues.values()) == 1
    monkeypatch.setattr(tasks, "_swept_at", tasks._swept_at - 60.0)
    tasks.sweep()
    assert sum(queue.qsize() for queue in memory.Channel.queues.values()) == 2


def test_a_drain_ends_in_time_for_the_broker_and_leaves_the_rest_to_the_next(
    messenger: FakeMessenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = talk()
    for text in ("one", "two"):
        say(conversation, text)
    monkeypatch.setattr(sender, "DRAIN_SECONDS", 0.05)
    messenger.meanwhile = lambda: time.sleep(0.1)
    assert sender.drain(conversation.id) == 1
    assert sender.drain(conversation.id) == 1


def test_a_send_costs_two_statements(messenger: FakeMessenger) -> None:
    conversation = talk()
    say(conversation, "first, which also reads the credentials")
    sender.drain(conversation.id)
    say(conversation, "second")
    statements = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psycopg.Cursor.execute", _counting(statements))
        sender.drain(conversation.id)
    assert [statement.split()[0] for statement in statements] == ["UPDATE", "WITH", "UPDATE"]


def _counting(statements: list[str]) -> Any:
    execute = psycopg.Cursor.execute

    def counted(cursor: Any, query: str, *rest: Any, **options: Any) -> Any:
        statements.append(query.strip())
        return execute(cursor, query, *rest, **options)

    return counted


def test_entries_know_which_worker_holds_them(messenger: FakeMessenger) -> None:
    message = say(talk(), "hello")
    seen = []
    messenger.meanwhile = lambda: seen.append(entries_of(message)[0].claimed_by)
    sender.drain(message.conversation_id)
    assert seen[0].count(":") == 2
