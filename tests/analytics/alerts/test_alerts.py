"""Alerts: when they fire and clear, whom they tell, what they would have said last week."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.utils import timezone
from moto.server import ThreadedMotoServer

from analytics.alerts import notify, reports
from analytics.alerts.metrics import METRICS, current
from analytics.alerts.rules import Bounds, Standing, State, backtest, bounds_of, evaluate, filter_of, step
from analytics.models import AlertEvent, AlertRule, Export, Report, Sentiment
from analytics.queries.filters import parse
from analytics.rollups.time_buckets import HOUR, hour_of
from analytics.rollups.update import refresh
from connect_bridge import aws
from tests.analytics.dashboards.kit import RIGHTS, login
from tests.analytics.kit import BAD, GOOD, said
from tests.factories import ContactFactory, ConversationFactory, MessageFactory

pytestmark = pytest.mark.django_db

BOUNDS = Bounds(above=True, threshold=0.3, clears_at=0.22, minimum=10, deviations=0, evaluations=2)
NORMAL = Standing(State.NORMAL)


class Hook:
    """Takes what webhooks bring; answers each with the next status, or 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.taken: list[Any] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def hook(settings: Any) -> Iterator[Hook]:
    taker = Hook()
    settings.ALERT_WEBHOOK_HOSTS = [f"127.0.0.1:{taker.server.server_port}"]
    thread = threading.Thread(target=taker.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield taker
    taker.server.shutdown()
    thread.join(10)
    taker.server.server_close()


def states(bounds: Bounds, values: list[tuple[float | None, int]], usual: list[float] | None = None) -> list[str]:
    standing, found = NORMAL, []
    for value in values:
        standing = step(bounds, standing, value, usual or [])
        found.append(standing.state)
    return found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(0.4, 20), (0.4, 20)], ["pending", "firing"]),
        ([(0.4, 20), (0.2, 20), (0.4, 20)], ["pending", "normal", "pending"]),
        ([(0.4, 9), (0.4, 9)], ["normal", "normal"]),
        ([(0.4, 20), (0.4, 20), (0.25, 20), (0.21, 20)], ["pending", "firing", "firing", "normal"]),
        ([(None, 0), (0.1, 20)], ["no_data", "normal"]),
        ([(0.4, 20), (0.4, 20), (None, 0), (0.4, 3)], ["pending", "firing", "firing", "firing"]),
    ],
)
def test_a_rule_fires_after_enough_in_a_row_and_clears_at_its_own_bound(values: Any, expected: list[str]) -> None:
    assert states(BOUNDS, values) == expected


def test_a_rule_may_fire_below() -> None:
    below = Bounds(above=False, threshold=-0.2, clears_at=-0.1, minimum=1, deviations=0, evaluations=1)
    assert states(below, [(-0.25, 5), (-0.15, 5), (-0.05, 5)]) == ["firing", "firing", "normal"]


def test_what_is_usual_for_the_hour_of_the_week_does_not_fire() -> None:
    robust = Bounds(above=True, threshold=0.3, clears_at=0.22, minimum=10, deviations=3, evaluations=1)
    assert states(robust, [(0.4, 20)], [0.38, 0.41, 0.4, 0.36]) == ["normal"]
    assert states(robust, [(0.4, 20)], [0.1, 0.11, 0.12, 0.1]) == ["firing"]
    assert states(robust, [(0.4, 20)], [0.38]) == ["firing"], "too little is known to call it usual"


def rule_of(**more: Any) -> AlertRule:
    owner = User.objects.filter(username="owner").first() or User.objects.create_user("owner", is_superuser=True)
    common = {"name": "Angry", "metric": "negative", "threshold": 0.3, "minimum": 2, "evaluations": 1, "owner": owner}
    return AlertRule.objects.create(**{**common, **more})


def chats(number: int, score: Any, hours_ago: float = 0) -> None:
    at = timezone.now() - timedelta(hours=hours_ago)
    shares = {name: getattr(score, name) for name in ("positive", "negative", "neutral", "mixed")}
    for _ in range(number):
        conversation = ConversationFactory()
        contact = ContactFactory(conversation=conversation, requested_at=at)
        message = said("words of a customer", conversation, contact=contact, created_at=at)
        state = {"state": "scored", "score": score.value, "label": score.label, "language": "en", "due_at": at}
        Sentiment.objects.create(message=message, **state, **shares)
    while refresh().changes:  # type: ignore[union-attr]
        pass


def test_a_rule_sees_the_numbers_and_tells_once(django_assert_max_num_queries: Any) -> None:
    rule = rule_of(emails="ana@example.com", evaluations=2)
    chats(3, BAD)
    assert [evaluate(rule.pk, timezone.now()) for _ in range(4)] == [False, True, False, False]
    rule.refresh_from_db()
    assert (rule.state, rule.value, rule.n) == ("firing", 1.0, 3)
    chats(30, GOOD)
    assert evaluate(rule.pk, timezone.now()) is True
    rule.refresh_from_db()
    assert rule.state == "normal"
    assert [event.state for event in AlertEvent.objects.order_by("at")] == ["firing", "normal"]


def test_filters_narrow_what_a_rule_sees() -> None:
    rule = rule_of(query="channel=twitter")
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())
    rule.refresh_from_db()
    assert rule.state == "no_data"


def test_a_rule_that_cannot_be_evaluated_says_so() -> None:
    rule = rule_of(query="range=nonsense")
    assert evaluate(rule.pk, timezone.now()) is True
    rule.refresh_from_db()
    assert rule.state == "error"


def test_a_muted_rule_keeps_watch_and_says_nothing() -> None:
    rule = rule_of(emails="ana@example.com", muted_until=timezone.now() + HOUR)
    chats(3, BAD)
    assert evaluate(rule.pk, timezone.now()) is False
    assert AlertEvent.objects.get().due_at is None


def test_everybody_is_told_without_words_of_customers(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        aws.forget_clients()
        topic = aws.shared_client("sns").create_topic(Name="alerts")["TopicArn"]
        rule = rule_of(emails="ana@example.com\nbob@example.com", webhook_url=hook.url, sns_topic=topic)
        chats(3, BAD)
        evaluate(rule.pk, timezone.now())
        assert notify.deliver_due() == 1
    finally:
        server.stop()
        aws.forget_clients()
    event = AlertEvent.objects.get()
    assert (event.told, event.trouble, event.due_at) == (["e-mail", "webhook", "SNS"], "", None)
    (letter,) = mail.outbox
    assert letter.to == ["ana@example.com", "bob@example.com"]
    assert letter.subject == "[Parley] Angry: firing"
    (posted,) = hook.taken
    assert (posted["state"], posted["value"], posted["n"], len(posted["worst"])) == ("firing", 1.0, 3, 3)
    assert "words of a customer" not in f"{letter.body}{posted}"
    assert "/dashboards/chat/" in letter.body


def test_a_way_that_fails_is_tried_again_and_the_others_are_not(hook: Hook) -> None:
    hook.statuses = [500]
    rule = rule_of(emails="ana@example.com", webhook_url=hook.url)
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())
    assert notify.deliver_due() == 0
    event = AlertEvent.objects.get()
    assert (event.told, event.trouble) == (["e-mail"], "webhook: answered 500")
    assert event.due_at is not None
    assert event.due_at > timezone.now()
    AlertEvent.objects.update(due_at=timezone.now() - HOUR)
    assert notify.deliver_due() == 1
    assert len(mail.outbox) == 1
    assert AlertEvent.objects.get().told == ["e-mail", "webhook"]


def test_the_form_says_when_the_rule_would_have_fired_last_week() -> None:
    for hours_ago in (30, 31, 80):
        chats(3, BAD, hours_ago)
    chats(3, GOOD, 60)
    rule = rule_of()
    now = timezone.now()
    assert backtest(rule, now) == [hour_of(now - timedelta(hours=hours)) for hours in (80, 31)]


GIVEN = {
    "name": "Angry",
    "metric": "negative",
    "side": "above",
    "threshold": "30",
    "clears_at": "22",
    "minimum": "10",
    "hours": "1",
    "evaluations": "2",
    "deviations": "3",
    "query": "channel=whatsapp",
    "emails": "ana@example.com",
    "enabled": "on",
}


def test_a_rule_is_tried_saved_muted_changed_and_deleted(settings: Any) -> None:
    client = login(*RIGHTS)
    begun = client.get("/dashboards/alerts/new/?channel=whatsapp").context["form"].initial
    assert (begun["metric"], begun["threshold"], begun["clears_at"], begun["deviations"]) == ("negative", 30, 22, 3)
    assert begun["query"] == "channel=whatsapp"
    tried = client.post("/dashboards/alerts/new/", {**GIVEN, "try": "1"}).content.decode()
    assert "It would not have fired last week" in tried
    assert not AlertRule.objects.exists()
    assert client.post("/dashboards/alerts/new/", GIVEN).status_code == 302
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
    ("field", "value", "said"),
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
def test_a_rule_that_cannot_be_is_refused_with_a_reason(field: str, value: str, said: str) -> None:
    answer = login(*RIGHTS).post("/dashboards/alerts/new/", {**GIVEN, field: value})
    assert said in answer.content.decode()
    assert not AlertRule.objects.exists()


def test_a_report_goes_out_once_a_day_with_its_numbers(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://"
    chats(3, BAD)
    client = login(*RIGHTS)
    here = timezone.localtime()
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
    Report.objects.update(weekday=(here.weekday() + 1) % 7, sent_at=None)
    assert reports.send_due() == 0


def test_a_report_that_cannot_be_sent_says_so_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = rule_of()
    Report.objects.create(name="Daily", owner=rule.owner, hour=0, emails="ana@example.com", query="range=nonsense")
    assert reports.send_due() == 0
    report = Report.objects.get()
    assert "BadFilter" in report.trouble
    assert report.sent_at is None


def test_an_alert_may_watch_what_connect_does_not_take() -> None:
    ago = timezone.now() - timedelta(minutes=20)
    chosen = parse({}, timezone.now())
    assert current(METRICS["untaken"], chosen, 1)[0] == 0.0
    MessageFactory(created_at=ago, error_code="connect_set_up")
    MessageFactory(created_at=ago - HOUR, error_code="paused")
    value, count = current(METRICS["untaken"], chosen, 1)
    assert value is not None
    assert 19 * 60_000 < value < 21 * 60_000
    assert count >= bounds_of(AlertRule(metric="untaken", side="above", threshold=0, minimum=10)).minimum


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
def test_an_alert_that_nobody_answers_for_tells_nobody_until_it_is_taken_over(why: str, hook: Hook) -> None:
    owner = User.objects.create_user("left", is_active=why != "is deactivated")
    rule = rule_of(owner=owner, emails="ana@example.com", webhook_url=hook.url, sns_topic="arn:aws:sns:x:1:t")
    Report.objects.create(name="Daily", owner=owner, hour=0, emails="ana@example.com")
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())

    assert notify.deliver_due() == 1
    assert (mail.outbox, hook.taken) == ([], [])
    event = AlertEvent.objects.get()
    assert (event.told, event.due_at) == ([], None)
    assert why in event.trouble
    client = login(*RIGHTS)
    for path in ("", f"{rule.pk}/"):
        assert why in client.get(f"/dashboards/alerts/{path}").content.decode()

    client.post(f"/dashboards/alerts/{rule.pk}/", {**GIVEN, "webhook_url": hook.url})
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
    assert len(hook.taken) == 1


def test_what_is_saved_by_somebody_else_stays_its_owners() -> None:
    rule = rule_of()

    login(*RIGHTS).post(f"/dashboards/alerts/{rule.pk}/", GIVEN)

    rule.refresh_from_db()
    assert (rule.owner.username, rule.emails) == ("owner", GIVEN["emails"])


def test_an_alert_watches_no_agent_whom_its_owner_may_not_see() -> None:
    owner = User.objects.create_user("eve")
    owner.user_permissions.add(Permission.objects.get(codename="use_dashboards"))
    rule = rule_of(owner=owner, query="agent=Ana")

    assert filter_of(rule, timezone.now()).agent is None


@pytest.mark.parametrize(
    ("addresses", "told"), [("Left@example.com", []), ("left@example.com ana@example.com", ["ana@example.com"])]
)
def test_numbers_do_not_go_to_somebody_who_is_deactivated(settings: Any, addresses: str, told: list[str]) -> None:
    settings.EMAIL_URL = "smtp://"
    User.objects.create_user("left", "left@example.com", is_active=False)
    rule = rule_of(emails=addresses)
    Report.objects.create(name="Daily", owner=rule.owner, hour=0, emails=addresses, query="range=24h")
    chats(3, BAD)
    evaluate(rule.pk, timezone.now())

    notify.deliver_due()
    reports.send_due()

    assert [letter.to for letter in mail.outbox] == ([told, told] if told else [])
    page = login(*RIGHTS).get("/dashboards/alerts/").content.decode()
    assert ("nobody gets it" in page) is (not told)
    assert ("NobodyLeft" in page) is (not told)
