from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from channels_app.models import AccountHealth, ChannelAccount, RoutingRule
from connect_bridge.operations import doctor, doctor_connect, findings, status
from connect_bridge.operations.findings import Level
from sandbox.world.settings import Settings as WorldSettings
from tests.factories import BridgeFactory, ChannelAccountFactory, MessageFactory
from tests.outbound_proxy_kit import VARIABLES
from tests.sandbox.kit import running


@pytest.fixture(autouse=True)
def _amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-shown")


def finding_of(check: str) -> findings.Finding:
    return next(finding for finding in doctor.diagnose() if finding.check == check)


@pytest.mark.django_db
def test_a_house_in_order_exits_0(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    settings.CONNECT_INSTANCE_ID = settings.CONNECT_CONTACT_FLOW_ID = "set"
    BridgeFactory()
    status.record_pulse()
    ChannelAccountFactory()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor")
    assert ended.value.code == 0, capsys.readouterr().out


@pytest.mark.django_db
def test_warnings_alone_exit_1_and_failures_2(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings.CONNECT_INSTANCE_ID = settings.CONNECT_CONTACT_FLOW_ID = "set"
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json")
    assert ended.value.code == 2
    BridgeFactory()
    status.record_pulse()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json")
    assert ended.value.code == 1
    assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == ["failure", "warning"]


@pytest.mark.django_db
def test_every_complaint_comes_with_a_fix() -> None:
    complaints = [finding for finding in doctor.diagnose() if finding.level is not Level.OK]
    assert complaints
    assert all(finding.fix for finding in complaints)


@pytest.mark.django_db
def test_an_account_whose_key_is_gone_is_named(settings: Settings) -> None:
    ChannelAccountFactory(name="Acme on WhatsApp")
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert "add the former key behind the new one" in finding_of("Acme on WhatsApp").said


@pytest.mark.django_db
def test_an_account_without_a_credential_is_named_but_not_its_secrets() -> None:
    ChannelAccountFactory(name="Acme on WhatsApp")
    ChannelAccount.objects.update(credentials={"account_sid": "AC1", "auth_token": "hunter2"})
    finding = finding_of("Acme on WhatsApp")
    assert finding.level is Level.FAILURE
    assert "hunter2" not in finding.said


@pytest.mark.django_db
def test_an_account_without_routing_fails(settings: Settings) -> None:
    settings.CONNECT_INSTANCE_ID = settings.CONNECT_CONTACT_FLOW_ID = ""
    ChannelAccountFactory(name="routed", connect_instance_id="i", connect_contact_flow_id="f")
    assert finding_of("Connect routing").level is Level.OK
    ChannelAccountFactory(name="lost", connect_instance_id="i")
    assert (finding_of("Connect routing").level, finding_of("Connect routing").said) == (
        Level.FAILURE,
        "no instance or contact flow for lost",
    )


@pytest.mark.django_db
def test_secrets_that_this_machine_made_will_not_do_in_production(settings: Settings) -> None:
    settings.IS_LOCAL = False
    assert (finding_of("SECRET_KEY").level, finding_of("FIELD_ENCRYPTION_KEYS").level) == (Level.FAILURE, Level.FAILURE)


@pytest.mark.django_db
def test_pending_migrations_fail_and_nothing_that_needs_them_is_tried() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'connect_bridge'")
    checks = {finding.check: finding for finding in doctor.diagnose()}
    assert checks["database"].level is Level.FAILURE
    assert "bridge" not in checks


@pytest.mark.django_db
def test_no_secret_is_ever_printed(capsys: pytest.CaptureFixture[str]) -> None:
    account = ChannelAccountFactory()
    with pytest.raises(SystemExit):
        call_command("doctor")
    shown = capsys.readouterr().out
    assert not [secret for secret in (*account.credentials.values(), "never-shown") if secret in shown]


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "expected"), [(5, "s ahead of the database's"), (-60, "s behind the database's")])
def test_a_clock_that_is_wrong_is_told(minutes: int, expected: str) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes)):
        clock = finding_of("clock")
    seconds, _, words = clock.said.partition(" ")
    assert (clock.level, words) == (Level.WARNING, expected)
    assert abs(int(seconds) - abs(minutes) * 60) <= 15  # a busy machine takes its time between two looks at a clock
    assert finding_of("clock").level is Level.OK


@pytest.mark.django_db
def test_what_a_provider_said_is_wrong_is_told_with_both_sides_and_a_fix() -> None:
    account = ChannelAccountFactory(name="Acme")
    point: dict[str, object] = {
        "name": "Webhook URL",
        "ok": False,
        "said": "Another address.",
        "at": "2026-11-25T10:00:00Z",
    }
    AccountHealth.objects.create(
        account=account, points=[{**point, "ours": "https://a", "theirs": "https://b", "fix": "F"}]
    )

    finding = finding_of("Acme: Webhook URL")

    assert (finding.level, finding.fix) == (Level.FAILURE, "F")
    assert "Ours: https://a. Theirs: https://b." in finding.said


@pytest.mark.django_db
@pytest.mark.parametrize(("days", "level"), [(-1, Level.FAILURE), (6, Level.WARNING), (8, None)])
def test_a_token_that_ends_is_told_a_week_before(days: int, level: Level | None) -> None:
    ends = timezone.now() + timedelta(days=days)
    AccountHealth.objects.create(account=ChannelAccountFactory(name="Acme"), expires_at=ends)

    levels = [finding.level for finding in doctor.diagnose() if finding.check == "Acme: token"]

    assert levels == ([level] if level else [])


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    settings.CONNECT_INSTANCE_ID, settings.CONNECT_CONTACT_FLOW_ID = "instance", "flow"
    ids = {"instances": frozenset({"instance"}), "flows": frozenset({"flow", "draft"})}
    with running(WorldSettings(quotas=False, unpublished_flows=frozenset({"draft"}), **ids)) as world:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CONNECT", world.url)
        yield


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("flow", "level", "expected"),
    [
        ("", Level.OK, "is there and published"),
        ("deleted", Level.FAILURE, "ResourceNotFoundException"),
        ("draft", Level.FAILURE, "ContactFlowNotPublishedException"),
    ],
)
def test_connect_is_asked_for_every_flow(connect: None, flow: str, level: Level, expected: str) -> None:
    ChannelAccountFactory(name="Acme", connect_contact_flow_id=flow)
    (finding,) = doctor_connect.routes()
    assert (finding.check, finding.level) == ("flow of Acme", level)
    assert expected in finding.said
    assert bool(finding.fix) == (level is not Level.OK)


@pytest.mark.django_db
def test_a_rules_flow_is_looked_for_too(connect: None) -> None:
    account = ChannelAccountFactory(name="Acme")
    RoutingRule.objects.create(account=account, words="bill", connect_contact_flow_id="deleted")
    assert [finding.level for finding in doctor_connect.routes()] == [Level.FAILURE, Level.OK]


@pytest.mark.django_db
def test_what_messages_wait_for_is_a_failure_with_its_cause() -> None:
    MessageFactory(error_code="connect_set_up", error_detail="Connect refused: ResourceNotFoundException (404)")
    MessageFactory(error_code="paused")
    (finding,) = doctor_connect.waiting()
    assert finding.level is Level.FAILURE
    assert "ResourceNotFoundException (404)" in finding.said
    assert "1 waiting" in finding.said


def test_the_proxy_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@proxy.corp:3128")
    monkeypatch.setenv("NO_PROXY", "participant.connect.eu-west-1.amazonaws.com")
    (finding,) = doctor_connect.way_out()
    assert finding.said == "Amazon Connect through http://proxy.corp:3128, the participant service directly"
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:hunter2@proxy.corp")
    (finding,) = doctor_connect.way_out()
    assert finding.level is Level.FAILURE
    assert "hunter2" not in finding.said
