"""The Django endpoint: webhooks and handshakes through Django REST Framework.

Its twin in front of Django is asgi.py; both stand on the same rules (guard.py, intake.py, store.py) and pass the same
tests. Handshakes are answered here alone.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, Error, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from rest_framework.request import Request
from rest_framework.views import APIView

from channels_app.account import Account
from channels_app.channel import AnswersHandshake
from channels_app.errors import WebhookRejected
from channels_app.webhooks.account_cache import SELECT, AccountCache
from channels_app.webhooks.guard import (
    PREFIX,
    Address,
    HandshakeLimit,
    RawRequest,
    RequestGuard,
    not_found,
    read_headers,
    too_large,
)
from channels_app.webhooks.intake import ParsedDelivery, receive_webhook
from channels_app.webhooks.intake import refusal_of as rejection_of
from channels_app.webhooks.rejection_log import HANDSHAKE, REJECTED, WORTH_RECORDING, RejectionLog
from channels_app.webhooks.responses import Refused, Reply, RequestLog, request_log_of, unavailable
from channels_app.webhooks.store import refusal_of, store
from people.views import refused

log = logging.getLogger(__name__)

_handshakes = HandshakeLimit()
_rejection_log = RejectionLog()


def request_guard() -> RequestGuard:
    """Return this installation's rules."""
    return RequestGuard(tuple(settings.ALLOWED_HOSTS), settings.WEBHOOK_REQUIRE_HTTPS, settings.PUBLIC_BASE_URL)


@cache
def _account_cache() -> AccountCache:
    return AccountCache()


class WebhookView(APIView):
    """Answers every method and path below /webhooks/. The body is never parsed by the framework: it is signed bytes."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None
    default_response_headers: dict[str, str] = {}  # its Allow header says what this view can, not what the channel can

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - DRF's signature
        """Ignore Accept: a provider gets its answer whatever it says that it accepts."""
        return super().perform_content_negotiation(request, force=True)

    def http_method_not_allowed(self, request: Request, *_: Any, **__: Any) -> HttpResponse:  # type: ignore[override]  # the guard decides on methods
        return answer(request._request)  # noqa: SLF001 - DRF has no public name for Django's request

    get = post = put = patch = delete = head = options = trace = http_method_not_allowed  # type: ignore[assignment]


def answer(request: HttpRequest) -> HttpResponse:
    """Answer one request: at most one statement to find the account and one to store."""
    raw = _raw_request(request)
    request_log = request_log_of(raw.headers)
    try:
        address = request_guard().check(raw)
        request_log.kind, request_log.account = address.kind, str(address.account)
        reply = (_handshake if raw.method == "GET" else _webhook)(request, raw, address, request_log)
    except Refused as refusal:
        _record(request_log, refusal.code)
        reply = request_log.refused(refusal)
    except Error as problem:
        log.warning("webhook %s: not stored (%s)", request_log.request_id, type(problem).__name__)
        reply = request_log.refused(refusal_of(problem))
    except Exception as problem:  # noqa: BLE001 - our own fault: the provider shall deliver again
        # No trace: it could quote the message.
        log.error("webhook %s: our own fault (%s)", request_log.request_id, type(problem).__name__)  # noqa: TRY400
        reply = request_log.refused(unavailable())
    return _response(reply)


def bad_host(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django itself refuses: as JSON below /webhooks/, elsewhere as pages do."""
    if not request.path.startswith(PREFIX):
        return refused(request, exception)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return _response(request_log_of(headers).refused(Refused(HTTPStatus.BAD_REQUEST, "bad_host")))


def _handshake(_request: HttpRequest, raw: RawRequest, address: Address, request_log: RequestLog) -> Reply:
    _handshakes.check(raw.peer, address.account)
    channel = _account(address).channel
    assert isinstance(channel, AnswersHandshake), "the guard lets no other GET through"
    try:
        answer = channel.handshake(request_guard().request(raw))
    except WebhookRejected as rejection:
        raise rejection_of(rejection) from None
    _record(request_log, HANDSHAKE)
    return request_log.handshake(answer)


def _record(request_log: RequestLog, event: str) -> None:
    """Record that the provider's handshake was answered, or that a request without the right proof was rejected."""
    is_handshake = event == HANDSHAKE
    if (
        (is_handshake or event in WORTH_RECORDING)
        and request_log.account != "-"
        and _rejection_log.is_new(account := uuid.UUID(request_log.account), event)
    ):
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute(HANDSHAKE if is_handshake else REJECTED, {"account": account, "code": event})


def _webhook(request: HttpRequest, raw: RawRequest, address: Address, request_log: RequestLog) -> Reply:
    if not settings.WEBHOOK_DJANGO_LANE:
        raise not_found()
    body = _body(request, address.channel.max_body)
    account = _account(address)
    parsed = receive_webhook(account, request_guard().request(raw, body), request_log.request_id)
    return request_log.accepted(account.channel, _stored(parsed))


def _stored(parsed: ParsedDelivery) -> str:
    try:
        return store(parsed)
    except DataError as problem:
        return store(parsed.set_aside(f"could not be stored: {type(problem).__name__}"))


def _body(request: HttpRequest, most: int) -> bytes:
    try:
        body = request.body
    except RequestDataTooBig:
        raise too_large() from None
    except UnreadablePostError:
        raise Refused(HTTPStatus.BAD_REQUEST, "incomplete") from None
    if len(body) > most:
        raise too_large()
    return body


def _account(address: Address) -> Account:
    try:
        account = _account_cache().cached(address.account)
    except KeyError:
        account = _account_cache().remember(address.account, _row(address.account))
    if account is None or account.kind != address.kind:
        raise not_found()
    return account


def _row(account: uuid.UUID) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(SELECT, {"ids": [account]})
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _raw_request(request: HttpRequest) -> RawRequest:
    scope = getattr(request, "scope", None)
    if scope is not None:
        headers, repeated = read_headers(scope["headers"])
        query = scope.get("query_string", b"").decode("latin-1")
    else:  # under WSGI, where repeated headers come joined
        headers, repeated = {name.lower(): value for name, value in request.headers.items()}, frozenset[str]()
        query = request.META.get("QUERY_STRING", "")
    headers["host"] = request.get_host()
    return RawRequest(request.method or "", request.path, query, headers, repeated, _peer(request, headers))


def _peer(request: HttpRequest, headers: Mapping[str, str]) -> str:
    """Return who calls: the socket's other end or, behind our proxy, whom it says it speaks for.

    A proxy appends that address to X-Forwarded-For; what stands before it, anybody may have written.
    """
    behind_proxy = settings.SECURE_PROXY_SSL_HEADER is not None
    forwarded = headers.get("x-forwarded-for", "").rpartition(",")[2].strip() if behind_proxy else ""
    return forwarded or request.META.get("REMOTE_ADDR", "")


def _response(reply: Reply) -> HttpResponse:
    response = HttpResponse(reply.body, reply.content_type, reply.status, headers=dict(reply.headers))
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - Django would log a second line
    return response
