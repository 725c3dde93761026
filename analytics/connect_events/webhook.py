"""Where EventBridge's API destination posts contact events."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from analytics.connect_events.events import EventOutcome, Unreadable, parse_event, store_event

#: Bytes; EventBridge's events have at most 256 KB (Amazon EventBridge quotas).
LARGEST = 256 * 1024


@csrf_exempt
@require_POST
def contact_events(request: HttpRequest) -> JsonResponse:
    """Store one event. 503 asks EventBridge to send it again: the chat may be stored in a moment."""
    if not settings.CONTACT_EVENTS_TOKEN:
        raise Http404
    token = request.headers.get("X-Parley-Token", "")
    if not hmac.compare_digest(token.encode(), settings.CONTACT_EVENTS_TOKEN.encode()):
        return JsonResponse({"error": "bad_token"}, status=401)
    length = request.headers.get("Content-Length") or "0"
    if not (length.isascii() and length.isdigit()):
        return JsonResponse({"error": "bad_length"}, status=400)
    if len(length) > len(str(LARGEST)) or int(length) > LARGEST:
        return JsonResponse({"error": "too_large"}, status=413)
    try:
        outcome = store_event(parse_event(request.body))
    except Unreadable:
        return JsonResponse({"error": "not_a_contact_event"}, status=400)
    return JsonResponse({"status": outcome}, status=503 if outcome is EventOutcome.LATER else 200)
