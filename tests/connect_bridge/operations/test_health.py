from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from channels_app.models import InboundCheck
from connect_bridge.models import OutboxEntry
from connect_bridge.operations import health, status
from tests.factories import (
    BridgeFactory,
    ChannelAccountFactory,
    ContactFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

LONG_AGO = timedelta(minutes=5)


def test_alive_needs_no_database(client: Client) -> None:
    assert client.get("/-/alive/").json() == {"status": "alive"}


@pytest.mark.django_db
def test_all_is_well_with_a_bridge_a_worker_and_empty_queues(client: Client) -> None:
    BridgeFactory()
    status.record_pulse()
    answer = client.get("/-/health/")
    assert (answer.status_code, answer.json()["status"], answer.json()["problems"]) == (200, "ok", [])


@pytest.mark.django_db
def test_processes_that_are_gone_are_reported_but_webhooks_may_still_come(client: Client) -> None:
    BridgeFactory(beat_at=timezone.now() - LONG_AGO)
    answer = client.get("/-/health/")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["problems"] == ["bridge: silent for 300 s", "worker: never heard of"]


@pytest.mark.django_db
def test_queues_that_do_not_move_are_reported_with_their_age(client: Client) -> None:
    InboundEntryFactory(created_at=timezone.now() - LONG_AGO)
    OutboxEntryFactory(created_at=timezone.now() - LONG_AGO)
    problems = client.get("/-/health/").json()["problems"]
    assert problems[-2:] == ["intake: oldest row waits for 300 s", "outbox: oldest row waits for 300 s"]


@pytest.mark.django_db
def test_settled_rows_are_no_queue(client: Client) -> None:
    OutboxEntryFactory(created_at=timezone.now() - LONG_AGO, state=OutboxEntry.State.DEAD)
    assert client.get("/-/health/").json()["outbox_age"] == 0


@pytest.mark.django_db
def test_a_database_that_was_not_migrated_is_unhealthy(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrated", False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'connect_bridge'")
    answer = client.get("/-/health/")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    assert "run manage.py migrate" in answer.json()["problems"][0]


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_unhealthy(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection to host db.internal with password hunter2 failed")

    monkeypatch.setattr(health, "read_status", refuse)
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's own transaction
    answer = client.get("/-/health/")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["database: OperationalError"])
    assert b"hunter2" not in answer.content


@pytest.mark.django_db
def test_prometheus_can_read_the_metrics(client: Client) -> None:
    contact = ContactFactory(conversation__account__kind="messenger")
    delivery = WebhookDeliveryFactory(account=contact.conversation.account)
    InboundEntryFactory(delivery=delivery, created_at=timezone.now() - LONG_AGO)
    families = text_string_to_metric_families(client.get("/-/metrics/").content.decode())
    samples = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert samples["parley_queue_oldest_age_seconds", "intake"] == pytest.approx(300, abs=5)
    assert samples["parley_queue_rows", "intake"] == 1
    assert samples["parley_contacts_open", "messenger"] == 1
    assert samples["parley_heartbeat_age_seconds", "bridge"] == float("inf")
    last = samples["parley_last_webhook_timestamp_seconds", str(delivery.account_id)[:8], "messenger"]
    assert last == pytest.approx(delivery.received_at.timestamp())


@pytest.mark.django_db
def test_what_came_only_because_we_asked_is_counted_for_each_channel(client: Client) -> None:
    for kind, count, trouble in (("twitter", 2, ""), ("twitter", 3, "No."), ("whatsapp", 0, "")):
        account = ChannelAccountFactory(kind=kind)
        InboundCheck.objects.create(account=account, due_at=timezone.now(), found=count, trouble=trouble)
    families = {
        family.name: family for family in text_string_to_metric_families(client.get("/-/metrics/").content.decode())
    }
    gaps = {sample.labels["channel"]: sample.value for sample in families["parley_inbound_gaps"].samples}
    assert gaps == {"twitter": 5, "whatsapp": 0}
    assert sorted(sample.value for sample in families["parley_inbound_trouble"].samples) == [0, 0, 1]


@pytest.mark.django_db
def test_what_connect_does_not_take_is_counted_by_why_and_degrades(client: Client) -> None:
    old = timezone.now() - timedelta(minutes=5)
    MessageFactory(created_at=old, error_code="connect_set_up")
    MessageFactory(created_at=old, error_code="paused")
    answer = client.get("/-/health/").json()
    assert any(problem.startswith("relay: oldest row waits for 3") for problem in answer["problems"])
    assert answer["relay_rows"] == 1
    metrics = client.get("/-/metrics/").content.decode()
    assert 'parley_connect_refused_rows{code="connect_set_up"} 1.0' in metrics
    assert 'parley_queue_rows{queue="relay"} 1.0' in metrics


ELSEWHERE = (
    {"REMOTE_ADDR": "203.0.113.7"},
    {"REMOTE_ADDR": "10.0.0.7"},
    {"REMOTE_ADDR": "::ffff:10.0.0.7"},
    {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
    {"HTTP_X_FORWARDED_PROTO": "https"},
    {"HTTP_FORWARDED": "for=127.0.0.1"},
    {"HTTP_VIA": "1.1 proxy"},
    {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "203.0.113.7"},
)


@pytest.mark.django_db
@pytest.mark.parametrize("where", ELSEWHERE)
@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "Basic cmlnaHQ6", "Token right", "right"])
@pytest.mark.parametrize("token", ["", "right"])
def test_a_stranger_learns_one_word(where: dict[str, str], header: str, token: str, settings: Settings) -> None:
    settings.MONITORING_TOKEN = token
    InboundEntryFactory(created_at=timezone.now() - LONG_AGO)
    stranger = Client(**where, headers={"authorization": header})

    assert stranger.get("/-/health/").json() == {"status": "degraded"}
    refusal = stranger.get("/-/metrics/")
    assert (refusal.status_code, refusal.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert b"parley_" not in refusal.content


@pytest.mark.django_db
@pytest.mark.parametrize("where", [*ELSEWHERE, {}, {"REMOTE_ADDR": "::1"}, {"REMOTE_ADDR": ""}])
def test_who_watches_sees_the_figures(where: dict[str, str], settings: Settings) -> None:
    settings.MONITORING_TOKEN = "right"
    here = where not in ELSEWHERE
    watcher = Client(**where, headers={} if here else {"authorization": "Bearer right"})

    assert "problems" in watcher.get("/-/health/").json()
    assert b"parley_queue_rows" in watcher.get("/-/metrics/").content
