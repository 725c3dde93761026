from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from channels_app.accounts.explanations import explain
from connect_bridge.models import AccountPause, Contact, Message, Notice
from connect_bridge.operations import status, stuck
from connect_bridge.operations.stuck import Kind, StuckRow
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


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


@pytest.fixture
def processes() -> None:
    """Let a bridge and a worker run."""
    BridgeFactory()
    status.record_pulse()


def one_of(kind: Kind, age: float = 120) -> Any:
    """Make a row of this kind that has waited so many seconds."""
    at = ago(age)
    if kind is Kind.INTAKE:
        return InboundEntryFactory(created_at=at)
    if kind is Kind.RECEIPT:
        return InboundEntryFactory(created_at=at, state="parked", due_at=ago(-30))
    if kind is Kind.MESSAGE:
        return MessageFactory(created_at=at)
    if kind is Kind.REFUSED:
        return MessageFactory(status="failed", settled_at=at, error_code="connect_invalid", error_detail="Refused.")
    if kind is Kind.CONTACT:
        return ContactFactory(requested_at=at, state="requested")
    if kind is Kind.OUTBOX:
        return OutboxEntryFactory(created_at=at, due_at=at)
    if kind is Kind.NOTICE:
        message = MessageFactory(direction="out", status="failed", created_at=at)
        contact = ContactFactory(conversation=message.conversation)
        return Notice.objects.create(message=message, contact=contact, created_at=at, due_at=ago(-5))
    looked_for = ago(-10) if kind is Kind.UNCERTAIN else None
    message = MessageFactory(direction="out", status="uncertain")
    return OutboxEntryFactory(
        message=message, state="uncertain", settled_at=at, look_at=looked_for, error_detail="The line broke."
    )


def test_a_notice_whose_chat_is_over_waits_for_nobody() -> None:
    one_of(Kind.NOTICE)
    assert stuck.counts()[Kind.NOTICE] == 1
    Contact.objects.update(state="ended")
    assert stuck.counts()[Kind.NOTICE] == 0
    assert stuck.find_stuck().rows == []


def only() -> StuckRow:
    (row,) = stuck.find_stuck().rows
    return row


@pytest.mark.parametrize("kind", Kind)
def test_a_row_that_waits_for_over_a_minute_is_stuck_with_a_reason_and_a_prospect(processes: None, kind: Kind) -> None:
    made = one_of(kind)
    row = only()
    assert (row.kind, row.id) == (kind, str(made.pk))
    assert abs((timezone.now() - row.since).total_seconds() - 120) < 5
    assert row.why
    assert row.next
    assert row.account_name.startswith("Account")
    assert stuck.counts() == {**dict.fromkeys(Kind, 0), kind: 1}


@pytest.mark.parametrize("kind", Kind)
def test_a_row_that_waits_for_less_is_not(kind: Kind) -> None:
    one_of(kind, age=50)
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
    one_of(kind)
    assert "No bridge is running" in only().why


def test_without_a_worker_that_is_the_reason() -> None:
    one_of(Kind.OUTBOX)
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
    one, two = stuck.find_stuck().rows
    assert (one.why, one.next_at) == ("unavailable (2 attempts)", first.due_at)
    assert two.why == "An earlier message of its conversation goes first."


def test_a_send_on_a_disabled_account_waits_for_a_person(processes: None) -> None:
    conversation = ConversationFactory(account=ChannelAccountFactory(enabled=False))
    OutboxEntryFactory(message=MessageFactory(conversation=conversation, direction="out"), created_at=ago(120))
    assert only().why == "Its account is disabled."
    assert only().next.startswith("Nothing by itself")


def test_a_send_on_a_paused_account_waits_until_the_pause_ends(processes: None) -> None:
    entry, until = one_of(Kind.OUTBOX), ago(-100)
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
    one_of(Kind.UNCERTAIN)
    one_of(Kind.UNDECIDED)
    looked_for, left = stuck.find_stuck().rows
    assert "look 1 of 6" in looked_for.next
    assert left.next.startswith("Nothing by itself")
    assert looked_for.why == left.why == "The line broke."


def test_the_oldest_are_shown_and_all_are_counted(processes: None) -> None:
    made = [one_of(Kind.INTAKE, age=100 + number) for number in range(5)]
    found = stuck.find_stuck(limit=2)
    assert [row.id for row in found.rows] == [str(made[4].pk), str(made[3].pk)]
    assert found.counts[Kind.INTAKE] == found.total == 5


def everything() -> None:
    for kind in Kind:
        one_of(kind)


def test_it_asks_the_database_as_often_for_many_rows_as_for_one(django_assert_num_queries: Any) -> None:
    everything()
    with CaptureQueriesContext(connection) as few:
        stuck.find_stuck()
    for _ in range(4):
        everything()
    with django_assert_num_queries(len(few)):
        stuck.find_stuck()
    assert len(few) <= 16


def test_a_hundred_thousand_settled_rows_do_not_slow_it_down() -> None:
    entry = InboundEntryFactory(created_at=ago(120))
    given = {"delivery": entry.delivery_id, "account": entry.account_id}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO channels_app_inboundentry (delivery_id, account_id, key, type, sender, shard, event, state,"
            " outcome, attempts, due_at, created_at) SELECT %(delivery)s, %(account)s, 'k' || n, 'message', 's', 0,"
            " '{}', CASE WHEN n <= 2000 THEN 'pending' ELSE 'done' END, '', 0, now(), now() - interval '5 minutes'"
            " FROM generate_series(1, 100000) AS n",
            given,
        )
        cursor.execute("ANALYZE channels_app_inboundentry")
    with CaptureQueriesContext(connection) as asked:
        found = stuck.find_stuck()
    assert (found.counts[Kind.INTAKE], len(found.rows)) == (2001, stuck.SHOWN)
    assert asked.captured_queries
    for query in asked.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + query["sql"].replace("%", "%%"), [])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan on channels_app_inboundentry" not in plan, query["sql"]


def test_the_page_shows_each_row_with_the_way_to_it(admin_client: Client, processes: None) -> None:
    everything()
    page = admin_client.get("/admin/stuck/").content.decode()
    for row in stuck.find_stuck().rows:
        address = reverse(f"admin:{row.model}_change", args=[row.id])
        assert address in page
        assert admin_client.get(address).status_code == 200
        assert row.next[:20] in page
    assert "Nothing is stuck" not in page


def test_an_empty_page_says_so_and_the_index_leads_to_it(admin_client: Client) -> None:
    assert "Nothing is stuck" in admin_client.get("/admin/stuck/").content.decode()
    assert 'href="/admin/stuck/"' in admin_client.get("/admin/").content.decode()


def test_hostile_words_are_harmless_on_the_page(admin_client: Client, processes: None) -> None:
    conversation = ConversationFactory(account=ChannelAccountFactory(name="<script>alert(1)</script>"))
    message = MessageFactory(conversation=conversation, direction="out", status="uncertain")
    OutboxEntryFactory(message=message, state="uncertain", settled_at=ago(99), error_detail="<img src=x onerror=1>")
    page = admin_client.get("/admin/stuck/").content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("ops", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", ["/admin/stuck/", "/api/v1/stuck/"])
def test_staff_see_only_the_kinds_that_they_may_view(path: str) -> None:
    entry, message = one_of(Kind.INTAKE), one_of(Kind.MESSAGE)
    client = staff("view_message")
    page = client.get(path).content.decode()
    assert str(message.pk)[:8] in page
    assert f"/{entry.pk}/" not in page
    assert '"intake"' not in page


@pytest.mark.parametrize("path", ["/admin/stuck/", "/api/v1/stuck/"])
def test_who_may_view_nothing_sees_nothing(path: str) -> None:
    assert staff().get(path).status_code == 403


def test_a_stranger_is_asked_who_they_are() -> None:
    assert Client().get("/api/v1/stuck/").status_code == 401
    assert Client().get("/admin/stuck/").status_code == 302


def test_the_api_tells_the_same(admin_client: Client, processes: None) -> None:
    everything()
    told = admin_client.get("/api/v1/stuck/").json()
    assert told["counts"] == dict.fromkeys([kind.value for kind in Kind], 1)
    assert {row["kind"] for row in told["rows"]} == set(told["counts"])
    one = admin_client.get("/api/v1/stuck/", {"kind": "outbox", "limit": 1}).json()
    assert (one["counts"], len(one["rows"])) == ({"outbox": 1}, 1)


@pytest.mark.parametrize(
    "wrong", [{"kind": "x"}, {"limit": "0"}, {"limit": "501"}, {"limit": "-1"}, {"limit": "٣"}, {"page": "1"}]
)
def test_the_api_refuses_what_it_does_not_know(admin_client: Client, wrong: dict[str, str]) -> None:
    answer = admin_client.get("/api/v1/stuck/", wrong)
    assert answer.status_code == 400
    assert set(answer.json()) == set(wrong)


def test_the_schema_describes_it(admin_client: Client) -> None:
    assert "/api/v1/stuck/:" in admin_client.get("/api/schema/").content.decode()


def run(*words: str) -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("stuck", *words, stdout=out)
    return int(str(ended.value.code)), out.getvalue()


def test_the_command_says_why_and_what_next(processes: None) -> None:
    assert run() == (0, "Nothing is stuck.\n")
    entry = one_of(Kind.UNCERTAIN)
    code, said = run()
    assert code == 3
    assert f"uncertain: 1\n  {entry.pk}" in said
    assert "why:  The line broke." in said
    assert "next: The messenger is asked" in said


def test_the_command_tells_it_as_json(processes: None) -> None:
    everything()
    code, said = run("--json")
    told = json.loads(said)
    assert (code, len(told["rows"])) == (3, len(Kind))


def test_the_metrics_count_each_kind(client: Client) -> None:
    one_of(Kind.OUTBOX)
    text = client.get("/-/metrics/").content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    samples = {sample.labels["kind"]: sample.value for sample in families["parley_stuck_rows"].samples}
    assert samples == {**dict.fromkeys([kind.value for kind in Kind], 0), "outbox": 1}


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
