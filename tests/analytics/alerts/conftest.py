"""A server to which alerts may post."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.analytics.alerts.kit import WebhookServer


@pytest.fixture
def hook(settings: Any) -> Iterator[WebhookServer]:
    server = WebhookServer()
    settings.ALERT_WEBHOOK_HOSTS = [f"127.0.0.1:{server.server.server_port}"]
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.server.shutdown()
    thread.join(10)
    server.server.server_close()
