from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from channels_app.accounts.explanations import explain
from connect_bridge.models import AccountPause, Contact, Message
from connect_bridge.operations import stuck
from connect_bridge.operations.stuck import Kind
from tests.connect_bridge.operations.stuck_kit import ago, make_row, make_rows_of_all_kinds, only
from tests.factories import (
    BridgeFactory,
    ChannelAccountFactory,
    ContactFactory,
    ConversationFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
)

pytestmark = pytest.mark.django_db


def test_a_notice_whose_chat_is_over_waits_for_nobody() -> None:
    make_row(Kind.NOTICE)
    assert stuck.counts()[Kind.NOTICE] == 1
    Contact.objects.update(state="ended")
    assert stuck.counts()[Kind.NOTICE] == 0
    assert stuck.find_stuck().rows == []


@pytest.mark.parametrize("kind", Kind)
def test_a_row_that_waits_for_over_a_minute_is_stuck_with_a_reason_and_a_prospect(processes: None, kind: Kind) -> None:
    waiting = make_row(kind)
    row = only()
    assert (row.kind, row.id) == (kind, str(waiting.pk))
    assert abs((timezone.now() - row.since).total_seconds() - 120) < 5
    assert row.why
    assert row.next
    assert row.account_name.startswith("Account")
    assert stuck.counts() == {**dict.fromkeys(Kind, 0), kind: 1}


@pytest.mark.parametrize("kind", Kind)
def test_a_row_that_waits_for_less_is_not(kind: Kind) -> None:
    make_row(kind, age=50)
    assert stuck.find_stuck().rows == []
    assert set(stuck.counts().values()) == {0}


def test_what_has_come_to_an_end_is_not_stuck() -> None:
    InboundEntryFactory(created_at=ago(120), state="done")
    InboundEntryFactory(created_at=ago(120), state="quarantined")
    MessageFactory(created_at=ago(120), status=Message.Status.RELAYED)
    MessageFactory(created_at=ago(120), direction="out")
    ContactFactory(requested_at=ago(120), state="connected")
    ContactFactory(requested_at=ago(120), state="failed")
    OutboxEntryFactory(created_at=ago(120), state="dead")
    OutboxEntryFactory(created_at=ago(120), state="accepted")
    assert stuck.find_stuck().rows == []


@pytest.mark.parametrize("kind", [Kind.INTAKE, Kind.MESSAGE, Kind.CONTACT, Kind.NOTICE])
def test_without_a_bridge_that_is_the_reason(kind: Kind) -> None:
    BridgeFactory(beat_at=ago(300))
    make_row(kind)
    assert "No bridge is running" in only().why


def test_without_a_worker_that_is_the_reason() -> None:
    make_row(Kind.OUTBOX)
    assert "No worker is running" in only().why


def test_an_entry_that_breaks_the_router_says_how_and_how_often(processes: None) -> None:
    InboundEntryFactory(created_at=ago(120), attempts=3, outcome="failed: KeyError")
    assert only().why == "failed: KeyError (attempt 3 of 5)"


def test_a_message_says_what_connect_said_and_when_it_is_tried_again(processes: None) -> None:
    due = ago(-20)
    MessageFactory(created_at=ago(120), error_code="throttled", error_detail="Too many requests.", due_at=due)
    assert (only().why, only().next_at) == ("throttled: Too many requests.", due)


def test_a_message_without_a_word_of_its_own_has_its_chats(processes: None) -> None:
    message = MessageFactory(created_at=ago(120))
    ContactFactory(conversation=message.conversation, state="connected", reason="quota of chats reached")
    assert only().why == "quota of chats reached"


def test_what_waits_for_an_earlier_one_says_so(processes: None) -> None:
    conversation = ConversationFactory()
    MessageFactory(conversation=conversation, created_at=ago(200), error_code="throttled")
    MessageFactory(conversation=conversation, created_at=ago(150))
    first, second = stuck.find_stuck().rows
    assert first.why == "throttled"
    assert second.why == "An earlier message of its conversation comes first."


def test_a_send_behind_another_says_so(processes: None) -> None:
    first = OutboxEntryFactory(created_at=ago(200), attempts=2, error_code="unavailable", due_at=ago(-9))
    later = MessageFactory(conversation=first.conversation, direction="out")
    OutboxEntryFactory(message=later, created_at=ago(150))
    first_row, second_row = stuck.find_stuck().rows
    assert (first_row.why, first_row.next_at) == ("unavailable (2 attempts)", first.due_at)
    assert second_row.why == "An earlier message of its conversation goes first."


def test_a_send_on_a_disabled_account_waits_for_a_person(processes: None) -> None:
    conversation = ConversationFactory(account=ChannelAccountFactory(enabled=False))
    OutboxEntryFactory(message=MessageFactory(conversation=conversation, direction="out"), created_at=ago(120))
    assert only().why == "Its account is disabled."
    assert only().next.startswith("Nothing by itself")


def test_a_send_on_a_paused_account_waits_until_the_pause_ends(processes: None) -> None:
    entry, until = make_row(Kind.OUTBOX), ago(-100)
    AccountPause.objects.create(account=entry.conversation.account, since=ago(10), until=until)
    assert "too fast" in only().why
    assert only().next_at == until


def test_a_claimed_send_becomes_uncertain_when_its_claim_ends(processes: None) -> None:
    until = ago(-7)
    OutboxEntryFactory(created_at=ago(120), state="claimed", claimed_until=until)
    assert (only().next_at, "uncertain" in only().next) == (until, True)


def test_a_chat_that_began_gets_five_minutes(processes: None) -> None:
    started = ago(90)
    ContactFactory(requested_at=ago(120), started_at=started, state="started")
    assert only().next_at == started + timedelta(minutes=5)


def test_what_is_looked_for_and_what_is_left_to_a_person_are_told_apart(processes: None) -> None:
    make_row(Kind.UNCERTAIN)
    make_row(Kind.UNDECIDED)
    looked_for, left = stuck.find_stuck().rows
    assert "look 1 of 6" in looked_for.next
    assert left.next.startswith("Nothing by itself")
    assert looked_for.why == left.why == "The line broke."


def test_the_oldest_are_shown_and_all_are_counted(processes: None) -> None:
    rows = [make_row(Kind.INTAKE, age=100 + number) for number in range(5)]
    report = stuck.find_stuck(limit=2)
    assert [row.id for row in report.rows] == [str(rows[4].pk), str(rows[3].pk)]
    assert report.counts[Kind.INTAKE] == report.total == 5


def test_it_asks_the_database_as_often_for_many_rows_as_for_one(django_assert_num_queries: Any) -> None:
    make_rows_of_all_kinds()
    with CaptureQueriesContext(connection) as few:
        stuck.find_stuck()
    for _ in range(4):
        make_rows_of_all_kinds()
    with django_assert_num_queries(len(few)):
        stuck.find_stuck()
    assert len(few) <= 16


def test_a_hundred_thousand_settled_rows_do_not_slow_it_down() -> None:
    entry = InboundEntryFactory(created_at=ago(120))
    params = {"delivery": entry.delivery_id, "account": entry.account_id}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO channels_app_inboundentry (delivery_id, account_id, key, type, sender, shard, event, state,"
            " outcome, attempts, due_at, created_at) SELECT %(delivery)s, %(account)s, 'k' || n, 'message', 's', 0,"
            " '{}', CASE WHEN n <= 2000 THEN 'pending' ELSE 'done' END, '', 0, now(), now() - interval '5 minutes'"
            " FROM generate_series(1, 100000) AS n",
            params,
        )
        cursor.execute("ANALYZE channels_app_inboundentry")
    with CaptureQueriesContext(connection) as queries:
        report = stuck.find_stuck()
    assert (report.counts[Kind.INTAKE], len(report.rows)) == (2001, stuck.SHOWN)
    assert queries.captured_queries
    for query in queries.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"), [])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan on channels_app_inboundentry" not in plan, query["sql"]


@pytest.mark.parametrize("code", ["connect_set_up", "connect_no_way", "connect_unclear", "connect_refused"])
def test_what_a_person_must_mend_says_what_to_do(processes: None, code: str) -> None:
    MessageFactory(created_at=ago(7200), error_code=code, error_detail="ResourceNotFoundException (404)", attempts=200)
    row = only()
    assert row.why == f"{code}: ResourceNotFoundException (404)"
    assert explain(code).fix in row.next


def test_what_connect_will_not_take_is_shown_for_days_not_for_ever(processes: None) -> None:
    MessageFactory(status="failed", settled_at=ago(86_400 * (stuck.REFUSED_DAYS + 1)))
    MessageFactory(status="failed", direction="out", settled_at=ago(600))
    assert stuck.find_stuck().rows == []
