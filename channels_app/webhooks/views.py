"""The Django lane: webhooks and handshakes through Django REST Framework, thin over the same core as the fast lane."""

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
from channels_app.webhooks.account_cache import SELECT, Accounts
from channels_app.webhooks.guard import (
    PREFIX,
    Address,
    Call,
    HandshakeLimit,
    RequestGuard,
    not_found,
    read_headers,
    too_large,
)
from channels_app.webhooks.intake import Taken, examine
from channels_app.webhooks.intake import refusal_of as rejection_of
from channels_app.webhooks.rejection_log import REJECTED, SHOOK_HANDS, TELLING, RejectionLog
from channels_app.webhooks.responses import Refused, Reply, Visit, unavailable, visit_of
from channels_app.webhooks.store import refusal_of, store
from people.views import refused

log = logging.getLogger(__name__)

_handshakes = HandshakeLimit()
_knocks = RejectionLog()


def door() -> RequestGuard:
    """Return this installation's rules."""
    return RequestGuard(tuple(settings.ALLOWED_HOSTS), settings.WEBHOOK_REQUIRE_HTTPS, settings.PUBLIC_BASE_URL)


@cache
def _accounts() -> Accounts:
    return Accounts()


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

    def http_method_not_allowed(self, request: Request, *_: Any, **__: Any) -> HttpResponse:  # type: ignore[override]  # the door decides on methods
        return answer(request._request)  # noqa: SLF001 - DRF has no public name for Django's request

    get = post = put = patch = delete = head = options = trace = http_method_not_allowed  # type: ignore[assignment]


def answer(request: HttpRequest) -> HttpResponse:
    """Answer one request: at most one statement to find the account and one to store."""
    call = _call(request)
    visit = visit_of(call.headers)
    try:
        address = door().admit(call)
        visit.kind, visit.account = address.kind, str(address.account)
        reply = (_handshake if call.method == "GET" else _webhook)(request, call, address, visit)
    except Refused as refusal:
        _knocked(visit, refusal.code)
        reply = visit.refused(refusal)
    except Error as problem:
        log.warning("webhook %s: not stored (%s)", visit.request_id, type(problem).__name__)
        reply = visit.refused(refusal_of(problem))
    except Exception as problem:  # noqa: BLE001 - our own fault: the provider shall come again
        # No trace: it could quote the message.
        log.error("webhook %s: our own fault (%s)", visit.request_id, type(problem).__name__)  # noqa: TRY400
        reply = visit.refused(unavailable())
    return _response(reply)


def bad_host(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django itself refuses: as JSON below /webhooks/, elsewhere as pages do."""
    if not request.path.startswith(PREFIX):
        return refused(request, exception)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return _response(visit_of(headers).refused(Refused(HTTPStatus.BAD_REQUEST, "bad_host")))


def _handshake(_request: HttpRequest, call: Call, address: Address, visit: Visit) -> Reply:
    _handshakes.check(call.peer, address.account)
    channel = _account(address).channel
    assert isinstance(channel, AnswersHandshake), "the door lets no other GET in"
    try:
        answer = channel.handshake(door().request(call))
    except WebhookRejected as rejection:
        raise rejection_of(rejection) from None
    _knocked(visit, SHOOK_HANDS)
    return visit.handshake(answer)


def _knocked(visit: Visit, what: str) -> None:
    """Write down that the provider's check was answered, or that somebody without the right proof was turned away."""
    shook = what == SHOOK_HANDS
    if (
        (shook or what in TELLING)
        and visit.account != "-"
        and _knocks.is_news(account := uuid.UUID(visit.account), what)
    ):
        with suppress(Error), connection.cursor() as cursor:
            cursor.execute(SHOOK_HANDS if shook else REJECTED, {"account": account, "code": what})


def _webhook(request: HttpRequest, call: Call, address: Address, visit: Visit) -> Reply:
    if not settings.WEBHOOK_DJANGO_LANE:
        raise not_found()
    body = _body(request, address.channel.max_body)
    account = _account(address)
    taken = examine(account, door().request(call, body), visit.request_id)
    return visit.taken(account.channel, _stored(taken))


def _stored(taken: Taken) -> str:
    try:
        return store(taken)
    except DataError as problem:
        return store(taken.set_aside(f"could not be stored: {type(problem).__name__}"))


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
        account = _accounts().recall(address.account)
    except KeyError:
        account = _accounts().learn(address.account, _row(address.account))
    if account is None or account.kind != address.kind:
        raise not_found()
    return account


def _row(account: uuid.UUID) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(SELECT, {"ids": [account]})
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _call(request: HttpRequest) -> Call:
    scope = getattr(request, "scope", None)
    if scope is not None:
        headers, repeated = read_headers(scope["headers"])
        query = scope.get("query_string", b"").decode("latin-1")
    else:  # under WSGI, where repeated headers come joined
        headers, repeated = {name.lower(): value for name, value in request.headers.items()}, frozenset[str]()
        query = request.META.get("QUERY_STRING", "")
    headers["host"] = request.get_host()
    return Call(request.method or "", request.path, query, headers, repeated, _peer(request, headers))


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
