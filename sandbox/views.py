"""The sandbox page: phones, an agent desktop and the tail of events, served as files; the browser does the rest."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Answer the page. It holds no data of the product: the browser asks the simulated world alone."""
    world = settings.SANDBOX_WORLD_URL.rstrip("/")
    response = render(request, "sandbox/page.html", {"world": world})
    response["Content-Security-Policy"] = policy(world)
    response["Referrer-Policy"] = "no-referrer"
    return response


def policy(world: str) -> str:
    """Return the page's Content-Security-Policy: our own files, and the simulated world's HTTP and websocket."""
    parts = urlsplit(world)
    origin = f"{parts.scheme}://{parts.netloc}"
    socket = origin.replace("http", "ws", 1)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' data: {origin}",
            f"media-src {origin}",
            f"connect-src {origin} {socket}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
