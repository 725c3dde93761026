"""The page that stands beside a chat in an agent's workspace: the customer of that chat, to read, without a login.

The link is signed for one contact (agent_link.py), and the page may be framed by the origins that the settings name.
It sets no cookie, offers no verb, and tells no other site that it was opened.
"""

from __future__ import annotations

from datetime import UTC, datetime

from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_GET

from connect_bridge.customer_page.profile import read_profile
from connect_bridge.customer_page.views import profile_context
from connect_bridge.models import Contact
from connect_bridge.relay.agent_link import AFTER_THE_END, contact_of
from people.privacy import Sight, set_viewer


@require_GET
@never_cache
@xframe_options_exempt
@csp_replace({"frame-ancestors": settings.AGENT_WORKSPACE_ORIGINS})  # type: ignore[arg-type] # it takes any view
def agent_page(request: HttpRequest, token: str) -> HttpResponse:
    """Show the customer of the contact that the link was signed for."""
    contact_id = contact_of(token)
    if contact_id is None:
        raise Http404
    contacts = Contact.objects.select_related("conversation__identity__customer")
    contact = get_object_or_404(contacts.defer("participant_token", "connection_token"), pk=contact_id)
    if contact.ended_at is not None and contact.ended_at + AFTER_THE_END < datetime.now(UTC):
        raise Http404
    set_viewer(Sight.FULL)  # the agent speaks with this customer
    profile = read_profile(contact.conversation.identity.customer)
    context = {**profile_context(profile, request.GET, Sight.FULL), "contact": contact, "suggestions": []}
    answer = render(request, "customers/agent.html", context)
    answer["Referrer-Policy"] = "no-referrer"
    answer["X-Robots-Tag"] = "noindex"
    return answer
