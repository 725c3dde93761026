"""Whom alerts tell, and what."""

from __future__ import annotations

import pytest
from django.core import mail
from django.utils import timezone
from moto.server import ThreadedMotoServer

from analytics.alerts import notify
from analytics.alerts.rules import evaluate
from analytics.models import AlertEvent
from analytics.rollups.time_buckets import HOUR
from connect_bridge import aws
from tests.analytics.alerts.kit import WebhookServer, chats, rule_of
from tests.analytics.kit import BAD

pytestmark = pytest.mark.django_db


def test_everybody_is_told_without_words_of_customers(hook: WebhookServer, monkeypatch: pytest.MonkeyPatch) -> None:
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
    (posted,) = hook.received
    assert (posted["state"], posted["value"], posted["n"], len(posted["worst"])) == ("firing", 1.0, 3, 3)
    assert "words of a customer" not in f"{letter.body}{posted}"
    assert "/dashboards/chat/" in letter.body


def test_a_way_that_fails_is_tried_again_and_the_others_are_not(hook: WebhookServer) -> None:
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
