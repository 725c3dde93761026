"""Reports by e-mail."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from analytics.alerts import reports
from analytics.models import Export, Report
from tests.analytics.alerts.kit import chats, rule_of
from tests.analytics.dashboards.kit import RIGHTS, login
from tests.analytics.kit import BAD

pytestmark = pytest.mark.django_db


def test_a_report_goes_out_once_a_day_with_its_numbers(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://"
    chats(3, BAD)
    client = login(*RIGHTS)
    local_now = timezone.localtime()
    client.post(
        "/dashboards/reports/new/",
        {"name": "Daily", "weekday": "", "hour": "0", "query": "range=24h", "emails": "ana@example.com"},
    )
    assert reports.send_due() == 1
    assert reports.send_due() == 0
    (letter,) = mail.outbox
    assert "Net sentiment: \N{MINUS SIGN}88" in letter.body
    assert "words of a customer" not in letter.body
    names = [name for name, _, _ in letter.attachments]
    assert "sentiment.csv" in names
    assert Export.objects.get().what == "report Daily"
    Report.objects.update(weekday=(local_now.weekday() + 1) % 7, sent_at=None)
    assert reports.send_due() == 0


def test_a_report_that_cannot_be_sent_says_so_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = rule_of()
    Report.objects.create(name="Daily", owner=rule.owner, hour=0, emails="ana@example.com", query="range=nonsense")
    assert reports.send_due() == 0
    report = Report.objects.get()
    assert "BadFilter" in report.trouble
    assert report.sent_at is None
