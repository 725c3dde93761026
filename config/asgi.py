"""The web process: the ASGI endpoint for webhooks in front of Django, and websockets for live pages."""

from __future__ import annotations

import os
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_django: Any = get_asgi_application()

# Only now is Django set up, and may what needs its settings and models be imported.
from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from analytics.dashboards.consumers import Dashboards  # noqa: E402
from channels_app.webhooks.asgi import WebhookASGI  # noqa: E402


async def _no_such_socket(_scope: Any, _receive: Any, send: Any) -> Any:
    await send({"type": "websocket.close", "code": 4404})


#: Consumers of the apps go before the last line.
_sockets = URLRouter(
    [
        path("ws/dashboards/", AuthMiddlewareStack(Dashboards.as_asgi())),
        re_path(r"", _no_such_socket),
    ]
)

application = ProtocolTypeRouter(
    {
        "http": WebhookASGI(_django) if settings.WEBHOOK_FAST_LANE else _django,
        "websocket": AllowedHostsOriginValidator(_sockets),
    }
)
