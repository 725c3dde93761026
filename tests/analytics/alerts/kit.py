"""Rules, reports and chats for tests of alerts; a server that takes webhooks."""

from __future__ import annotations

import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from analytics.models import AlertRule, Sentiment
from analytics.rollups.update import refresh
from tests.analytics.kit import customer_wrote
from tests.factories import ContactFactory, ConversationFactory

RULE_FORM = {
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


class WebhookServer:
    """Takes what webhooks bring; answers each with the next status, or 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.received: list[Any] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


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
        message = customer_wrote("words of a customer", conversation, contact=contact, created_at=at)
        state = {"state": "scored", "score": score.value, "label": score.label, "language": "en", "due_at": at}
        Sentiment.objects.create(message=message, **state, **shares)
    while refresh().changes:  # type: ignore[union-attr]
        pass
