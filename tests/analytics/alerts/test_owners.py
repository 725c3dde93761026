"""Whom alerts and reports answer to: people who leave, or lose their rights."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.utils import timezone

from analytics.alerts import notify, reports
from analytics.alerts.rules import evaluate, filter_of
from analytics.models import AlertEvent, Report
from tests.analytics.alerts.kit import RULE_FORM, WebhookServer, chats, rule_of
from tests.analytics.dashboards.kit import RIGHTS, login
from tests.analytics.kit import BAD

pytestmark = pytest.mark.django_db


def test_a_report_of_somebody_who_is_deactivated_stops_and_says_so(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://"
    owner = User.objects.create_user("left", "left@example.com", is_active=False)
    Report.objects.create(name="Daily", owner=owner, hour=0, emails="ana@example.com", query="range=24h")

    assert reports.send_due() == 0
    assert mail.outbox == []
    assert "owner is deactivated" in login(*RIGHTS).get("/dashboards/alerts/").content.decode()


def test_a_report_of_somebody_who_lost_the_dashboards_stops_and_says_so(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://"
    owner = User.objects.create_user("moved", "moved@example.com")
    Report.objects.create(name="Daily", owner=owner, hour=0, emails="ana@example.com", query="range=24h")

    assert reports.send_due() == 0
    assert mail.outbox == []
    assert "may not see dashboards" in Report.objects.get().trouble
    owner.user_permissions.add(Permission.objects.get(codename="use_dashboards"))
    assert reports.send_due() == 1
    assert Report.objects.get().trouble == ""


def test_a_report_names_no_agent_to_whom_its_owner_may_not_see(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://"
    owner = User.objects.create_user("eve", "eve@example.com")
    owner.user_permissions.add(Permission.objects.get(codename="use_dashboards"))
    Report.objects.create(name="A", owner=owner, hour=0, emails="eve@example.com", query="range=24h&agent=Ana")

    def is_by_agent() -> bool:
        mail = reports.mail_of(Report.objects.get(), timezone.now())
        return "agent=Ana" in next(str(text) for name, text, _ in mail.attachments if name == "volume.csv")

    before = is_by_agent()
    owner.user_permissions.add(Permission.objects.get(codename="see_agents"))
    assert (before, is_by_agent()) == (False, True)


@pytest.mark.parametrize("why", ["is deactivated", "may not see dashboards"])
def test_an_alert_that_nobody_answers_for_tells_nobody_until_it_is_taken_over(why: str, hook: WebhookServer) -> None:
    owner = User.objects.create_user("left", is_active=why != "is deactivated")
    rule = rule_of(owner=owner, emails="ana@example.com", webhook_url=hook.url, sns_topic="arn:aws:sns:x:1:t")
    Report.objects.create(name="Daily", owner=owner, hour=0, emails="ana@example.com")
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())

    assert notify.deliver_due() == 1
    assert (mail.outbox, hook.received) == ([], [])
    event = AlertEvent.objects.get()
    assert (event.told, event.due_at) == ([], None)
    assert why in event.trouble
    client = login(*RIGHTS)
    for path in ("", f"{rule.pk}/"):
        assert why in client.get(f"/dashboards/alerts/{path}").content.decode()

    client.post(f"/dashboards/alerts/{rule.pk}/", {**RULE_FORM, "webhook_url": hook.url})
    client.post(
        f"/dashboards/reports/{Report.objects.get().pk}/", {"name": "D", "hour": "0", "emails": "a@example.com"}
    )
    rule.refresh_from_db()
    assert rule.owner != owner
    assert Report.objects.get().owner == rule.owner
    assert why not in client.get(f"/dashboards/alerts/{rule.pk}/").content.decode()
    evaluate(rule.pk, timezone.now())
    AlertEvent.objects.filter(rule=rule).update(due_at=timezone.now(), trouble="")
    notify.deliver_due()
    assert len(hook.received) == 1


def test_what_is_saved_by_somebody_else_stays_its_owners() -> None:
    rule = rule_of()

    login(*RIGHTS).post(f"/dashboards/alerts/{rule.pk}/", RULE_FORM)

    rule.refresh_from_db()
    assert (rule.owner.username, rule.emails) == ("owner", RULE_FORM["emails"])


def test_an_alert_watches_no_agent_whom_its_owner_may_not_see() -> None:
    owner = User.objects.create_user("eve")
    owner.user_permissions.add(Permission.objects.get(codename="use_dashboards"))
    rule = rule_of(owner=owner, query="agent=Ana")

    assert filter_of(rule, timezone.now()).agent is None


@pytest.mark.parametrize(
    ("addresses", "recipients"), [("Left@example.com", []), ("left@example.com ana@example.com", ["ana@example.com"])]
)
def test_numbers_do_not_go_to_somebody_who_is_deactivated(settings: Any, addresses: str, recipients: list[str]) -> None:
    settings.EMAIL_URL = "smtp://"
    User.objects.create_user("left", "left@example.com", is_active=False)
    rule = rule_of(emails=addresses)
    Report.objects.create(name="Daily", owner=rule.owner, hour=0, emails=addresses, query="range=24h")
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())

    notify.deliver_due()
    reports.send_due()

    assert [letter.to for letter in mail.outbox] == ([recipients, recipients] if recipients else [])
    page = login(*RIGHTS).get("/dashboards/alerts/").content.decode()
    assert ("nobody gets it" in page) is (not recipients)
    assert ("NobodyLeft" in page) is (not recipients)
