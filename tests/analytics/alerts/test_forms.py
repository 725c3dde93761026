"""The page on which a rule is made and changed."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.models import AlertRule
from tests.analytics.alerts.kit import RULE_FORM
from tests.analytics.dashboards.kit import RIGHTS, login

pytestmark = pytest.mark.django_db


def test_a_rule_is_tried_saved_muted_changed_and_deleted(settings: Any) -> None:
    client = login(*RIGHTS)
    begun = client.get("/dashboards/alerts/new/?channel=whatsapp").context["form"].initial
    assert (begun["metric"], begun["threshold"], begun["clears_at"], begun["deviations"]) == ("negative", 30, 22, 3)
    assert begun["query"] == "channel=whatsapp"
    tried = client.post("/dashboards/alerts/new/", {**RULE_FORM, "try": "1"}).content.decode()
    assert "It would not have fired last week" in tried
    assert not AlertRule.objects.exists()
    assert client.post("/dashboards/alerts/new/", RULE_FORM).status_code == 302
    rule = AlertRule.objects.get()
    assert (rule.threshold, rule.clears_at, rule.query) == (0.3, 0.22, "range=today&compare=week&channel=whatsapp")
    page = client.get(f"/dashboards/alerts/{rule.pk}/").content.decode()
    assert 'name="threshold" value="30.0"' in page
    assert "EMAIL_URL" in page
    client.post(f"/dashboards/alerts/{rule.pk}/mute/", {"hours": "8"})
    assert "muted" in client.get("/dashboards/alerts/").content.decode()
    client.post(f"/dashboards/alerts/{rule.pk}/delete/")
    assert not AlertRule.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("clears_at", "40", "good side"),
        ("emails", "", "at least one way"),
        ("emails", "nobody", "valid email"),
        ("webhook_url", "http://example.com/hook", "https://"),
        ("query", "range=year", "range: Give one of"),
        ("hours", "25", "from 1 to 24"),
        ("evaluations", "0", "from 1 to 60"),
        ("deviations", "99", "from 0 (any value) to 20"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_a_reason(field: str, value: str, reason: str) -> None:
    answer = login(*RIGHTS).post("/dashboards/alerts/new/", {**RULE_FORM, field: value})
    assert reason in answer.content.decode()
    assert not AlertRule.objects.exists()
