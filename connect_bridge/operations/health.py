"""/-/alive/, /-/health/ and /-/metrics/: for load balancers and monitoring.

Only what keeps this process from storing a webhook makes it unhealthy: its database. A silent bridge, a long queue or
a messenger's outage is reported and stays 200, because taking the web away would then lose webhooks.

A stranger who reaches the port learns one word, ok, degraded or down, as a load balancer needs it. Figures are for
monitoring: for requests from this machine without a proxy between, or with MONITORING_TOKEN as bearer token.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from connect_bridge.operations.prometheus import exposition
from connect_bridge.operations.status import pending_migrations, read_status

_migrated = False
#: The machine's own addresses; none, over a socket of the machine's own.
_HERE = ("127.0.0.1", "::1", "::ffff:127.0.0.1", "")
#: What a proxy on this machine adds: the address is its own then, and whose request it is nobody knows.
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")


@require_safe
@never_cache
def alive(_request: HttpRequest) -> HttpResponse:
    """Say that this process answers, and nothing more: no I/O."""
    instance = os.environ.get("PARLEY_INSTANCE")  # as whose child it was started, if as anybody's
    return JsonResponse({"status": "alive"}, headers={"X-Parley-Instance": instance} if instance else None)


@require_safe
@never_cache
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 if webhooks can be stored, else 503. `status` is ok, degraded or down; for monitoring, also why."""
    try:
        answer = _report()
    except Error as problem:
        connection.close()
        answer = {"status": "down", "problems": [f"database: {type(problem).__name__}"]}
    status = HTTPStatus.SERVICE_UNAVAILABLE if answer["status"] == "down" else HTTPStatus.OK
    return JsonResponse(answer if _may_see_figures(request) else {"status": answer["status"]}, status=status)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer monitoring in Prometheus' text format, queried now, so that every process answers alike; else 401."""
    if not _may_see_figures(request):
        refusal = {"error": "unauthorized", "detail": "For this machine, or with MONITORING_TOKEN as a bearer token."}
        return JsonResponse(refusal, status=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_see_figures(request: HttpRequest) -> bool:
    """Say whether the request may see figures. With MONITORING_TOKEN unset, no token is right, not even ""."""
    if settings.MONITORING_TOKEN:
        keyword, _, token = request.headers.get("Authorization", "").partition(" ")
        if keyword.lower() == "bearer" and constant_time_compare(token.strip(), settings.MONITORING_TOKEN):
            return True
    return request.META.get("REMOTE_ADDR", "") in _HERE and not any(name in request.headers for name in _FORWARDED)


def _report() -> dict[str, Any]:
    if pending := _pending_migrations():
        return {"status": "down", "problems": [f"database: {pending} migrations pending; run manage.py migrate"]}
    system = read_status()
    problems = system.complaints()
    return {"status": "degraded" if problems else "ok", "problems": problems, **asdict(system)}


def _pending_migrations() -> int:
    """Return how many are pending. Once there are none, this process' code needs no other: it does not look again."""
    global _migrated  # noqa: PLW0603 - a fact about this process
    pending = 0 if _migrated else pending_migrations()
    _migrated = pending == 0
    return pending


urlpatterns = [path("alive/", alive), path("health/", health), path("metrics/", metrics)]
