"""The audit page: changes of the configuration, looks at transcripts and sign-ins, for whoever may audit."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe
from django.views.defaults import bad_request

from people.audit import latest, recorded_models
from people.lookups import BadLookup
from people.models import SecurityEvent, TranscriptRead
from people.moments import moment

#: Changes, and looks, on one page.
MOST_SHOWN = 100


@require_safe
def audit_page(request: HttpRequest) -> HttpResponse:
    """Show the latest changes and looks, or those before a time; mount it with admin.site.admin_view."""
    if not request.user.has_perm("people.view_audit"):
        raise PermissionDenied
    models = [(model._meta.label_lower, str(model._meta.verbose_name)) for model in recorded_models()]
    model = request.GET.get("model", "")
    by, before = request.GET.get("by", "").replace("\0", "")[:150], moment(request.GET.get("before", ""))
    changes = latest(MOST_SHOWN, before=before, by=by, model=model if model in dict(models) else "")
    reads = TranscriptRead.objects.order_by("-at")
    events = SecurityEvent.objects.order_by("-at")
    if by:
        reads = reads.filter(by=by)
        events = events.filter(Q(by=by) | Q(about=by))
    context = {
        **admin.site.each_context(request),
        "title": "Audit",
        "models": models,
        "model": model,
        "by": by,
        "changes": changes,
        "older": changes[-1].at.isoformat() if len(changes) == MOST_SHOWN else "",
        "reads": reads[:MOST_SHOWN],
        "events": events[:MOST_SHOWN],
    }
    return TemplateResponse(request, "people/audit.html", context)


def refused(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer 400; with words where there are some for whoever asked."""
    if not isinstance(exception, BadLookup):
        return bad_request(request, exception)
    return render(request, "people/refused.html", {"words": str(exception), "path": request.path}, status=400)


def nothing_here(_request: HttpRequest) -> HttpResponse:
    """Stand where Django offers what no page of ours uses: rows of any model that a form could point at, by name."""
    raise Http404
